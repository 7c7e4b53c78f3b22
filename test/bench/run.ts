/** `npm run bench -- NAME [options]`: one benchmark by its name, without the folder. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const [name = ''] = process.argv.splice(2, 1)
const file = join(import.meta.dirname, `${name}.ts`)
if (!/^[a-z]+$/.test(name) || !existsSync(file)) {
  console.error(`no benchmark '${name}': test/bench/README.md lists them`)
  process.exit(2)
}
await import(file)
