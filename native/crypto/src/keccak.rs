//! Keccak-256 as Ethereum uses it (the original padding, not FIPS 202's).

use keccak_asm::{Digest, Keccak256};
use rayon::prelude::*;

pub type Hash = [u8; 32];

/// Messages one thread takes at a time: less is not worth handing over.
const MESSAGES_PER_TASK: usize = 256;

pub fn keccak(message: &[u8]) -> Hash {
    let mut hasher = Keccak256::new();
    hasher.update(message);
    hasher.finalize().into()
}

/// One hash for each message, in order.
pub fn keccak_batch(messages: &[&[u8]]) -> Vec<Hash> {
    messages.par_iter().with_min_len(MESSAGES_PER_TASK).map(|message| keccak(message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn known_answers() {
        let empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
        assert_eq!(hex(keccak(b"")), empty);
        let abc = "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45";
        assert_eq!(hex(keccak(b"abc")), abc);
    }

    #[test]
    fn a_batch_is_its_messages_one_by_one() {
        let messages: Vec<Vec<u8>> = (0..1000).map(|i| vec![i as u8; i]).collect();
        let views: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let one_by_one: Vec<Hash> = messages.iter().map(|message| keccak(message)).collect();
        assert_eq!(keccak_batch(&views), one_by_one);
    }
}
