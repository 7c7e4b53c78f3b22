//! An attribution index as bytes: what is content-addressed, gossiped and loaded again.
//!
//! All little-endian. Header: "OLAX", version u16, eigenbasis bits u8, direction bits u8, k u32,
//! factors u32, then (out u32, in u32) per factor. Then per factor, with narrow/wide its smaller/larger
//! side: narrow scales f32[narrow] and codes[narrow^2], wide scales f32[wide] and codes[wide^2],
//! eigenvalues f32[out*in], damping f32, direction scales f32[k] and codes[out*in*k].
//!
//! The header fixes the length; it is compared before anything is allocated. Decoding never panics, and
//! encode(decode(bytes)) == bytes for every accepted input.

use super::curvature::FactorCurvature;
use super::error::{AttributionError, Result};
use super::index::{AttributionIndex, Storage, check_shapes};
use super::packed::{Packed, Width, read_magnitudes};
use super::score::K_MAX;
use super::source::FactorShape;
use super::whiten::{narrow_wide, parameters};

const MAGIC: &[u8; 4] = b"OLAX";
const VERSION: u16 = 2;
/// Largest artefact read.
pub const ARTEFACT_BYTES_MAX: u64 = 4 << 30;

impl AttributionIndex {
    pub fn to_bytes(&self) -> Vec<u8> {
        let (storage, k) = (self.storage(), self.k());
        let mut out = Vec::with_capacity(body_bytes(storage, k, self.factors()) as usize + 1024);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend([storage.eigenbasis.bits(), storage.directions.bits()]);
        out.extend((k as u32).to_le_bytes());
        out.extend((self.factors().len() as u32).to_le_bytes());
        for shape in self.factors() {
            out.extend((shape.out_dim as u32).to_le_bytes());
            out.extend((shape.in_dim as u32).to_le_bytes());
        }
        for (curvature, directions) in self.curvature().iter().zip(self.directions()) {
            curvature.narrow.write(storage.eigenbasis, &mut out);
            curvature.wide.write(storage.eigenbasis, &mut out);
            curvature.eigenvalues.iter().for_each(|x| out.extend(x.to_le_bytes()));
            out.extend(curvature.damping.to_le_bytes());
            directions.write(storage.directions, &mut out);
        }
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > ARTEFACT_BYTES_MAX {
            return Err(invalid(format!("{} bytes, at most {ARTEFACT_BYTES_MAX}", bytes.len())));
        }
        let mut reader = Reader { rest: bytes };
        if reader.take(4)? != MAGIC {
            return Err(invalid("it does not begin with OLAX".into()));
        }
        let head = reader.take(4)?;
        let version = u16::from_le_bytes([head[0], head[1]]);
        if version != VERSION {
            return Err(invalid(format!("version {version}, known: {VERSION}")));
        }
        let storage = Storage {
            eigenbasis: Width::from_bits(head[2])?,
            directions: Width::from_bits(head[3])?,
        };
        let k = reader.u32()? as usize;
        if !(1..=K_MAX).contains(&k) {
            return Err(invalid(format!("k is {k}, must be 1 to {K_MAX}")));
        }
        let shapes = reader.shapes()?;
        let expected = body_bytes(storage, k, &shapes);
        if reader.rest.len() as u64 != expected {
            return Err(invalid(format!(
                "{} bytes after the header, {expected} due",
                reader.rest.len()
            )));
        }
        let (mut curvature, mut directions) = (vec![], vec![]);
        for shape in &shapes {
            let (narrow, wide) = narrow_wide(*shape);
            let count = parameters(*shape);
            curvature.push(FactorCurvature {
                narrow: reader.packed(narrow, narrow, storage.eigenbasis)?,
                wide: reader.packed(wide, wide, storage.eigenbasis)?,
                eigenvalues: read_magnitudes(reader.take(count * 4)?, "eigenvalue")?,
                damping: read_magnitudes(reader.take(4)?, "damping")?[0],
            });
            directions.push(reader.packed(count, k, storage.directions)?);
        }
        Ok(Self::assemble(k, storage, shapes, curvature, directions))
    }
}

/// Bytes after the header. Cannot overflow within the limits of check_shapes and K_MAX.
fn body_bytes(storage: Storage, k: usize, shapes: &[FactorShape]) -> u64 {
    let packed = |rows: usize, columns: usize, width: Width| {
        4 * columns as u64 + width.bytes(rows as u64 * columns as u64)
    };
    let factor = |shape: &FactorShape| {
        let (narrow, wide) = narrow_wide(*shape);
        let count = parameters(*shape);
        packed(narrow, narrow, storage.eigenbasis)
            + packed(wide, wide, storage.eigenbasis)
            + 4 * (count as u64 + 1)
            + packed(count, k, storage.directions)
    };
    shapes.iter().map(factor).sum()
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| invalid(format!("it ends {} bytes early", count - self.rest.len())))?;
        self.rest = tail;
        Ok(head)
    }

    fn u32(&mut self) -> Result<u32> {
        let b = self.take(4)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn shapes(&mut self) -> Result<Vec<FactorShape>> {
        let count = self.u32()? as usize;
        let size = count.checked_mul(8).ok_or_else(|| invalid(format!("{count} factors")))?;
        let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize;
        let shape = |b: &[u8]| FactorShape { out_dim: word(b), in_dim: word(&b[4..]) };
        let shapes: Vec<FactorShape> = self.take(size)?.chunks_exact(8).map(shape).collect();
        check_shapes(&shapes).map_err(|error| invalid(error.to_string()))?;
        Ok(shapes)
    }

    fn packed(&mut self, rows: usize, columns: usize, width: Width) -> Result<Packed> {
        let count = rows * columns;
        let scales = self.take(columns * 4)?;
        let codes = self.take(width.bytes(count as u64) as usize)?;
        Packed::read(scales, codes, count, width)
    }
}

fn invalid(text: String) -> AttributionError {
    AttributionError::InvalidArtefact(text)
}
