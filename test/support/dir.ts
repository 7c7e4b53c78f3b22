/** Folders for tests. */
import { readdirSync, readFileSync } from 'node:fs'
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

/** Every file below a folder, but those that their writer takes away meanwhile. */
export function* filesBelow(dir: string): Generator<Buffer> {
  const entries = unlessGone(() => readdirSync(dir, { recursive: true, withFileTypes: true }))
  for (const entry of entries ?? [])
    if (entry.isFile()) {
      const bytes = unlessGone(() => readFileSync(join(entry.parentPath, entry.name)))
      if (bytes) yield bytes
    }
}

function unlessGone<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
