//! Trie nodes by hash, within a budget of bytes. What is found by its own hash is never stale, so forks and
//! reorganisations need nothing from it.
//!
//! Two generations: what is used moves to the young one; when that has half the budget it becomes the old one
//! and the old one is forgotten. Forgets about what LRU would, with no list to keep.

use crate::keccak::Hash;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Keys are hashes already: their first eight bytes will do.
#[derive(Default)]
struct Prefix(u64);

impl Hasher for Prefix {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(prefix) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*prefix);
        }
    }
    fn write_usize(&mut self, _length: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}

type Nodes = HashMap<Hash, Box<[u8]>, BuildHasherDefault<Prefix>>;

/// What an entry takes besides the node's own bytes.
const ENTRY_BYTES: usize = 64;

pub struct NodeCache {
    bytes_max: usize,
    young_bytes: usize,
    young: Nodes,
    old: Nodes,
}

impl NodeCache {
    pub fn new(bytes_max: usize) -> Self {
        let (young, old) = Default::default();
        Self { bytes_max, young_bytes: 0, young, old }
    }

    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn put(&mut self, hash: Hash, rlp: Box<[u8]>) {
        self.young_bytes += rlp.len() + ENTRY_BYTES;
        if let Some(before) = self.young.insert(hash, rlp) {
            self.young_bytes -= before.len() + ENTRY_BYTES;
        }
        if self.young_bytes > self.bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    pub fn get(&mut self, hash: &Hash) -> Option<&[u8]> {
        if !self.young.contains_key(hash) {
            let rlp = self.old.remove(hash)?;
            self.put(*hash, rlp);
        }
        self.young.get(hash).or_else(|| self.old.get(hash)).map(|rlp| &**rlp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keccak::keccak;

    #[test]
    fn it_forgets_what_was_not_used_and_stays_within_its_budget() {
        let mut cache = NodeCache::new(20_000);
        let kept = keccak(b"kept");
        cache.put(kept, vec![1; 100].into());
        for i in 0..1000u32 {
            cache.put(keccak(&i.to_be_bytes()), vec![0; 100].into());
            assert_eq!(cache.get(&kept), Some(&[1; 100][..]));
            assert!(cache.len() * (100 + ENTRY_BYTES) <= 20_000 + 2 * (100 + ENTRY_BYTES));
        }
        assert_eq!(cache.get(&keccak(&0u32.to_be_bytes())), None);
        assert!(cache.get(&keccak(&999u32.to_be_bytes())).is_some());
    }
}
