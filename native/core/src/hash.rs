//! The end of a keccak-256, as bytes and as text.

use tiny_keccak::{Hasher, Keccak};

pub type Hash = [u8; 32];

pub fn finish(keccak: Keccak) -> Hash {
    let mut hash = Hash::default();
    keccak.finalize(&mut hash);
    hash
}

/// Lower-case, without 0x.
pub fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
