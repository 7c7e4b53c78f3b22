/**
 * The free quota of whoever sits at the node's own machine: so many tokens a day, paid by the operator's sponsor key
 * out of its own prepaid balance, so that contributors are paid for these answers like for any other.
 */
import { type SigningDomain, voucherTypedData } from '../../attribution/receipt.ts'
import { type Hex, ZERO_ADDRESS } from '../../base/bytes.ts'
import { signTypedData } from '../../keys/sign.ts'
import type { Signer } from '../../keys/signer.ts'
import type { KvTable } from '../../store/kv.ts'
import type { EscrowView } from '../payment.ts'
import type { Bill, Payer, WayOfPaying } from './types.ts'
import { refuse } from './who-pays.ts'

export type SponsorModules = {
  readonly provider: Hex
  readonly signer: Signer
  readonly domain: SigningDomain
  readonly quota: DailyQuota
  escrow(payer: Hex, provider: Hex, session: Hex): Promise<EscrowView>
}

export function payFromFreeQuota(modules: SponsorModules): WayOfPaying {
  const { quota } = modules
  return {
    scheme: 'free-quota',
    offer: async ({ isLocal }) => {
      if (!isLocal) return null
      const [perDay, left] = [quota.perDay, await quota.left()]
      return { tokensPerDay: perDay, tokensLeft: left, how: 'send no payment from this machine' }
    },
    take: async ({ isLocal }, bill) => (isLocal ? payerOf(bill, modules) : null),
  }
}

async function payerOf(bill: Bill, modules: SponsorModules): Promise<Payer | null> {
  const { provider, signer, domain, quota } = modules
  const { address } = signer
  const most = bill.tokensIn + bill.tokensOutMax
  const escrowNow = () => modules.escrow(address, provider, ZERO_ADDRESS)
  let taken = 0
  return {
    address,
    session: ZERO_ADDRESS,
    check: async (owed) => {
      const { balance } = await escrowNow()
      const need = owed.all + bill.feeMax
      if (balance < need)
        throw refuse(`the sponsor's prepaid balance is ${balance} wei; ${need} wei are needed`)
      if (!(await quota.take(most)))
        throw refuse(
          `the free quota of ${quota.perDay} tokens a day has ${await quota.left()} left; this request may take ${most}`,
        )
      taken = most
    },
    redeem: async ({ fee, tokens }, owed) => {
      const { charged } = await escrowNow()
      const cumulative = charged + owed.purse + fee
      const voucher = voucherTypedData({ payer: address, provider, cumulative }, domain)
      const signature = await signTypedData(signer, voucher)
      // Not before there is a signature: what fails gives back all it took, once.
      await quota.giveBack(taken - tokens)
      taken = tokens
      return { payer: address, session: ZERO_ADDRESS, cumulative, signature }
    },
    release: () => quota.giveBack(taken),
  }
}

const KEY = new TextEncoder().encode('free-quota')
const DAY_MS = 86_400_000

/** Tokens of one day (UTC), kept over restarts. A request takes its worst case first, so that requests side by side do
 * not overdraw it, and gives back what it did not need. */
export class DailyQuota {
  readonly perDay: number
  readonly #table: KvTable
  readonly #now: () => number
  #turn: Promise<unknown> = Promise.resolve()

  constructor(perDay: number, modules: { table: KvTable; now: () => number }) {
    this.perDay = perDay
    this.#table = modules.table
    this.#now = modules.now
  }

  async left(): Promise<number> {
    return Math.max(0, this.perDay - (await this.#used()))
  }

  /** False when there are not so many left. */
  take(tokens: number): Promise<boolean> {
    return this.#inTurn(async () => {
      const used = await this.#used()
      if (used + tokens > this.perDay) return false
      await this.#write(used + tokens)
      return true
    })
  }

  giveBack(tokens: number): Promise<void> {
    return this.#inTurn(async () => {
      if (tokens > 0) await this.#write(Math.max(0, (await this.#used()) - tokens))
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    return done
  }

  async #used(): Promise<number> {
    const bytes = await this.#table.get(KEY)
    if (!bytes) return 0
    const { day, used } = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return day === this.#day() ? used : 0
  }

  #write(used: number): Promise<void> {
    const text = JSON.stringify({ day: this.#day(), used })
    return this.#table.put(KEY, new TextEncoder().encode(text))
  }

  #day(): number {
    return Math.floor(this.#now() / DAY_MS)
  }
}
