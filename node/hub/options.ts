/** Limits of the Hugging Face facade. */

/** Repositories in one listing, and versions of a Datanet that are looked through for a revision. */
export const LISTED_MAX = 1_000
/** Paths asked for in one `paths-info`, and bytes of that request. */
export const PATHS_MAX = 1_000
export const BODY_BYTES_MAX: number = 256 * 1024
/** Bytes of a content file read and sent at a time. */
export const CHUNK_BYTES: number = 256 * 1024
