/** `openledger doctor`: looks for what keeps a node from running, before it runs; `../doctor/` has the checks. */
import { ALL_GROUPS, type Command } from '../cli/command.ts'
import { EXIT } from '../cli/exit.ts'

export const doctor: Command = {
  name: 'doctor',
  summary: 'Checks machine, L1, data directory and keys, and says how to mend what is wrong',
  flags: { json: { help: 'as JSON' } },
  options: ALL_GROUPS,
  notes: 'The status is 4 when something is wrong; warnings alone leave it 0.',
  run: async ({ configure, switches }) => {
    const { codeOf, examine } = await import('../doctor/examine.ts')
    const { options } = configure()
    const findings = await examine(options)
    if (switches.has('json'))
      process.stdout.write(
        `${JSON.stringify(findings.map((one) => ({ ...one, code: codeOf(one) })))}\n`,
      )
    else
      for (const finding of findings) {
        const { name, state, detail, remedy } = finding
        process.stdout.write(`${state.padEnd(5)} ${name.padEnd(12)} ${detail}\n`)
        if (remedy) process.stdout.write(`${' '.repeat(19)}-> ${remedy} [${codeOf(finding)}]\n`)
      }
    const wrong = findings.filter(({ state }) => state === 'wrong').length
    if (!switches.has('json')) {
      process.stdout.write(wrong ? `${wrong} found\n` : 'nothing is wrong\n')
    }
    return wrong ? EXIT.findings : EXIT.ok
  },
}
