//! The Merkle-Patricia trie over a cache of nodes: look a key up, or apply a batch of changes and hash what
//! changed. It reads no database: where a node is missing it says which, the caller puts it into the cache
//! and asks again.

use crate::cache::NodeCache;
use crate::keccak::{Hash, keccak};
use crate::nibbles;
use crate::node::{Child, Fresh, Kind, Node, decode, encode};
use crate::rlp;

/// keccak256(rlp("")): the root of nothing.
pub const EMPTY_ROOT: Hash = [
    0x56, 0xe8, 0x1f, 0x17, 0x1b, 0xcc, 0x55, 0xa6, 0xff, 0x83, 0x45, 0xe6, 0x92, 0xc0, 0xf8, 0x6e,
    0x5b, 0x48, 0xe0, 0x1b, 0x99, 0x6c, 0xad, 0xc0, 0x01, 0x62, 0x2f, 0xb5, 0xe3, 0x63, 0xb4, 0x21,
];

/// Changes from which hashing is worth several threads.
const PARALLEL_CHANGES_MIN: usize = 128;
const PARALLEL_LEVELS: u8 = 2;

#[derive(Debug, PartialEq)]
pub enum Stop {
    /// Not in the cache: put them there and ask again.
    Missing(Vec<Hash>),
    /// What stands under this hash is no trie node.
    Damaged(Hash),
}

/// The trie of `root`; keys are the hashes of what callers look up.
pub struct Trie<'a> {
    cache: &'a mut NodeCache,
    root: Child,
}

#[derive(Debug)]
pub struct Committed {
    pub root: Hash,
    pub fresh: Vec<Fresh>,
}

/// The value under `key`, or None.
pub fn get(cache: &mut NodeCache, root: &Hash, key: &Hash) -> Result<Option<Vec<u8>>, Stop> {
    let mut hash = *root;
    let mut at = 0;
    if hash == EMPTY_ROOT {
        return Ok(None);
    }
    loop {
        let stored = cache.get(&hash).ok_or_else(|| Stop::Missing(vec![hash]))?;
        match descend(stored, key, &mut at).ok_or(Stop::Damaged(hash))? {
            Step::Nothing => return Ok(None),
            Step::Value(value) => return Ok(Some(value.to_vec())),
            Step::Down(next) => hash = next,
        }
    }
}

enum Step<'a> {
    Nothing,
    Value(&'a [u8]),
    Down(Hash),
}

/// Follows `key` from nibble `at` through a node and those embedded in it, without opening them.
/// None: damaged.
fn descend<'a>(mut bytes: &'a [u8], key: &Hash, at: &mut usize) -> Option<Step<'a>> {
    loop {
        let (list, _) = rlp::split(bytes)?;
        let (first, rest) = rlp::split(list.content)?;
        let (second, rest) = rlp::split(rest)?;
        let child = if rest.is_empty() {
            let (path, is_leaf) = nibbles::unpack(first.content)?;
            let left = 64 - *at;
            if path.len() > left || (is_leaf && path.len() != left) {
                return Some(Step::Nothing);
            }
            if path.iter().enumerate().any(|(i, &nibble)| nibbles::at(key, *at + i) != nibble) {
                return Some(Step::Nothing);
            }
            if is_leaf {
                return Some(Step::Value(second.content));
            }
            *at += path.len();
            second
        } else {
            if *at >= 64 {
                return None;
            }
            let index = nibbles::at(key, *at);
            *at += 1;
            let mut rest = list.content;
            for _ in 0..index {
                rest = rlp::split(rest)?.1;
            }
            rlp::split(rest)?.0
        };
        if child.is_list {
            bytes = child.whole;
            continue;
        }
        return match child.content.len() {
            0 => Some(Step::Nothing),
            32 => Some(Step::Down(child.content.try_into().ok()?)),
            _ => None,
        };
    }
}

/// Applies `changes` (an empty value deletes) to the trie of `root`. New nodes are in the answer and in the cache.
pub fn commit(
    cache: &mut NodeCache,
    root: &Hash,
    changes: &[(Hash, &[u8])],
) -> Result<Committed, Stop> {
    let mut trie = Trie::open(cache, root);
    trie.expect(changes)?;
    for (key, value) in changes {
        trie.put(&nibbles::of_key(key), value)?;
    }
    let committed = trie.hash(changes.len());
    for (hash, bytes) in &committed.fresh {
        cache.put(*hash, bytes.clone());
    }
    Ok(committed)
}

/// Root of a list keyed by RLP index: transactions, receipts, withdrawals.
pub fn ordered_root(values: &[&[u8]]) -> Hash {
    let mut cache = NodeCache::new(0);
    let mut trie = Trie::open(&mut cache, &EMPTY_ROOT);
    for (index, value) in values.iter().enumerate() {
        let digits = (index as u64).to_be_bytes();
        let skip = digits.iter().take_while(|&&digit| digit == 0).count();
        let mut key = Vec::with_capacity(4);
        rlp::put_string(&mut key, &digits[skip..]);
        trie.put(&nibbles::of_key(&key), value).expect("nothing is in a database");
    }
    trie.hash(values.len()).root
}

impl<'a> Trie<'a> {
    pub fn open(cache: &'a mut NodeCache, root: &Hash) -> Self {
        let root = if *root == EMPTY_ROOT { Child::Empty } else { Child::Stored(*root) };
        Self { cache, root }
    }

    /// Names every node on the way to the keys that is missing, in one go.
    fn expect(&mut self, changes: &[(Hash, &[u8])]) -> Result<(), Stop> {
        let Child::Stored(root) = self.root else { return Ok(()) };
        let mut missing = Vec::new();
        for (key, _) in changes {
            match get(self.cache, &root, key) {
                Ok(_) => {}
                Err(Stop::Missing(hashes)) => missing.extend(hashes),
                Err(stop) => return Err(stop),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable();
        missing.dedup();
        Err(Stop::Missing(missing))
    }

    /// An empty value deletes. Keys may not begin one another.
    pub fn put(&mut self, path: &[u8], value: &[u8]) -> Result<(), Stop> {
        let Self { cache, root } = self;
        if value.is_empty() {
            remove(cache, root, path)?;
        } else {
            insert(cache, root, path, value)?;
        }
        Ok(())
    }

    fn hash(self, changes: usize) -> Committed {
        let mut fresh = Vec::new();
        let root = match &self.root {
            Child::Empty => EMPTY_ROOT,
            Child::Stored(hash) => *hash,
            Child::Open(node) => node.stored.unwrap_or_else(|| {
                let levels = if changes < PARALLEL_CHANGES_MIN { 0 } else { PARALLEL_LEVELS };
                let bytes = encode(node, levels, &mut fresh);
                let hash = keccak(&bytes);
                fresh.push((hash, bytes.into()));
                hash
            }),
        };
        Committed { root, fresh }
    }
}

/// Reads a stored child into memory.
fn open(cache: &mut NodeCache, child: &mut Child) -> Result<(), Stop> {
    if let Child::Stored(hash) = child {
        let bytes = cache.get(hash).ok_or_else(|| Stop::Missing(vec![*hash]))?;
        let node = decode(bytes, Some(*hash)).ok_or(Stop::Damaged(*hash))?;
        *child = Child::Open(Box::new(node));
    }
    Ok(())
}

/// True when anything below changed.
fn insert(
    cache: &mut NodeCache,
    child: &mut Child,
    path: &[u8],
    value: &[u8],
) -> Result<bool, Stop> {
    open(cache, child)?;
    let node = match child {
        Child::Open(node) => node,
        _ => {
            *child = Child::new(Kind::Leaf { path: path.to_vec(), value: value.to_vec() });
            return Ok(true);
        }
    };
    let changed = match &mut node.kind {
        Kind::Branch { children } => {
            insert(cache, &mut children[path[0] as usize], &path[1..], value)?
        }
        Kind::Leaf { path: own, value: before } if own == path => {
            if before == value {
                return Ok(false);
            }
            *before = value.to_vec();
            true
        }
        Kind::Extension { path: own, child: below } if path.starts_with(own) => {
            insert(cache, below, &path[own.len()..], value)?
        }
        Kind::Leaf { path: own, .. } | Kind::Extension { path: own, .. } => {
            let shared = nibbles::shared(own, path);
            let own = own.clone();
            let mut children: Box<[Child; 16]> = Default::default();
            children[own[shared] as usize] = without_prefix(std::mem::take(child), shared + 1);
            let leaf = Kind::Leaf { path: path[shared + 1..].to_vec(), value: value.to_vec() };
            children[path[shared] as usize] = Child::new(leaf);
            let branch = Child::new(Kind::Branch { children });
            *child = if shared == 0 {
                branch
            } else {
                Child::new(Kind::Extension { path: path[..shared].to_vec(), child: branch })
            };
            return Ok(true);
        }
    };
    if changed {
        node.stored = None;
    }
    Ok(changed)
}

/// True when anything below changed.
fn remove(cache: &mut NodeCache, child: &mut Child, path: &[u8]) -> Result<bool, Stop> {
    open(cache, child)?;
    let Child::Open(node) = child else { return Ok(false) };
    match &mut node.kind {
        Kind::Leaf { path: own, .. } => {
            if own != path {
                return Ok(false);
            }
            *child = Child::Empty;
        }
        Kind::Extension { path: own, child: below } => {
            if !path.starts_with(own) || !remove(cache, below, &path[own.len()..])? {
                return Ok(false);
            }
            let (own, below) = (std::mem::take(own), std::mem::take(below));
            *child = with_prefix(cache, &own, below)?;
        }
        Kind::Branch { children } => {
            if !remove(cache, &mut children[path[0] as usize], &path[1..])? {
                return Ok(false);
            }
            let mut left = (0..16).filter(|&i| children[i] != Child::Empty);
            let only = left.next().expect("a branch has two children");
            if left.next().is_some() {
                node.stored = None;
            } else {
                let below = std::mem::take(&mut children[only]);
                *child = with_prefix(cache, &[only as u8], below)?;
            }
        }
    }
    Ok(true)
}

/// `path` in front of `child`, merged with the path the child itself begins with.
fn with_prefix(cache: &mut NodeCache, path: &[u8], mut child: Child) -> Result<Child, Stop> {
    open(cache, &mut child)?;
    let Child::Open(node) = child else { return Ok(Child::Empty) };
    let joined = |below: &[u8]| [path, below].concat();
    Ok(Child::new(match *node {
        Node { kind: Kind::Leaf { path: own, value }, .. } => {
            Kind::Leaf { path: joined(&own), value }
        }
        Node { kind: Kind::Extension { path: own, child }, .. } => {
            Kind::Extension { path: joined(&own), child }
        }
        branch => Kind::Extension { path: path.to_vec(), child: Child::Open(Box::new(branch)) },
    }))
}

/// A leaf or extension with the first `length` nibbles of its path cut off.
fn without_prefix(child: Child, length: usize) -> Child {
    let Child::Open(node) = child else { return child };
    match node.kind {
        Kind::Leaf { path, value } => {
            Child::new(Kind::Leaf { path: path[length..].to_vec(), value })
        }
        Kind::Extension { path, child } if path.len() == length => child,
        Kind::Extension { path, child } => {
            Child::new(Kind::Extension { path: path[length..].to_vec(), child })
        }
        kind => Child::new(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn key(i: u32) -> Hash {
        keccak(&i.to_be_bytes())
    }

    /// Changes one at a time and in batches, deletes included, against a trie made at once.
    #[test]
    fn a_trie_depends_on_its_content_and_not_on_its_history() {
        let mut cache = NodeCache::new(1 << 24);
        let mut model = BTreeMap::new();
        let mut root = EMPTY_ROOT;
        for round in 0..60u32 {
            let changes: Vec<(Hash, Vec<u8>)> = (0..=round * 7 % 200)
                .map(|i| {
                    let n = (round * 31 + i * 17) % 250;
                    let value = if (n + round) % 3 == 0 {
                        vec![]
                    } else {
                        vec![n as u8 + 1; 1 + n as usize % 60]
                    };
                    (key(n), value)
                })
                .collect();
            for (key, value) in &changes {
                if value.is_empty() {
                    model.remove(key)
                } else {
                    model.insert(*key, value.clone())
                };
            }
            let views: Vec<(Hash, &[u8])> = changes.iter().map(|(k, v)| (*k, &v[..])).collect();
            root = commit(&mut cache, &root, &views).expect("all nodes are cached").root;
            let all: Vec<(Hash, &[u8])> = model.iter().map(|(k, v)| (*k, &v[..])).collect();
            let fresh = commit(&mut NodeCache::new(1 << 24), &EMPTY_ROOT, &all).expect("empty");
            assert_eq!(root, fresh.root, "round {round}");
            for n in 0..250 {
                assert_eq!(get(&mut cache, &root, &key(n)), Ok(model.get(&key(n)).cloned()));
            }
        }
    }

    #[test]
    fn missing_nodes_are_named_until_they_are_there() {
        let mut cache = NodeCache::new(1 << 24);
        let values: Vec<(Hash, &[u8])> = (0..500).map(|i| (key(i), &b"a value"[..])).collect();
        let whole = commit(&mut cache, &EMPTY_ROOT, &values).expect("empty");
        let disk: BTreeMap<Hash, Box<[u8]>> = whole.fresh.into_iter().collect();
        let mut cold = NodeCache::new(1 << 24);
        let mut rounds = 0;
        let deletions: Vec<(Hash, &[u8])> = (0..499).map(|i| (key(i), &b""[..])).collect();
        let left = loop {
            match commit(&mut cold, &whole.root, &deletions) {
                Ok(committed) => break committed.root,
                Err(Stop::Missing(hashes)) => {
                    rounds += 1;
                    for hash in hashes {
                        cold.put(hash, disk[&hash].clone());
                    }
                }
                Err(stop) => panic!("{stop:?}"),
            }
        };
        assert!(rounds > 1);
        let one = commit(&mut NodeCache::new(1 << 24), &EMPTY_ROOT, &values[499..]).expect("empty");
        assert_eq!(left, one.root);
    }

    #[test]
    fn a_damaged_node_is_named() {
        let mut cache = NodeCache::new(1 << 20);
        let root = keccak(b"junk");
        cache.put(root, b"junk".to_vec().into());
        assert_eq!(get(&mut cache, &root, &key(1)), Err(Stop::Damaged(root)));
        assert_eq!(commit(&mut cache, &root, &[(key(1), b"v")]).unwrap_err(), Stop::Damaged(root));
    }
}
