/** Writes the reference in `scripts/README.md` anew: `npm run build:reference`. A test says when it is due. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withReference } from './cli/reference.ts'
import { allCommands } from './commands/index.ts'

const path = join(import.meta.dirname, 'README.md')
writeFileSync(path, withReference(readFileSync(path, 'utf8'), await allCommands()))
