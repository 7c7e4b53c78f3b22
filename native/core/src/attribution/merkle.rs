//! The commitment to the training sketches: a keccak256 Merkle tree, one leaf per sample.
//!
//!   leaf = keccak256(0x00 || sample u32le || contributor u32le || content hash [32] || t_i as k x i16le)
//!   node = keccak256(0x01 || left || right), an odd node at the end of a level moves up as it is
//!
//! The first byte keeps leaves and nodes apart; the leaf count is part of the check because it fixes
//! the shape of the tree. The root of no leaves is 32 zero bytes.

pub use crate::hash::Hash;
use crate::hash::finish;
use tiny_keccak::{Hasher, Keccak};

const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;

pub fn leaf_hash(sample: u32, contributor: u32, content: &Hash, sketch: &[i16]) -> Hash {
    let mut keccak = Keccak::v256();
    keccak.update(&[LEAF]);
    keccak.update(&sample.to_le_bytes());
    keccak.update(&contributor.to_le_bytes());
    keccak.update(content);
    for value in sketch {
        keccak.update(&value.to_le_bytes());
    }
    finish(keccak)
}

pub fn root(leaves: &[Hash]) -> Hash {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = parents(&level);
    }
    level.first().copied().unwrap_or_default()
}

/// Siblings from leaf to root; None when `index` is not a leaf.
pub fn proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let mut siblings = vec![];
    let (mut level, mut position) = (leaves.to_vec(), index);
    while level.len() > 1 {
        if let Some(sibling) = level.get(position ^ 1) {
            siblings.push(*sibling);
        }
        level = parents(&level);
        position /= 2;
    }
    Some(siblings)
}

/// Whether `leaf` is number `index` of `count` leaves under `root`.
pub fn verify(root: &Hash, leaf: &Hash, index: usize, count: usize, proof: &[Hash]) -> bool {
    if index >= count {
        return false;
    }
    let (mut hash, mut position, mut width) = (*leaf, index, count);
    let mut siblings = proof.iter();
    while width > 1 {
        if position ^ 1 < width {
            let Some(sibling) = siblings.next() else { return false };
            hash = if position % 2 == 0 {
                node_hash(&hash, sibling)
            } else {
                node_hash(sibling, &hash)
            };
        }
        position /= 2;
        width = width.div_ceil(2);
    }
    siblings.next().is_none() && hash == *root
}

pub(crate) fn parents(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node_hash(left, right),
            _ => pair[0],
        })
        .collect()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut keccak = Keccak::v256();
    keccak.update(&[NODE]);
    keccak.update(left);
    keccak.update(right);
    finish(keccak)
}
