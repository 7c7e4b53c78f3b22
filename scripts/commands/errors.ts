/** `openledger errors`: what a code means and what to do, without a node; the same pages as a node's `/errors`. */
import { userError } from '../../node/base/errors.ts'
import { nearest } from '../../node/base/nearest.ts'
import type { Command } from '../cli/command.ts'

export const errors: Command = {
  name: 'errors',
  summary: 'Explains an error code: what happened, and what to do; without one, all of them',
  args: '[code]',
  flags: { json: { help: 'as JSON' } },
  run: async ({ args: [code], switches }) => {
    const { ERROR_GROUPS, allErrorsText, errorPage, errorText } = await import(
      '../../node/errors/catalogue.ts'
    )
    const all = ERROR_GROUPS.flatMap(({ pages }) => Object.keys(pages))
    const shown = code ? [code] : all
    if (code && !errorPage(code)) {
      const meant = nearest(code, all)
      throw userError(
        'usage',
        `no error has the code '${code}'${meant ? `; did you mean '${meant}'?` : ''}`,
      )
    }
    if (switches.has('json')) {
      const pages = shown.map((one) => {
        const [what, remedy] = errorPage(one)?.page ?? []
        return { code: one, what, remedy }
      })
      process.stdout.write(`${JSON.stringify(code ? pages[0] : pages)}\n`)
    } else process.stdout.write(code ? (errorText(code) ?? '') : allErrorsText())
    return undefined
  },
}
