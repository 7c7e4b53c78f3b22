//! What the chain plane computes most: keccak-256, secp256k1 and the Merkle-Patricia trie. Bytes in, bytes
//! out; knows nothing of chains, blocks or JavaScript. Every function has a twin in TypeScript
//! (`node/`), and tests compare the two.

pub mod cache;
pub mod keccak;
pub mod nibbles;
pub mod node;
pub mod rlp;
pub mod secp;
pub mod trie;
