//! GGUF, the single-file format of llama.cpp: a header of metadata, a table of tensors, their data.
//! Here are the container and its checks; `blocks` undoes the quantisations, `llama` gives metadata
//! and names their meaning, `vocabulary` makes the tokenizer.
//!
//! The header is read once and every count, range and name in it checked before anything is
//! allocated for it; tensors are read one by one, so that a load holds one of them besides the
//! weights. Nothing is mapped: a file that shrinks under us is an error, not a signal.

use crate::memory::zeros;
use crate::model::{LlamaConfig, Model, Text};
use crate::tensors::FILE_BYTES_MAX;
use crate::{EngineError, ErrorCode, Result, bail};
use blocks::Kind;
use std::collections::{BTreeMap, btree_map::Entry};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

pub mod blocks;
mod header;
pub mod llama;
mod vocabulary;

/// Ceilings on what a header may claim.
pub mod limits {
    pub const HEADER_BYTES_MAX: u64 = 256 << 20;
    pub const KEYS_MAX: u64 = 1024;
    pub const NAME_BYTES_MAX: u64 = 256;
    pub const TEXT_BYTES_MAX: u64 = 1 << 20;
    pub const ARRAY_MAX: u64 = 1 << 20;
    pub const TENSORS_MAX: u64 = 4096;
    pub const DIMENSIONS_MAX: u32 = 4;
    pub const ALIGNMENT_MAX: u64 = 1 << 16;
}

/// A metadata value. f32 is held as the f64 of its shortest decimal: 1e-5 stays 1e-5, as in config.json.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(i128),
    Float(f64),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Ints(Vec<i64>),
    /// An array of a kind that nothing here reads.
    Other,
}

/// A row of the tensor table, checked: the range lies inside the file and overlaps no other.
#[derive(Clone, Debug)]
struct Tensor {
    /// Row-major, as everywhere in the engine; the file lists them the other way round.
    shape: Vec<usize>,
    kind: Kind,
    /// From the start of the file.
    at: u64,
    bytes: u64,
}

/// An open file with its header read.
pub struct Gguf<R> {
    file: String,
    from: R,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Tensor>,
}

impl Gguf<BufReader<File>> {
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |e: std::io::Error| {
            EngineError::new(ErrorCode::Io, format!("cannot read {}: {e}", path.display()))
        };
        let from = File::open(path).map_err(fail)?;
        let size = from.metadata().map_err(fail)?.len();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self::parse(&name, BufReader::new(from), size)
    }
}

impl<R: Read + Seek> Gguf<R> {
    /// Reads the header of `size` bytes called `file` in errors.
    pub fn parse(file: &str, mut from: R, size: u64) -> Result<Self> {
        if size > FILE_BYTES_MAX {
            bail!(BadModel, "{file} is {size} bytes, at most {FILE_BYTES_MAX}");
        }
        let (metadata, tensors) = header::read(&mut from, file, size)?;
        Ok(Self { file: file.to_string(), from, metadata, tensors })
    }

    pub fn value(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    pub fn has(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    /// The named tensor as f32, with exactly this shape and only finite values.
    pub fn f32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let file = &self.file;
        let Some(tensor) = self.tensors.get(name) else {
            bail!(BadModel, "{file}: tensor {name} is missing (expected shape {shape:?})");
        };
        if tensor.shape != shape {
            bail!(
                BadModel,
                "{file}: tensor {name} has shape {:?}, expected {shape:?}",
                tensor.shape
            );
        }
        let mut bytes = zeros::<u8>("a stored tensor", tensor.bytes as usize);
        let read = self
            .from
            .seek(SeekFrom::Start(tensor.at))
            .and_then(|_| self.from.read_exact(&mut bytes));
        if let Err(e) = read {
            bail!(Io, "{file}: tensor {name} cannot be read: {e}");
        }
        let values = tensor.kind.decode(&bytes);
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => bail!(BadModel, "{file}: tensor {name} holds {} at index {i}", values[i]),
            None => Ok(values),
        }
    }
}

/// Puts what a header names once; twice is an error.
fn insert_once<T>(map: &mut BTreeMap<String, T>, file: &str, name: String, value: T) -> Result<()> {
    match map.entry(name) {
        Entry::Occupied(found) => bail!(BadModel, "{file}: {} is there twice", found.key()),
        Entry::Vacant(place) => {
            place.insert(value);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
#[doc(hidden)]
pub mod writer;
