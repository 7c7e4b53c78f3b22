/** A node process to be killed: spawned, awaited, ended with SIGKILL at any moment of its life. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'

const SCRIPT = join(import.meta.dirname, '../../../scripts/openledger.mjs')
const STDERR_KEPT = 4_000

export class Victim {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  readonly #ready: Promise<void>
  #stderr = ''

  /** @param env added to ours */
  constructor(role: 'sequencer' | 'validator', configFile: string, env: NodeJS.ProcessEnv = {}) {
    const args = ['--no-warnings', SCRIPT, 'run', '--role', role, '--config', configFile]
    this.#child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()))
    this.#ready = new Promise((resolve, reject) => {
      let output = ''
      this.#child.stdout?.on('data', (chunk: Buffer) => {
        output += chunk
        if (output.includes('{"ready":true')) resolve()
      })
      this.#exited.then(() => reject(new Error(`it ended by itself: ${this.#stderr.trim()}`)))
    })
    // Killed before it was ready, nobody asks.
    this.#ready.catch(() => {})
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk).slice(-STDERR_KEPT)
    })
  }

  /** Its RPC answers. @throws when it ends before. */
  ready(): Promise<void> {
    return this.#ready
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}
