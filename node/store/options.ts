/**
 * Local limits of the store. None of them is consensus.
 */
export const storeOptions = {
  /** Decoded trie nodes kept in memory; about 0.5 KiB each. */
  nodeCacheEntries: 100_000,
  /** Contract codes kept in memory; at most 24 KiB each. */
  codeCacheEntries: 512,
  /** Blocks with their receipts kept in memory. */
  blockCacheEntries: 64,
  /** Block cache of LevelDB. */
  levelCacheBytes: 33_554_432,
} as const
