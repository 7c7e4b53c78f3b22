/** Market: agents, models and Datanets that are for sale or to be licensed, with who gets what of the price. */
import { AgentDirectory } from '../../agents/directory.ts'
import {
  KINDS,
  LISTINGS_MAX,
  listedId,
  type MarketModules,
  readListing,
  readListings,
} from '../../agents/market.ts'
import type { Chain } from '../../chain/chain.ts'
import type { ModelServices } from '../../model/services.ts'
import { invalidParams } from '../errors.ts'
import { COST, method, type RpcMethods, type ValueType } from '../method.ts'
import { bad, count, oneOf, optional, required } from '../params.ts'
import * as shapes from '../results/openledger.ts'
import { nullable } from '../results/shape.ts'
import { orNull, plain } from './plain.ts'

export type MarketServices = {
  readonly chain: Chain
  readonly models: Pick<ModelServices, 'registry'>
}

/** A model's id, or the number of an agent or a Datanet. */
const thing: ValueType<string> = {
  schema: { type: 'string', pattern: '^(0x[0-9a-fA-F]{64}|[1-9][0-9]{0,17})$' },
  parse: (value) => {
    const isOne = KINDS.some((kind) => listedId(kind, String(value)) !== null)
    if (typeof value !== 'string' || !isOne)
      throw bad("a model's id (32 bytes of 0x hex) or a number from 1 as a string", value)
    return value
  },
}

export function marketMethods({ chain, models }: MarketServices): RpcMethods {
  const modules: MarketModules = {
    chain,
    registry: models.registry,
    directory: new AgentDirectory(chain),
  }
  return {
    openledger_getListings: method({
      summary: `Offers of the market from a place on (0), at most ${LISTINGS_MAX} (20); places change when an offer is taken out. Amounts are wei`,
      params: [optional('from', count, 0), optional('limit', count, 20)],
      result: shapes.listings,
      cost: COST.scan,
      aside: false,
      handler: async (_context, [from, limit]) =>
        plain(await readListings(modules, { from, limit })),
    }),
    openledger_getListing: method({
      summary: 'The offer of one agent or Datanet, by its number, or model, by its id; or null',
      params: [required('kind', oneOf(KINDS)), required('id', thing)],
      result: nullable(shapes.listing),
      handler: async (_context, [kind, id]) => {
        const listed = listedId(kind, id)
        if (!listed)
          throw invalidParams(
            `invalid argument 1 (id): '${id}' names no ${kind}: models go by an id, agents and Datanets by a number`,
          )
        return orNull(await readListing(modules, kind, listed))
      },
    }),
  }
}
