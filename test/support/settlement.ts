/** Settlement with short windows and known validators, for tests on a real L1. */
import { SETTLEMENT_DEFAULTS, type Settlement } from '../../scripts/deploy-l1.ts'
import { CHAIN_ID, type Wallet, walletOf } from './chain.ts'

export const VALIDATORS: readonly Wallet[] = [0x51, 0x52, 0x53].map(walletOf)

export function testSettlement(change: Partial<Settlement> = {}): Settlement {
  return {
    ...SETTLEMENT_DEFAULTS,
    l2ChainId: CHAIN_ID,
    validators: VALIDATORS.map(({ address }) => address),
    threshold: 2,
    ...change,
  }
}
