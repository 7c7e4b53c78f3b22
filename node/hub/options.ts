/** Limits of the Hugging Face facade. */

/** Repositories in one listing. */
export const LISTED_MAX = 1_000
/** Versions of a Datanet that one request looks through for a commit; older ones go by `v1`. */
export const VERSIONS_SOUGHT_MAX = 64
/** Paths asked for in one `paths-info`, and bytes of that request. */
export const PATHS_MAX = 1_000
export const BODY_BYTES_MAX: number = 256 * 1024
/** Bytes of a content file read and sent at a time. */
export const CHUNK_BYTES: number = 256 * 1024
/** Bytes of a Datanet version that are hashed to describe it. */
export const CROISSANT_BYTES_MAX: number = 1024 * 2 ** 20
/** Pictures, and sounds, that a description lists with their addresses. */
export const MEDIA_DESCRIBED_MAX = 10_000
