/** The chain as an RPC thread has it: the reading half, and heads that are told to it. */
import type { Heads } from '../../chain/heads.ts'
import { ChainReader } from '../../chain/reader.ts'
import type { RpcChain } from '../context.ts'

export class ReplicaChain extends ChainReader implements RpcChain {
  /** As the node's own thread has them. */
  follow(heads: Heads): void {
    this.setHeads(heads)
  }

  /** Subscriptions live where the chain grows. */
  on(): () => void {
    return () => {}
  }
}
