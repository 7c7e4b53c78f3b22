/**
 * Python peers: a virtual environment for each set of requirements, made in the cache folder at first use. What cannot be
 * had or fails is said, so that a table names what it lacks.
 */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf } from '../../node/base/errors.ts'

export type Venv = { readonly name: string; readonly requirements: readonly string[] }

const run = promisify(execFile)
const OUTPUT_BYTES_MAX = 64 << 20

/** Runs a script; undefined when all went well, else what went wrong. */
export async function runPython(
  venv: Venv,
  cache: string,
  args: readonly string[],
): Promise<string | undefined> {
  try {
    const python = await pythonOf(venv, cache)
    await run(python, args, { maxBuffer: OUTPUT_BYTES_MAX })
    return undefined
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1)
    return said || messageOf(error)
  }
}

/** The interpreter of an environment, made when it is not there yet or is of other requirements. */
export async function pythonOf({ name, requirements }: Venv, cache: string): Promise<string> {
  const dir = join(cache, `venv-${name}`)
  const [python, ready] = [join(dir, 'bin', 'python'), join(dir, 'ready')]
  const wanted = requirements.join('\n')
  if (existsSync(ready) && readFileSync(ready, 'utf8') === wanted) return python
  await run('python3', ['-m', 'venv', dir])
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
  await run(python, [...install, ...requirements], { maxBuffer: OUTPUT_BYTES_MAX })
  writeFileSync(ready, wanted)
  return python
}
