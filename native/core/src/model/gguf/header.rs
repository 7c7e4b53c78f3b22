//! Reads a header: magic, version, metadata, tensor table. Little-endian, versions 2 and 3.

use super::{Kind, Tensor, Value, insert_once, limits};
use crate::memory::zeros;
use crate::{Result, bail};
use std::collections::BTreeMap;
use std::io::Read;

type Tables = (BTreeMap<String, Value>, BTreeMap<String, Tensor>);

pub fn read<R: Read>(from: R, file: &str, size: u64) -> Result<Tables> {
    let mut header = Header { from, file, size, at: 0 };
    let magic: [u8; 4] = header.array("the magic number")?;
    if &magic != b"GGUF" {
        bail!(BadModel, "{file} is not a GGUF file: it begins with {magic:02x?}");
    }
    let version = header.u32("the version")?;
    if version.swap_bytes() <= 3 {
        bail!(Unsupported, "{file} is big-endian; only little-endian GGUF is supported");
    }
    if !(2..=3).contains(&version) {
        bail!(Unsupported, "{file} has GGUF version {version}; 2 and 3 are supported");
    }
    let tensors = header.count("the number of tensors", limits::TENSORS_MAX)?;
    let keys = header.count("the number of metadata keys", limits::KEYS_MAX)?;
    let mut metadata = BTreeMap::new();
    for _ in 0..keys {
        let key = header.text("a metadata key", limits::NAME_BYTES_MAX)?;
        let kind = header.u32(&key)?;
        let value = header.value(&key, kind)?;
        insert_once(&mut metadata, file, key, value)?;
    }
    let mut table = vec![];
    for _ in 0..tensors {
        table.push(header.tensor()?);
    }
    let alignment = match metadata.get("general.alignment") {
        None => 32,
        Some(Value::Int(n)) if (1..=limits::ALIGNMENT_MAX as i128).contains(n) => *n as u64,
        Some(other) => bail!(
            BadModel,
            "{file}: general.alignment is {other:?}, must be 1..={}",
            limits::ALIGNMENT_MAX
        ),
    };
    let data = header.at.next_multiple_of(alignment);
    let tensors = place(file, size, data, alignment, table)?;
    Ok((metadata, tensors))
}

/// Moves offsets to the file's start; ranges must be aligned, inside the file and apart from each other.
fn place(
    file: &str,
    size: u64,
    data: u64,
    alignment: u64,
    mut table: Vec<(String, Tensor)>,
) -> Result<BTreeMap<String, Tensor>> {
    table.sort_by_key(|(_, tensor)| tensor.at);
    let mut placed = BTreeMap::new();
    let (mut free, mut before) = (data, String::new());
    for (name, mut tensor) in table {
        if !tensor.at.is_multiple_of(alignment) {
            bail!(
                BadModel,
                "{file}: tensor {name} is at {}, not a multiple of {alignment}",
                tensor.at
            );
        }
        let end = data.checked_add(tensor.at).and_then(|at| at.checked_add(tensor.bytes));
        let Some(end) = end.filter(|end| *end <= size) else {
            bail!(
                BadModel,
                "{file}: tensor {name} has {} bytes at {} of the data, which begin at {data}; the file has {size}",
                tensor.bytes,
                tensor.at
            );
        };
        tensor.at += data;
        if tensor.at < free {
            bail!(BadModel, "{file}: tensor {name} overlaps {before}");
        }
        free = end;
        before.clone_from(&name);
        insert_once(&mut placed, file, name, tensor)?;
    }
    Ok(placed)
}

struct Header<'a, R> {
    from: R,
    file: &'a str,
    size: u64,
    at: u64,
}

impl<R: Read> Header<'_, R> {
    /// Makes sure, before memory is taken, that so many bytes are there.
    fn bytes(&mut self, n: u64, what: &str) -> Result<Vec<u8>> {
        self.claim(n, what)?;
        let mut bytes = zeros(what, n as usize);
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        self.claim(N as u64, what)?;
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    fn claim(&mut self, n: u64, what: &str) -> Result<()> {
        let (file, at) = (self.file, self.at);
        match at.checked_add(n) {
            Some(end) if end > self.size => bail!(
                BadModel,
                "{file} is truncated: {what} takes {n} bytes at {at}, the file has {}",
                self.size
            ),
            Some(end) if end <= limits::HEADER_BYTES_MAX => {
                self.at = end;
                Ok(())
            }
            _ => bail!(
                BadModel,
                "{file}: the header is longer than {} bytes at {what}",
                limits::HEADER_BYTES_MAX
            ),
        }
    }

    fn fill(&mut self, bytes: &mut [u8], what: &str) -> Result<()> {
        match self.from.read_exact(bytes) {
            Ok(()) => Ok(()),
            Err(e) => bail!(Io, "{}: {what} cannot be read: {e}", self.file),
        }
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn count(&mut self, what: &str, max: u64) -> Result<u64> {
        match self.u64(what)? {
            n if n <= max => Ok(n),
            n => bail!(BadModel, "{}: {what} is {n}, at most {max}", self.file),
        }
    }

    fn text(&mut self, what: &str, max: u64) -> Result<String> {
        let length = self.count(&format!("the length of {what}"), max)?;
        match String::from_utf8(self.bytes(length, what)?) {
            Ok(text) => Ok(text),
            Err(_) => bail!(BadModel, "{}: {what} is not UTF-8", self.file),
        }
    }

    fn value(&mut self, key: &str, kind: u32) -> Result<Value> {
        Ok(match kind {
            0..=5 | 10 | 11 => Value::Int(self.int(key, kind)?),
            6 => Value::Float(shortest(f32::from_le_bytes(self.array(key)?))),
            7 => match self.array::<1>(key)? {
                [bit @ 0..=1] => Value::Bool(bit == 1),
                [other] => bail!(BadModel, "{}: {key} is a truth value of {other}", self.file),
            },
            8 => Value::Text(self.text(key, limits::TEXT_BYTES_MAX)?),
            9 => self.list(key)?,
            12 => Value::Float(f64::from_le_bytes(self.array(key)?)),
            _ => bail!(BadModel, "{}: {key} has the unknown type {kind}", self.file),
        })
    }

    /// Types 0 to 5 are u8 i8 u16 i16 u32 i32, 10 and 11 u64 i64.
    fn int(&mut self, key: &str, kind: u32) -> Result<i128> {
        Ok(match kind {
            0 => u8::from_le_bytes(self.array(key)?).into(),
            1 => i8::from_le_bytes(self.array(key)?).into(),
            2 => u16::from_le_bytes(self.array(key)?).into(),
            3 => i16::from_le_bytes(self.array(key)?).into(),
            4 => u32::from_le_bytes(self.array(key)?).into(),
            5 => i32::from_le_bytes(self.array(key)?).into(),
            10 => u64::from_le_bytes(self.array(key)?).into(),
            _ => i64::from_le_bytes(self.array(key)?).into(),
        })
    }

    fn list(&mut self, key: &str) -> Result<Value> {
        let kind = self.u32(key)?;
        let length = self.count(&format!("the length of {key}"), limits::ARRAY_MAX)?;
        Ok(match kind {
            0..=5 => {
                let mut all = vec![];
                for _ in 0..length {
                    all.push(self.int(key, kind)? as i64);
                }
                Value::Ints(all)
            }
            8 => {
                let mut all = vec![];
                for _ in 0..length {
                    all.push(self.text(key, limits::TEXT_BYTES_MAX)?);
                }
                Value::Texts(all)
            }
            6 | 7 | 10 | 11 | 12 => {
                let width = if kind == 6 {
                    4
                } else if kind == 7 {
                    1
                } else {
                    8
                };
                self.bytes(width * length, key)?;
                Value::Other
            }
            _ => bail!(BadModel, "{}: {key} is an array of the unknown type {kind}", self.file),
        })
    }

    fn tensor(&mut self) -> Result<(String, Tensor)> {
        let name = self.text("a tensor's name", limits::NAME_BYTES_MAX)?;
        let file = self.file;
        let dimensions = self.u32(&name)?;
        if !(1..=limits::DIMENSIONS_MAX).contains(&dimensions) {
            let max = limits::DIMENSIONS_MAX;
            bail!(BadModel, "{file}: tensor {name} has {dimensions} dimensions, must be 1..={max}");
        }
        let mut shape = vec![];
        for _ in 0..dimensions {
            shape.push(self.count(&format!("a dimension of tensor {name}"), self.size * 2)? as usize);
        }
        let id = self.u32(&name)?;
        let Some(kind) = Kind::from_id(id) else {
            bail!(
                Unsupported,
                "{file}: tensor {name} has the type {id}; supported are {}",
                Kind::ALL.map(|k| format!("{k:?} ({})", k.id())).join(", ")
            );
        };
        let (numbers, bytes) = kind.block();
        if !shape[0].is_multiple_of(numbers) {
            bail!(
                BadModel,
                "{file}: tensor {name} of type {kind:?} has rows of {}, not a multiple of {numbers}",
                shape[0]
            );
        }
        let all = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d as u64));
        let bytes = all.and_then(|n| (n / numbers as u64).checked_mul(bytes as u64));
        let at = self.u64(&name)?;
        let Some(bytes) = bytes.filter(|n| *n <= self.size) else {
            bail!(
                BadModel,
                "{file}: tensor {name} of shape {shape:?} is larger than the file of {} bytes",
                self.size
            );
        };
        shape.reverse();
        Ok((name, Tensor { shape, kind, at, bytes }))
    }
}

fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}
