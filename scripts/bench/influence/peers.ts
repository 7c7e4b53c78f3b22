/** Scores of other methods on the same base, adapter, rows and queries (peers.py). Those that cannot be had are named. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readNpy } from '../../npy.ts'
import { runPython, type Venv } from '../python.ts'
import type { Scores } from './report.ts'
import { BASE, type Setting } from './setting.ts'

export const INFLUENCE_VENV: Venv = {
  name: 'influence',
  requirements: [
    'torch==2.15.0',
    'transformers==5.24.0',
    'peft',
    'kronfluence==1.0.1',
    'scikit-learn',
  ],
}
const PEERS = ['kronfluence', 'trak_0.01', 'trak_0.1', 'trak_1', 'trak_10', 'grad_dot', 'tf_idf']

/** @param run the adapter that is scored, a PEFT folder */
export async function peerScores(
  setting: Setting,
  { run, folder, cache }: { run: string; folder: string; cache: string },
  told: (text: string) => void,
): Promise<{ scores: Scores; missing: string[] }> {
  const to = join(folder, 'peers')
  const path = (name: string): string => join(to, `${name}.npy`)
  mkdirSync(to, { recursive: true })
  const missing: string[] = []
  if (!PEERS.every((name) => existsSync(path(name)))) {
    told('peers: kronfluence, TRAK, grad-dot, TF-IDF')
    const data = join(folder, 'data.json')
    const ids = (of: Setting['train']): number[][] => of.map(({ tokens }) => [...tokens])
    writeFileSync(
      data,
      JSON.stringify({ train: ids(setting.train), queries: ids(setting.queries) }),
    )
    const script = join(import.meta.dirname, 'peers.py')
    const failure = await runPython(INFLUENCE_VENV, cache, [script, BASE, run, data, to])
    if (failure !== undefined) missing.push(`peers incomplete: ${failure}`)
  }
  const scores = new Map<string, ArrayLike<number | bigint>>()
  for (const name of PEERS) {
    if (existsSync(path(name))) scores.set(name, readNpy(path(name)))
    else missing.push(`${name} is missing`)
  }
  return { scores, missing }
}
