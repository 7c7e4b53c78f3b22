/** Addresses people know by name: our contracts, the precompiles, what stands at the same address on every chain. */
import {
  L1_ATTRIBUTES_DEPOSITOR,
  OP,
  OPENLEDGER,
  PRECOMPILE,
  STANDARD,
} from '../../../../genesis/addresses.ts'

/** `datanetRegistry` -> `DatanetRegistry`. */
const title = (name: string): string => `${name[0]?.toUpperCase()}${name.slice(1)}`

const entries = (group: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(group).map(([name, address]) => [address.toLowerCase(), title(name)])

const names = new Map<string, string>([
  ...entries(OP),
  ...entries(OPENLEDGER),
  ...entries(STANDARD),
  ...Object.entries(PRECOMPILE).map(([name, address]): [string, string] => [
    address,
    `${title(name)} precompile`,
  ]),
  [L1_ATTRIBUTES_DEPOSITOR, 'L1 attributes'],
  [OP.wopen, 'WOPEN'],
  ['0x0000000000000000000000000000000000000000', 'zero address'],
])

export const nameOf = (address: string): string | undefined => names.get(address.toLowerCase())
