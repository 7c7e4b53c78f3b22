/**
 * A folder for tests with processes or servers that write into it. tap removes a folder that was made before
 * the first teardown was named *before* it runs the teardowns: a process that still writes makes that fail, and then
 * nobody is stopped. Here the folder goes last.
 */
export function workDir(t: { testdir(): string; teardown(fn: () => unknown): void }): string {
  t.teardown(() => {})
  return t.testdir()
}
