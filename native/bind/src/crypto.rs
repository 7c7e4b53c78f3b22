//! The chain plane's mathematics at the border: keccak-256, secp256k1, the Merkle-Patricia trie. Lists of
//! messages come as one array and the length of each.

use crate::cast::guard;
use crate::job;
use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array, Uint8ArraySlice};
use napi_derive::napi;
use openledger_core::{EngineError, ErrorCode, Result, bail};
use openledger_crypto::cache::NodeCache;
use openledger_crypto::keccak::{Hash, keccak, keccak_batch};
use openledger_crypto::secp::{self, REQUEST_BYTES, SIGN_REQUEST_BYTES};
use openledger_crypto::trie::{self, Stop};

/// Writes the hash over `out`, 32 bytes.
#[napi]
pub fn keccak_into(message: &[u8], mut out: Uint8ArraySlice<'_>) -> napi::Result<()> {
    guard(|| {
        write(&mut out, &keccak(message))?;
        Ok(())
    })
}

/// 32 bytes for each message.
#[napi]
pub fn keccak_many(data: &[u8], lengths: &[u32]) -> napi::Result<Uint8Array> {
    guard(|| Ok(keccak_batch(&messages(data, lengths)?).concat().into()))
}

/// Root of the list under the RLP of its indices, over `out`.
#[napi]
pub fn ordered_root(
    data: &[u8],
    lengths: &[u32],
    mut out: Uint8ArraySlice<'_>,
) -> napi::Result<()> {
    guard(|| {
        write(&mut out, &trie::ordered_root(&messages(data, lengths)?))?;
        Ok(())
    })
}

/// `request` as `secp::REQUEST_BYTES` says; the key, 64 bytes, over `out`. False: there is none.
#[napi]
pub fn recover_public_key(request: &[u8], mut out: Uint8ArraySlice<'_>) -> napi::Result<bool> {
    guard(|| {
        let Ok(request) = request.try_into() else {
            bail!(BadInput, "request has {} bytes, must have {REQUEST_BYTES}", request.len());
        };
        let key = secp::recover(request);
        write(&mut out, &key.unwrap_or([0; secp::PUBLIC_KEY_BYTES]))?;
        Ok(key.is_some())
    })
}

/// Off the event loop, on all threads: `1 || key` or 65 zeros for each request.
#[napi(ts_return_type = "Promise<Uint8Array>")]
pub fn recover_public_keys<'e>(env: &'e Env, requests: &[u8]) -> napi::Result<Object<'e>> {
    let requests = guard(|| records::<REQUEST_BYTES>("requests", requests))?;
    let job = move || Ok(secp::recover_batch(&requests).concat());
    job::start(env, job, |keys| Ok(Uint8Array::from(keys)))
}

/// 65 bytes `r || s || recovery id` for each `hash || secret key`.
#[napi]
pub fn sign_hashes(requests: &[u8]) -> napi::Result<Uint8Array> {
    guard(|| {
        let requests = records::<SIGN_REQUEST_BYTES>("requests", requests)?;
        match secp::sign_batch(&requests) {
            Some(signatures) => Ok(signatures.concat().into()),
            None => bail!(BadInput, "a secret key is zero or not below the order"),
        }
    })
}

const ABSENT: i32 = -1;
const MISSING: i32 = -2;
const COMMITTED: u8 = 0;
const MISSING_NODES: u8 = 1;

/// Tries of hashed keys over one bounded cache of nodes.
#[napi]
pub struct TrieCache {
    nodes: NodeCache,
}

#[napi]
impl TrieCache {
    #[napi(constructor)]
    pub fn new(bytes_max: f64) -> napi::Result<Self> {
        let bytes = guard(|| crate::cast::size("bytesMax", bytes_max, 0, 1 << 40))?;
        Ok(Self { nodes: NodeCache::new(bytes) })
    }

    /// What is missing, handed in from the database.
    #[napi]
    pub fn put(&mut self, hash: &[u8], node: &[u8]) -> napi::Result<()> {
        guard(|| {
            self.nodes.put(hash_of("hash", hash)?, node.into());
            Ok(())
        })
    }

    /// Length of the value under keccak256(key), which is written over the front of `out`; -1: there is
    /// none; -2: the node whose hash is written over `out` is missing.
    #[napi]
    pub fn get(
        &mut self,
        root: &[u8],
        key: &[u8],
        mut out: Uint8ArraySlice<'_>,
    ) -> napi::Result<i32> {
        guard(|| match trie::get(&mut self.nodes, &hash_of("root", root)?, &keccak(key)) {
            Ok(Some(value)) => write(&mut out, &value),
            Ok(None) => Ok(ABSENT),
            Err(Stop::Missing(hashes)) => write(&mut out, &hashes[0]).map(|_| MISSING),
            Err(Stop::Damaged(hash)) => Err(damaged(hash)),
        })
    }

    /// `keys`: `keyBytes` each, hashed here; `values`: `lengths` each, none deletes. The answer is
    /// `0 || root || (hash || length u32be || node)...` or, with nothing changed, `1 || missing hash...`.
    #[napi]
    pub fn commit(
        &mut self,
        root: &[u8],
        keys: &[u8],
        key_bytes: u32,
        values: &[u8],
        lengths: &[u32],
    ) -> napi::Result<Uint8Array> {
        guard(|| {
            let values = messages(values, lengths)?;
            if key_bytes == 0 || keys.len() != values.len() * key_bytes as usize {
                bail!(BadInput, "keys has {} bytes for {} values", keys.len(), values.len());
            }
            let keys: Vec<&[u8]> = keys.chunks_exact(key_bytes as usize).collect();
            let changes: Vec<(Hash, &[u8])> = keccak_batch(&keys).into_iter().zip(values).collect();
            match trie::commit(&mut self.nodes, &hash_of("root", root)?, &changes) {
                Ok(committed) => Ok(written(&committed).into()),
                Err(Stop::Missing(hashes)) => {
                    Ok([vec![MISSING_NODES], hashes.concat()].concat().into())
                }
                Err(Stop::Damaged(hash)) => Err(damaged(hash)),
            }
        })
    }
}

/// Over the front of `out`; its length. Nothing else of JavaScript's runs meanwhile.
fn write(out: &mut Uint8ArraySlice<'_>, bytes: &[u8]) -> Result<i32> {
    // SAFETY: the view lives for this synchronous call, and no other view of it is made here.
    match unsafe { out.as_mut() }.get_mut(..bytes.len()) {
        Some(front) => {
            front.copy_from_slice(bytes);
            Ok(bytes.len() as i32)
        }
        None => bail!(BadInput, "out has {} bytes, must have {}", out.len(), bytes.len()),
    }
}

fn written(committed: &trie::Committed) -> Vec<u8> {
    let nodes: usize = committed.fresh.iter().map(|(_, node)| 36 + node.len()).sum();
    let mut out = Vec::with_capacity(33 + nodes);
    out.push(COMMITTED);
    out.extend_from_slice(&committed.root);
    for (hash, node) in &committed.fresh {
        out.extend_from_slice(hash);
        out.extend_from_slice(&(node.len() as u32).to_be_bytes());
        out.extend_from_slice(node);
    }
    out
}

fn damaged(hash: Hash) -> EngineError {
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    EngineError::new(ErrorCode::BadInput, format!("damaged trie node 0x{hex}"))
}

fn hash_of(name: &str, bytes: &[u8]) -> Result<Hash> {
    match bytes.try_into() {
        Ok(hash) => Ok(hash),
        Err(_) => bail!(BadInput, "{name} has {} bytes, must have 32", bytes.len()),
    }
}

fn records<const N: usize>(name: &str, bytes: &[u8]) -> Result<Vec<[u8; N]>> {
    let (records, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        bail!(BadInput, "{name} has {} bytes, must have a multiple of {N}", bytes.len());
    }
    Ok(records.to_vec())
}

fn messages<'a>(mut data: &'a [u8], lengths: &[u32]) -> Result<Vec<&'a [u8]>> {
    let total: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
    if total != data.len() as u64 {
        bail!(BadInput, "the lengths sum to {total}, the data has {} bytes", data.len());
    }
    let mut cut = |&length: &u32| {
        let (message, rest) = data.split_at(length as usize);
        data = rest;
        message
    };
    Ok(lengths.iter().map(&mut cut).collect())
}
