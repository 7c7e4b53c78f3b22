//! The suffix array of a corpus: built, read, asked, committed and opened.

use crate::cast::{guard, size};
use crate::job::{CancelHandle, start};
use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array, Uint32Array};
use napi_derive::napi;
use openledger_core::bail;
use openledger_core::suffix::{CHUNK_VALUES, Committed, SuffixIndex};
use std::sync::Arc;

/// Positions of a query between two looks at whether the job is cancelled.
const POSITIONS_TOGETHER: usize = 64;

#[napi]
pub struct NativeSuffix {
    index: Arc<SuffixIndex>,
    /// Of stream, suffix array and inverse.
    committed: [Committed; 3],
}

/// One chunk with the siblings that lead to its root.
#[napi(object)]
pub struct Opening {
    pub values: Uint32Array,
    /// 32 bytes each, from below.
    pub siblings: Uint8Array,
}

#[napi]
impl NativeSuffix {
    #[napi]
    pub fn length(&self) -> u32 {
        self.index.stream.len() as u32
    }

    /// 3 x 32 bytes.
    #[napi]
    pub fn roots(&self) -> Uint8Array {
        self.committed.iter().flat_map(|array| array.root()).collect::<Vec<u8>>().into()
    }

    #[napi]
    pub fn bytes(&self) -> Uint8Array {
        self.index.to_bytes().into()
    }

    /// -1 when the array is right.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn fault<'e>(&self, env: &'e Env, cancel: &CancelHandle) -> napi::Result<Object<'e>> {
        let (index, cancel) = (self.index.clone(), cancel.clone());
        let job = move || index.first_fault_while(&|| !cancel.cancelled());
        start(env, job, |at| Ok(at.map_or(-1.0, f64::from)))
    }

    /// For each position length, low, high.
    #[napi(ts_return_type = "Promise<Uint32Array>")]
    pub fn matches<'e>(
        &self,
        env: &'e Env,
        query: Uint32Array,
        cancel: &CancelHandle,
    ) -> napi::Result<Object<'e>> {
        let (index, cancel, query) = (self.index.clone(), cancel.clone(), query.to_vec());
        let job = move || {
            let mut flat = Vec::with_capacity(3 * query.len());
            for at in 0..query.len() {
                if at % POSITIONS_TOGETHER == 0 && cancel.cancelled() {
                    bail!(Cancelled, "cancelled at position {at} of {}", query.len());
                }
                let found = index.longest(&query[at..]);
                flat.extend([found.length, found.low, found.high]);
            }
            Ok(flat)
        };
        start(env, job, |flat| Ok(Uint32Array::from(flat)))
    }

    /// Length, low, high of the longest prefix of the query that stands in the corpus.
    #[napi]
    pub fn longest(&self, query: Uint32Array) -> napi::Result<Uint32Array> {
        guard(|| {
            let m = self.index.longest(&query);
            Ok(vec![m.length, m.low, m.high].into())
        })
    }

    #[napi]
    pub fn count(&self, query: Uint32Array) -> napi::Result<u32> {
        guard(|| Ok(self.index.count(&query)))
    }

    /// `count` values of array 0 (stream), 1 (suffix array) or 2 (inverse) from `from` on.
    #[napi]
    pub fn values(&self, array: f64, from: f64, count: f64) -> napi::Result<Uint32Array> {
        guard(|| {
            let values = self.array(size("array", array, 0, 2)?);
            let from = size("from", from, 0, values.len())?;
            let count = size("count", count, 0, values.len() - from)?;
            Ok(values[from..from + count].to_vec().into())
        })
    }

    #[napi]
    pub fn open(&self, array: f64, chunk: f64) -> napi::Result<Opening> {
        guard(|| {
            let array = size("array", array, 0, 2)?;
            let values = self.array(array);
            let Some(last) = values.len().div_ceil(CHUNK_VALUES).checked_sub(1) else {
                bail!(BadInput, "the corpus is empty");
            };
            let chunk = size("chunk", chunk, 0, last)?;
            let end = values.len().min((chunk + 1) * CHUNK_VALUES);
            Ok(Opening {
                values: values[chunk * CHUNK_VALUES..end].to_vec().into(),
                siblings: self.committed[array].proof(chunk).into(),
            })
        })
    }

    fn array(&self, array: usize) -> &[u32] {
        [&self.index.stream, &self.index.sa, &self.index.isa][array]
    }
}

fn wrap(index: SuffixIndex) -> openledger_core::Result<NativeSuffix> {
    let committed = index.commit();
    Ok(NativeSuffix { index: Arc::new(index), committed })
}

#[napi(ts_return_type = "Promise<NativeSuffix>")]
pub fn build_suffix(env: &Env, stream: Uint32Array) -> napi::Result<Object<'_>> {
    let stream = stream.to_vec();
    start(env, move || SuffixIndex::build(stream).and_then(wrap), Ok)
}

#[napi(ts_return_type = "Promise<NativeSuffix>")]
pub fn load_suffix(env: &Env, bytes: Uint8Array) -> napi::Result<Object<'_>> {
    let bytes = bytes.to_vec();
    start(env, move || SuffixIndex::from_bytes(&bytes).and_then(wrap), Ok)
}
