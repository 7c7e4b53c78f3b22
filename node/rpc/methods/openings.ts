/** openledger_openPass: how a receipt's answer was computed, operator by operator. */
import { toHex } from '../../base/bytes.ts'
import type { Openings } from '../../model/openings.ts'
import { COST, method, type RpcMethods } from '../method.ts'
import { bytes, count, hash, optional, required } from '../params.ts'

export function openingMethods(openings: Pick<Openings, 'ask'>): RpcMethods {
  return {
    openledger_openPass: method({
      summary:
        "How a receipt's answer was computed, from here or from its provider: the operators of the pass, signed; with an operator the hashes of its tiles; with a tile too its values",
      params: [
        required('receiptHash', hash),
        optional('operator', count, null),
        optional('tile', count, null),
      ],
      result: bytes.schema,
      cost: COST.replay,
      aside: false,
      handler: async (_context, [receipt, operator, tile]) => {
        const question = {
          receipt,
          ...(operator !== null && { operator }),
          ...(operator !== null && tile !== null && { tile }),
        }
        return toHex(await openings.ask(question, () => true))
      },
    }),
  }
}
