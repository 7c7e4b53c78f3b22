/**
 * The other half of "the node does, the prover does it again and compares": a block's attributes read back from
 * the block, the block run again from its clean parent state, and the first header field that differs.
 */

import type { InvalidBlock } from './errors.ts'
import type { Executed, ExecuteInput } from './execute.ts'
import { executeBlock } from './execute.ts'
import { decodeExtraData } from './fees.ts'
import { RlpError } from './rlp.ts'
import type { Block, EthereumHeader, Header, PayloadAttributes } from './types.ts'

export type Verdict =
  | { readonly kind: 'ok'; readonly executed: Executed }
  | InvalidBlock
  | {
      readonly kind: 'mismatch'
      readonly field: keyof Header
      readonly expected: string
      readonly got: string
    }

/** @throws RlpError when the extra data carries no EIP-1559 parameters. */
export function attributesOf(block: Block): PayloadAttributes {
  const { header } = block
  const params = decodeExtraData(header.extraData)
  if (!params) throw new RlpError('extraData carries no EIP-1559 parameters')
  return {
    timestamp: header.timestamp,
    prevRandao: header.mixHash,
    parentBeaconBlockRoot: header.parentBeaconBlockRoot,
    gasLimit: header.gasLimit,
    eip1559Denominator: params.denominator,
    eip1559Elasticity: params.elasticity,
    transactions: block.transactions,
  }
}

/** `expected` is what execution gives, `got` what the block claims. */
export async function verifyBlock(
  block: Block,
  clean: Pick<ExecuteInput, 'config' | 'parent' | 'state'>,
): Promise<Verdict> {
  if (!decodeExtraData(block.header.extraData)) {
    return { kind: 'invalid', reason: 'extraData carries no EIP-1559 parameters' }
  }
  const result = await executeBlock({ ...clean, attributes: attributesOf(block) })
  if (result.kind === 'invalid') return result
  if (result.block.hash === block.hash) return { kind: 'ok', executed: result }
  const difference = firstDifference(result.block.header, block.header)
  if (!difference) return { kind: 'invalid', reason: 'block hash is not the hash of its header' }
  return { kind: 'mismatch', ...difference }
}

/** Causes before consequences: a wrong receipt also changes the state root. */
const FIELDS: readonly (keyof Header)[] = [
  'parentHash',
  'number',
  'timestamp',
  'gasLimit',
  'baseFeePerGas',
  'transactionsRoot',
  'gasUsed',
  'receiptsRoot',
  'logsBloom',
  'stateRoot',
  'withdrawalsRoot',
  'ommersHash',
  'coinbase',
  'difficulty',
  'extraData',
  'mixHash',
  'nonce',
  'blobGasUsed',
  'excessBlobGas',
  'parentBeaconBlockRoot',
  'requestsHash',
]

export function firstDifference(
  expected: EthereumHeader,
  got: EthereumHeader,
): { field: keyof Header; expected: string; got: string } | null {
  for (const field of FIELDS) {
    const [want, have] = [text(expected[field]), text(got[field])]
    if (want !== have) return { field, expected: want, got: have }
  }
  return null
}

function text(value: EthereumHeader[keyof EthereumHeader]): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
}
