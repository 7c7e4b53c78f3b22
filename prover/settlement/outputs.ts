/**
 * Outputs as this node derived and verified them, and attestations of them: its own, once per block, and
 * those it collects from the other validators.
 */
import { bigintToBytes, fromHex, type Hex, toHex } from '../../node/base/bytes.ts'
import { messageOf, NodeError, userError } from '../../node/base/errors.ts'
import type { Log } from '../../node/base/log.ts'
import type { Chain } from '../../node/chain/chain.ts'
import { outputRootOf } from '../../node/chain/output.ts'
import { isSignerFault, type Signer } from '../../node/keys/signer.ts'
import { readText } from '../../node/l1/client.ts'
import type { KvTable } from '../../node/store/kv.ts'
import {
  type Attestation,
  type AttestationDomain,
  type Output,
  signerOf,
  signOutput,
} from './attestation.ts'

export type OutputHead = 'safe' | 'finalized'

export type OutputsModules = {
  readonly chain: Pick<Chain, 'headRef' | 'blockByNumber'>
  /** Highest block this validator has re-executed with the supply found right. */
  readonly verifiedBlock: () => bigint
  readonly head: OutputHead
}

/** What this node says the L2 is. */
export class Outputs {
  readonly #modules: OutputsModules

  constructor(modules: OutputsModules) {
    this.#modules = modules
  }

  /** The newest block whose output this node stands for. */
  head(): bigint {
    const { chain, verifiedBlock, head } = this.#modules
    const [derived, verified] = [chain.headRef(head).number, verifiedBlock()]
    return verified < derived ? verified : derived
  }

  /** Null beyond the head. */
  at(l2BlockNumber: bigint): Output | null {
    if (l2BlockNumber > this.head()) return null
    const block = this.#modules.chain.blockByNumber(l2BlockNumber)
    return block && { l2BlockNumber, outputRoot: outputRootOf(block) }
  }
}

export type AttestorModules = {
  readonly outputs: Outputs
  readonly domain: AttestationDomain
  readonly signer: Signer
  /** number u64 -> root 32: what has been signed. */
  readonly signed: Pick<KvTable, 'get' | 'put'>
}

/** Signs outputs; never two for one block. */
export class Attestor {
  readonly #modules: AttestorModules
  #turn: Promise<unknown> = Promise.resolve()

  constructor(modules: AttestorModules) {
    this.#modules = modules
  }

  /** @throws NodeError when the block is not verified yet, or another output of it has been signed; as `Signer.sign`:
   * asked again, the same output is signed. */
  attest(l2BlockNumber: bigint): Promise<Attestation> {
    const next = this.#turn.then(() => this.#attest(l2BlockNumber))
    this.#turn = next.catch(() => {})
    return next
  }

  async #attest(l2BlockNumber: bigint): Promise<Attestation> {
    const { outputs, domain, signer, signed } = this.#modules
    const output = outputs.at(l2BlockNumber)
    if (!output) {
      const message = `block ${l2BlockNumber} is above ${outputs.head()}, the newest this validator has verified: ask again later`
      throw new NodeError('output-not-verified', 'retry', message)
    }
    const row = bigintToBytes(l2BlockNumber, 8)
    const before = await signed.get(row)
    if (before && toHex(before) !== output.outputRoot) {
      const message = `output ${toHex(before)} of block ${l2BlockNumber} has been signed before L1 changed; a second one would cost the bond`
      throw userError('output-equivocation', message)
    }
    if (!before) await signed.put(row, fromHex(output.outputRoot))
    return signOutput(domain, output, signer)
  }
}

export type CollectorModules = {
  readonly attestor: Attestor | null
  /** JSON-RPC of other validators. */
  readonly peers: readonly string[]
  readonly domain: AttestationDomain
  readonly isBonded: (validator: Hex) => Promise<boolean>
  readonly threshold: () => Promise<number>
  readonly log: Log
}

const PEER_TIMEOUT_MS = 5_000
const ANSWER_BYTES_MAX = 10_000

/** Enough bonded validators' signatures, or null while there are too few. */
export async function collectAttestations(
  modules: CollectorModules,
  output: Output,
): Promise<Attestation[] | null> {
  const { attestor, peers, domain, isBonded, threshold, log } = modules
  const asked = [
    ...(attestor ? [attestor.attest(output.l2BlockNumber)] : []),
    ...peers.map((url) => askPeer(url, output.l2BlockNumber)),
  ]
  const found = new Map<Hex, Attestation>()
  for (const answer of await Promise.allSettled(asked)) {
    if (answer.status === 'rejected') {
      const level = isSignerFault(answer.reason) ? 'warn' : 'debug'
      log[level]('no attestation', { error: messageOf(answer.reason) })
      continue
    }
    const { signature } = answer.value
    const validator = await signerOf(domain, output, signature)
    if (validator && (await isBonded(validator))) {
      found.set(validator, { ...output, validator, signature })
    } else log.warn('an attestation does not count', { block: output.l2BlockNumber, validator })
  }
  const needed = await threshold()
  if (found.size >= needed) return [...found.values()]
  log.warn('too few attestations', { block: output.l2BlockNumber, found: found.size, needed })
  return null
}

async function askPeer(url: string, l2BlockNumber: bigint): Promise<{ signature: Hex }> {
  const params = [`0x${l2BlockNumber.toString(16)}`]
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'openledger_attestOutput', params }),
    signal: AbortSignal.timeout(PEER_TIMEOUT_MS),
  })
  const text = await readText(response, ANSWER_BYTES_MAX)
  const { result, error } = JSON.parse(text)
  if (error) throw new Error(`${url}: ${error.message}`)
  if (!/^0x[0-9a-f]{130}$/.test(result?.signature)) throw new Error(`${url}: no signature`)
  return { signature: result.signature }
}
