//! Safetensors files: reading f32 / f16 / bf16 tensors as f32 with the shape checked, writing them
//! with bytes that depend on nothing but the values.

use crate::memory::with_capacity;
use crate::{EngineError, ErrorCode, Result};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use std::collections::HashMap;
use std::path::Path;

/// Largest tensor file read (4 GiB): a ceiling against exhausting memory by a wrong path.
pub const FILE_BYTES_MAX: u64 = 4 << 30;

/// A tensor file held in memory. `code` is the class its defects are reported under.
pub struct TensorFile {
    name: String,
    bytes: Vec<u8>,
    code: ErrorCode,
}

/// Reads a whole file; errors name it.
pub fn read(path: &Path, code: ErrorCode) -> Result<Vec<u8>> {
    let fail = |e: std::io::Error| {
        let code = match e.kind() {
            std::io::ErrorKind::NotFound => code,
            std::io::ErrorKind::OutOfMemory => ErrorCode::OutOfMemory,
            _ => ErrorCode::Io,
        };
        EngineError::new(code, format!("cannot read {}: {e}", path.display()))
    };
    let size = std::fs::metadata(path).map_err(fail)?.len();
    if size > FILE_BYTES_MAX {
        let text = format!("{} is {size} bytes, at most {FILE_BYTES_MAX}", path.display());
        return Err(EngineError::new(code, text));
    }
    std::fs::read(path).map_err(fail)
}

/// Reads a text file; other bytes than UTF-8 are an error, for they would silently become other text.
pub fn read_text(path: &Path, code: ErrorCode) -> Result<String> {
    String::from_utf8(read(path, code)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        EngineError::new(code, format!("{} is not valid UTF-8 at byte {at}", path.display()))
    })
}

impl TensorFile {
    pub fn open(path: &Path, code: ErrorCode) -> Result<Self> {
        let bytes = read(path, code)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = Self { name, bytes, code };
        file.parsed()?;
        Ok(file)
    }

    /// A view for many reads.
    pub fn parsed(&self) -> Result<Parsed<'_>> {
        match SafeTensors::deserialize(&self.bytes) {
            Ok(tensors) => Ok(Parsed { tensors, file: &self.name, code: self.code }),
            Err(e) => Err(EngineError::new(
                self.code,
                format!("{} is not a safetensors file: {e}", self.name),
            )),
        }
    }
}

pub struct Parsed<'a> {
    tensors: SafeTensors<'a>,
    file: &'a str,
    code: ErrorCode,
}

impl Parsed<'_> {
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tensors.names().into_iter().map(String::from).collect();
        names.sort();
        names
    }

    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.tensor(name).ok().map(|t| t.shape().to_vec())
    }

    /// The named tensor as f32, with exactly this shape and only finite values.
    pub fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let fail =
            |what: String| Err(EngineError::new(self.code, format!("{}: {what}", self.file)));
        let Ok(tensor) = self.tensors.tensor(name) else {
            return fail(format!("tensor {name} is missing (expected shape {shape:?})"));
        };
        if tensor.shape() != shape {
            return fail(format!(
                "tensor {name} has shape {:?}, expected {shape:?}",
                tensor.shape()
            ));
        }
        let data = tensor.data();
        let mut values: Vec<f32> = with_capacity("a tensor", shape.iter().product());
        let (words, halves) = (data.chunks_exact(4), data.chunks_exact(2));
        match tensor.dtype() {
            Dtype::F32 => {
                values.extend(words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
            }
            Dtype::F16 => values.extend(halves.map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())),
            Dtype::BF16 => {
                values.extend(halves.map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()))
            }
            other => {
                return fail(format!(
                    "tensor {name} has dtype {other:?}, expected F32, F16 or BF16"
                ));
            }
        };
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => fail(format!("tensor {name} holds {} at index {i}", values[i])),
            None => Ok(values),
        }
    }
}

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    F32,
    F16,
}

/// Writes named tensors; the same values give the same file.
pub fn write(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)], store: Store) -> Result<()> {
    let raw: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| match store {
            Store::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Store::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
        })
        .collect();
    let dtype = if store == Store::F32 { Dtype::F32 } else { Dtype::F16 };
    let internal = |e: safetensors::SafeTensorError| {
        EngineError::new(ErrorCode::Internal, format!("cannot lay out {}: {e}", path.display()))
    };
    let mut views = Vec::with_capacity(raw.len());
    for ((name, shape, _), bytes) in tensors.iter().zip(&raw) {
        views
            .push((name.as_str(), TensorView::new(dtype, shape.clone(), bytes).map_err(internal)?));
    }
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let bytes = serialize(views, Some(metadata)).map_err(internal)?;
    write_file(path, &bytes)
}

/// Writes a file as a whole: to a neighbour first, then renamed, so that no reader sees half of it.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path)).map_err(|e| {
        EngineError::new(ErrorCode::Io, format!("cannot write {}: {e}", path.display()))
    })
}
