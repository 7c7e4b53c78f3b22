/** `GET /errors`, `GET /errors/CODE`: the page of the web app for a browser, Markdown for everybody else. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { allErrorsText, errorText } from './catalogue.ts'

type Handle = (req: IncomingMessage, res: ServerResponse) => Promise<void>

export const errorRoute = (web: Handle): { prefix: string; handle: Handle } => ({
  prefix: '/errors',
  handle: async (req, res) => {
    if (String(req.headers.accept ?? '').includes('text/html')) return web(req, res)
    const [, , code] = (req.url ?? '').split(/[/?]/)
    const text = code ? errorText(code) : allErrorsText()
    res
      .writeHead(text === null ? 404 : 200, { 'content-type': 'text/markdown; charset=utf-8' })
      .end(text ?? `No error has the code ${code}: /errors lists them.\n`)
  },
})
