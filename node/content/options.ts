/**
 * Local limits of the content store. None is consensus: two nodes may differ and still agree on every
 * hash.
 */

/** Bytes of one piece of content: a shard of a base model is the largest thing there is. */
export const CONTENT_BYTES_MAX: number = 2 ** 32
/** Bytes `get` takes into memory at once; larger content is read by `path` or `read`. */
export const GET_BYTES_MAX: number = 256 * 2 ** 20
/** Bytes hashed or copied at a time. */
export const COPY_CHUNK_BYTES: number = 2 ** 20
/** Bytes of a file hashed in one turn of the event loop (about 20 ms); a larger one is hashed on a thread. */
export const HASH_AT_ONCE_BYTES_MAX: number = 8 * 2 ** 20
/** A temporary file older than this belongs to a writer that died. */
export const TEMP_AGE_MS_MAX: number = 60 * 60 * 1000

/** Files of one directory artefact. */
export const DIRECTORY_FILES_MAX = 1_024
/** Bytes of one manifest: 1,024 entries of a name, a size and a hash. */
export const MANIFEST_BYTES_MAX: number = 512 * 1024
/** UTF-8 bytes of one file's name inside its directory. */
export const NAME_BYTES_MAX = 255
/** Path segments of one name. */
export const NAME_DEPTH_MAX = 4
