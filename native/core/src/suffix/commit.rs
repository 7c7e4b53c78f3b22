//! The commitment to an array of u32: a Merkle tree (the rule of `attribution::merkle`) over chunks of 32
//! values, leaf = keccak256(0x00 || values u32le). All levels are kept, so that openings cost nothing.

use crate::attribution::merkle::parents;
use crate::hash::{Hash, finish};
use rayon::prelude::*;
use tiny_keccak::{Hasher, Keccak};

/// Values of one leaf; the last leaf may hold fewer.
pub const CHUNK_VALUES: usize = 32;

/// Leaves first, the root last.
pub struct Committed {
    levels: Vec<Vec<Hash>>,
}

impl Committed {
    pub fn new(values: &[u32]) -> Self {
        let leaves: Vec<Hash> = values.par_chunks(CHUNK_VALUES).map(leaf).collect();
        let mut levels = vec![leaves];
        while levels[levels.len() - 1].len() > 1 {
            let above = parents(&levels[levels.len() - 1]);
            levels.push(above);
        }
        Self { levels }
    }

    /// 32 zero bytes for nothing.
    pub fn root(&self) -> Hash {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or_default()
    }

    /// Siblings of a leaf from below, 32 bytes each; a level where the node moves up adds none.
    pub fn proof(&self, chunk: usize) -> Vec<u8> {
        let mut siblings = vec![];
        for (height, level) in self.levels.iter().enumerate() {
            if let Some(sibling) = level.get((chunk >> height) ^ 1)
                && level.len() > 1
            {
                siblings.extend_from_slice(sibling);
            }
        }
        siblings
    }
}

fn leaf(values: &[u32]) -> Hash {
    let mut keccak = Keccak::v256();
    keccak.update(&[0]);
    let mut bytes = [0u8; 4 * CHUNK_VALUES];
    for (to, value) in bytes.chunks_exact_mut(4).zip(values) {
        to.copy_from_slice(&value.to_le_bytes());
    }
    keccak.update(&bytes[..4 * values.len()]);
    finish(keccak)
}
