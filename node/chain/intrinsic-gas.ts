/** What a call to an address costs before anything runs: EIP-2028, EIP-3860 and the calldata floor of EIP-7623. */

export type GasFloor = { readonly intrinsic: bigint; readonly calldata: bigint }

export function gasFloor(tx: { readonly to: unknown; readonly data: Uint8Array }): GasFloor {
  const { data } = tx
  let zeros = 0
  for (let i = 0; i < data.length; i++) if (data[i] === 0) zeros++
  const tokens = zeros + 4 * (data.length - zeros)
  const creation = tx.to === null ? 32_000 + 2 * Math.ceil(data.length / 32) : 0
  return {
    intrinsic: BigInt(21_000 + 4 * tokens + creation),
    calldata: BigInt(21_000 + 10 * tokens),
  }
}
