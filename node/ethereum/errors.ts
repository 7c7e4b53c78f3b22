/**
 * Codes of this room's errors. All are for whoever brings the files: a genesis that cannot be read, a chain
 * file that is damaged, a block that is not a block of this chain.
 */
import { type NodeError, userError } from '../base/errors.ts'

/** @returns an error that names the field of `genesis.json`. */
export function genesisError(message: string): NodeError {
  return userError('genesis', `genesis.json: ${message}`)
}

export function chainFileError(message: string): NodeError {
  return userError('chain-file', message)
}
