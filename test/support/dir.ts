/** Folders for tests. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A folder for tests with processes or servers that write into it. tap removes a folder that was made before
 * the first teardown was named *before* it runs the teardowns: a process that still writes makes that fail, and then
 * nobody is stopped. Here the folder goes last.
 */
export function workDir(t: { testdir(): string; teardown(fn: () => unknown): void }): string {
  t.teardown(() => {})
  return t.testdir()
}

/** Every file below a folder. */
export function* filesBelow(dir: string): Generator<Buffer> {
  if (!existsSync(dir)) return
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) yield readFileSync(join(entry.parentPath, entry.name))
}
