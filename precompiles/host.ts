/**
 * The door between EthereumJS and our precompiles. EthereumJS hands a precompile its input and gas
 * only; ours must also know who called, in which context (`CALL`, `STATICCALL`, `DELEGATECALL`,
 * `CALLCODE`) and what they may write. `PrecompileEvm` keeps the running message at hand: the frame is
 * taken where a message begins to execute and given back where it ends, so nesting, reverts and
 * exceptions cannot leave a stale one.
 */
import {
  EVM,
  EVMError,
  type EVMInterface,
  type EVMResult,
  type ExecResult,
  type Message,
  type PrecompileFunc,
  type PrecompileInput,
} from '@ethereumjs/evm'
import { Address, concatBytes } from '@ethereumjs/util'

type Frame = {
  readonly caller: Address
  /** Nothing may be written: the call or one around it is a STATICCALL. */
  readonly isStatic: boolean
  /** A plain call to the precompile itself, not its code borrowed by DELEGATECALL or CALLCODE. */
  readonly isPlain: boolean
  readonly value: bigint
}

export type PrecompileContext = {
  readonly input: Uint8Array
  /** Gas this call may use. */
  readonly gasLimit: bigint
  readonly frame: Frame
  readonly evm: EVMInterface
}

/** Halting takes all gas of the call and undoes nothing but the call; there is no return data. */
export type PrecompileOutcome =
  | { readonly kind: 'return'; readonly gasUsed: bigint; readonly output: Uint8Array }
  | { readonly kind: 'halt'; readonly reason: string }
  | { readonly kind: 'out-of-gas' }

export type Precompile = (context: PrecompileContext) => Promise<PrecompileOutcome>

type CallMessage = Message & { to: Address }

const CREATE2_MARK: Uint8Array = Uint8Array.of(0xff)

type Tables = {
  readonly _opcodes: ReturnType<EVM['getActiveOpcodes']>
  readonly _opcodeMap: readonly unknown[]
  readonly [field: string]: unknown
}
const tables = new WeakMap<object, { readonly rules: string; readonly made: Tables }>()

export class PrecompileEvm extends EVM {
  readonly #frames: CallMessage[] = []

  /** The message whose code runs now. */
  get frame(): CallMessage | undefined {
    return this.#frames[this.#frames.length - 1]
  }

  /** Building the opcode tables takes most of making an EVM, and every call makes one: they are kept for each
   * rule set. An observer changes the map of its own EVM, so each gets a copy of that. */
  override getActiveOpcodes(): ReturnType<EVM['getActiveOpcodes']> {
    const rules = `${this.common.hardfork()} ${this.common.eips()}`
    const known = tables.get(this.common)
    if (this._customOpcodes || known?.rules !== rules) {
      const opcodes = super.getActiveOpcodes()
      const { _opcodes, _dynamicGasHandlers, _handlers, _opcodeMap } = this
      const made = { _opcodes, _dynamicGasHandlers, _handlers, _opcodeMap: _opcodeMap.slice() }
      if (!this._customOpcodes) tables.set(this.common, { rules, made })
      return opcodes
    }
    Object.assign(this, known.made, { _opcodeMap: known.made._opcodeMap.slice() })
    return known.made._opcodes
  }

  /** CREATE2 hashes the creation code: with the chain's keccak, not the library's (EIP-1014). */
  protected override async _generateAddress(message: Message): Promise<Address> {
    const { keccak256 } = this.common.customCrypto
    const { salt, code, caller } = message
    if (!salt || !keccak256 || !(code instanceof Uint8Array)) return super._generateAddress(message)
    const codeHash = keccak256(code)
    return new Address(keccak256(concatBytes(CREATE2_MARK, caller.bytes, salt, codeHash)).slice(12))
  }

  protected override async _executeCall(message: CallMessage): Promise<EVMResult> {
    this.#frames.push(message)
    try {
      return await super._executeCall(message as never)
    } finally {
      this.#frames.pop()
    }
  }
}

/** As EthereumJS wants it. @throws never, but for faults of the machine (a failing read of the store). */
export function toPrecompileFunc(precompile: Precompile): PrecompileFunc {
  return async (opts: PrecompileInput): Promise<ExecResult> => {
    const message = (opts._EVM as PrecompileEvm).frame
    if (!message) throw new Error('a precompile ran outside a message: use PrecompileEvm')
    const outcome = await precompile({
      input: opts.data,
      gasLimit: opts.gasLimit,
      evm: opts._EVM,
      frame: {
        caller: message.caller,
        isStatic: message.isStatic,
        isPlain: !message.delegatecall && message.codeAddress.equals(message.to),
        value: message.value,
      },
    })
    return toExecResult(outcome, opts.gasLimit)
  }
}

function toExecResult(outcome: PrecompileOutcome, gasLimit: bigint): ExecResult {
  if (outcome.kind === 'return') {
    return { returnValue: outcome.output, executionGasUsed: outcome.gasUsed }
  }
  const { OUT_OF_GAS, INVALID_INPUTS } = EVMError.errorMessages
  return {
    returnValue: new Uint8Array(0),
    executionGasUsed: gasLimit,
    exceptionError: new EVMError(outcome.kind === 'halt' ? INVALID_INPUTS : OUT_OF_GAS),
  }
}
