//! Which page of the key-value cache belongs to whom. A page holds 64 positions of all layers (one tile
//! of every sum over keys). Full pages are known by the hash of everything that decided them:
//!
//!   chain(0) = adapter, chain(i + 1) = keccak256(chain(i) || the 64 tokens of page i)
//!
//! so a prompt that begins like an earlier one (same adapter) takes those pages over instead of computing
//! them: the bytes would be the same. A page is free, in use by one or more sequences, or kept: in use by
//! nobody, but known; kept pages are given away least recently used first when no page is free.

use crate::hash::{Hash, finish};
use crate::ops::attention::KEY_TILE;
use std::collections::{BTreeMap, HashMap};
use tiny_keccak::{Hasher, Keccak};

/// Positions in a page.
pub const PAGE: usize = KEY_TILE;

pub type Chain = Hash;

/// The chain before the first page of a sequence that runs with what `root` names.
pub fn chain_root(root: &[u8]) -> Chain {
    hash(&[root])
}

/// The chain after a page of these tokens.
pub fn chain_next(chain: &Chain, tokens: &[u32]) -> Chain {
    assert_eq!(tokens.len(), PAGE, "only full pages have a name");
    let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
    hash(&[chain, &bytes])
}

fn hash(parts: &[&[u8]]) -> Chain {
    let mut keccak = Keccak::v256();
    parts.iter().for_each(|part| keccak.update(part));
    finish(keccak)
}

#[derive(Clone, Default)]
struct Page {
    users: usize,
    name: Option<Chain>,
    /// When it was last let go; its key in `kept`.
    left_at: u64,
}

pub struct Pages {
    all: Vec<Page>,
    free: Vec<u32>,
    named: HashMap<Chain, u32>,
    /// Pages used by nobody but known, oldest first.
    kept: BTreeMap<u64, u32>,
    clock: u64,
}

impl Pages {
    pub fn new(count: usize) -> Self {
        Self {
            all: vec![Page::default(); count],
            free: (0..count as u32).rev().collect(),
            named: HashMap::new(),
            kept: BTreeMap::new(),
            clock: 0,
        }
    }

    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Pages that could be had now.
    pub fn available(&self) -> usize {
        self.free.len() + self.kept.len()
    }

    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// A page of one's own; None when all are in use.
    pub fn take(&mut self) -> Option<u32> {
        let page = match self.free.pop() {
            Some(page) => page,
            None => {
                let (_, page) = self.kept.pop_first()?;
                self.forget_name(page);
                page
            }
        };
        self.all[page as usize].users = 1;
        Some(page)
    }

    /// The page of that name, shared from now on.
    pub fn share(&mut self, name: &Chain) -> Option<u32> {
        let page = *self.named.get(name)?;
        let entry = &mut self.all[page as usize];
        if entry.users == 0 {
            self.kept.remove(&entry.left_at);
        }
        entry.users += 1;
        Some(page)
    }

    /// Names a full page, so that others may share it. The first page of a name keeps it.
    pub fn publish(&mut self, page: u32, name: Chain) {
        let entry = &mut self.all[page as usize];
        assert!(entry.users > 0, "page {page} is used by nobody");
        if entry.name.is_none() && !self.named.contains_key(&name) {
            entry.name = Some(name);
            self.named.insert(name, page);
        }
    }

    /// A sequence lets its pages go, the last first, so that the beginning of a chain is kept longest.
    pub fn release(&mut self, pages: &[u32]) {
        for page in pages.iter().rev() {
            let entry = &mut self.all[*page as usize];
            assert!(entry.users > 0, "page {page} was let go twice");
            entry.users -= 1;
            if entry.users > 0 {
                continue;
            }
            if entry.name.is_some() {
                self.clock += 1;
                entry.left_at = self.clock;
                self.kept.insert(self.clock, *page);
            } else {
                self.free.push(*page);
            }
        }
    }

    /// Forgets all names: what the pages hold is gone.
    pub fn forget(&mut self) {
        for page in std::mem::take(&mut self.kept).into_values() {
            self.free.push(page);
        }
        self.named.clear();
        self.all.iter_mut().for_each(|page| page.name = None);
    }

    fn forget_name(&mut self, page: u32) {
        if let Some(name) = self.all[page as usize].name.take() {
            self.named.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_shared_while_used_kept_while_known_and_given_away_oldest_first() {
        let mut pages = Pages::new(3);
        let (a, b) = (chain_root(b"a"), chain_root(b"b"));
        let first = [pages.take().expect("free"), pages.take().expect("free")];
        pages.publish(first[0], a);
        pages.publish(first[1], b);
        assert_eq!(pages.share(&a), Some(first[0]));
        pages.release(&first);
        assert_eq!((pages.available(), pages.kept()), (2, 1), "one is still shared");
        pages.release(&first[..1]);
        assert_eq!(pages.available(), 3);
        pages.take().expect("the free one");
        assert_eq!(pages.take(), Some(first[1]), "let go before the other");
        assert_eq!(pages.share(&b), None);
        assert_eq!(pages.share(&a), Some(first[0]));
        assert_eq!(pages.take(), None);
    }

    #[test]
    fn chains_tell_adapters_tokens_and_order_apart() {
        let (x, y) = ([1u32; PAGE], [2u32; PAGE]);
        let root = chain_root(b"base");
        let both = chain_next(&chain_next(&root, &x), &y);
        assert_ne!(both, chain_next(&chain_next(&root, &y), &x));
        assert_ne!(chain_next(&root, &x), chain_next(&chain_root(b"other"), &x));
    }
}
