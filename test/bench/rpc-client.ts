/**
 * The JSON-RPC client of the benchmarks: kept connections, one request at a time on each, little work of
 * its own, so that what is measured is the server.
 */
import { Agent, request } from 'node:http'

export type Entry = { readonly method: string; readonly params: readonly unknown[] }

export class BenchClient {
  readonly #url: URL
  readonly #agent: Agent
  #id = 0

  constructor(url: string, connections: number) {
    this.#url = new URL(url)
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  /** @throws Error with the server's own message. */
  async call<T>(method: string, ...params: readonly unknown[]): Promise<T> {
    const [result] = await this.batch<T>([{ method, params }])
    return result as T
  }

  /** One HTTP request; a list of one goes as a plain request. Results in the order of `entries`. */
  async batch<T>(entries: readonly Entry[]): Promise<T[]> {
    const calls = entries.map((entry) => ({ jsonrpc: '2.0', id: ++this.#id, ...entry }))
    const text = await this.#post(JSON.stringify(calls.length === 1 ? calls[0] : calls))
    const parsed = JSON.parse(text)
    const answers: Answer<T>[] = Array.isArray(parsed) ? parsed : [parsed]
    const byId = new Map(answers.map((answer) => [answer.id, answer]))
    return calls.map(({ id, method }) => {
      const answer = byId.get(id)
      if (!answer || answer.error) {
        throw new Error(`${method}: ${answer?.error?.message ?? `no answer in ${text}`}`)
      }
      return answer.result
    })
  }

  close(): void {
    this.#agent.destroy()
  }

  #post(body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': body.length }
      const post = request(this.#url, { method: 'POST', agent: this.#agent, headers }, (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk: string) => {
          text += chunk
        })
        answer.once('end', () => resolve(text))
        answer.once('error', reject)
      })
      post.once('error', reject)
      post.end(body)
    })
  }
}

type Answer<T> = { readonly id: number; readonly result: T; readonly error?: { message: string } }
