/**
 * Every consensus limit, unit in its name. Changing one of these forks the chain; limits a node may
 * choose for itself live in the room's own `options.ts`.
 */

/** Frame data of one frame (specs: derivation.md). */
export const FRAME_DATA_BYTES_MAX = 1_000_000
/** Decompressed bytes of one channel (Fjord). */
export const CHANNEL_RLP_BYTES_MAX = 100_000_000
/** Usable bytes of one blob under blob codec v0 (Ecotone). */
export const BLOB_DATA_BYTES_MAX = 130_044

/** L2 block gas limit that SystemConfig may set: the deposits of one L1 block and the L1 attributes must
 * fit in, and a block must stay provable (specs: configurability.md). */
export const GAS_LIMIT_MIN = 21_000_000n
export const GAS_LIMIT_MAX = 200_000_000n
/** EIP-1559 elasticity that SystemConfig may set. */
export const EIP1559_ELASTICITY_MAX = 1_000

/** MODEL: bytes of one artefact chunk, tag included: a contract's code limit (EIP-170). */
export const MODEL_CHUNK_BYTES_MAX = 24_576
/** MODEL: chunks of one sealed table: 4 MiB of code. */
export const MODEL_CHUNKS_MAX = 176
/** ATTRIBUTE: entries of one query sketch, and columns of a table. */
export const SKETCH_ENTRIES_MAX = 4_096
/** ATTRIBUTE: rows of a table. */
export const CONTRIBUTORS_MAX = 4_096
/** ATTRIBUTE: contributors paid by one receipt. */
export const PAID_CONTRIBUTORS_MAX = 64
/** ATTRIBUTE: span and retrieval claims of one receipt. */
export const CLAIMS_MAX = 64
/** UPGRADE: bytes of a predeploy's new code (EIP-170). */
export const UPGRADE_CODE_BYTES_MAX = 24_576
/** Per cent of the specified gas that a precompile may cost by vote (PrecompileGas). */
export const PRECOMPILE_PERCENT_MIN = 50n
export const PRECOMPILE_PERCENT_MAX = 2_000n
/** Places in a corpus beyond which a span is a phrase of everybody's and no claim. */
export const SPAN_PLACES_MAX = 64
/** SPAN: tokens of one span, and bytes of its openings (about 11 kB of openings at 1e8 tokens). */
export const SPAN_TOKENS_MAX = 1_024
export const SPAN_PROOF_BYTES_MAX = 65_536
/** ATTRIBUTE: receipts of one `scoreBatch`. */
export const SCORE_BATCH_MAX = 64
