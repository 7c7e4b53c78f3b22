/** The chain's configuration (`rollup.json`), asked for once. Numbers are JSON numbers. */
import { call } from './rpc.ts'

type Hex = `0x${string}`

export type ChainConfig = {
  readonly l1ChainId: number
  readonly l2ChainId: number
  readonly blockTime: number
  readonly batchInbox: Hex
  readonly portal: Hex
  readonly l1SystemConfig?: Hex
  readonly l1Contracts: Readonly<Record<string, Hex>>
  readonly genesis: {
    readonly l1: { readonly number: number; readonly hash: Hex }
    readonly l2Time: number
    readonly systemConfig: {
      readonly batcher: Hex
      readonly unsafeBlockSigner: Hex
      readonly gasLimit: number
    }
  }
}

let asked: Promise<ChainConfig> | null = null

export function chainConfig(): Promise<ChainConfig> {
  asked ??= call<ChainConfig>('openledger_chainConfig').catch((error) => {
    asked = null
    throw error
  })
  return asked
}
