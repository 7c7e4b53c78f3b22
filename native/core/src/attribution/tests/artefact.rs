//! The artefact's bytes: exact round trip, and any other bytes are refused without a panic.

use super::synthetic::{Random, Synthetic, shape};
use crate::attribution::error::AttributionError;
use crate::attribution::index::{IndexConfig, Storage, build_index_with};
use crate::attribution::packed::{Packed, Width};
use crate::attribution::simd::Level;
use crate::attribution::stack::HOLD;
use crate::attribution::{AttributionIndex, sketch_query};

fn index(k: usize, storage: Storage) -> AttributionIndex {
    let source = tiny();
    let owners = source.owners();
    let config = IndexConfig {
        contributors: &owners,
        contributor_count: source.contributors,
        k,
        damping: 0.1,
        label_draws: 1,
        seed: 7,
    };
    build_index_with((Level::detect(), 1), storage, HOLD, &source, &config, &mut |_, _, _| true)
        .unwrap()
        .index
}

fn tiny() -> Synthetic {
    let factors = vec![shape(3, 5), shape(4, 3)];
    Synthetic { factors, samples: 7, tokens: 3, contributors: 2, seed: 1 }
}

#[test]
fn every_storage_comes_back_equal_and_sketches_the_same() {
    use Width::{Bits4, Bits8, Bits16};
    for eigenbasis in [Bits4, Bits8, Bits16] {
        for directions in [Bits4, Bits8, Bits16] {
            // Odd sizes: nibbles end in the middle of a byte.
            for k in [2, 3, 5] {
                let index = index(k, Storage { eigenbasis, directions });
                let bytes = index.to_bytes();
                let again = AttributionIndex::from_bytes(&bytes).unwrap();
                assert_eq!(again, index);
                assert_eq!(again.to_bytes(), bytes);
                assert_eq!(sketch_query(&again, &tiny(), 3), sketch_query(&index, &tiny(), 3));
            }
        }
    }
}

fn refused(bytes: &[u8], text: &str) {
    match AttributionIndex::from_bytes(bytes) {
        Err(AttributionError::InvalidArtefact(found)) => assert!(found.contains(text), "{found}"),
        other => panic!("expected '{text}', got {:?}", other.map(|_| "an index")),
    }
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let bytes = index(3, crate::attribution::index::STORAGE).to_bytes();
    for length in 0..bytes.len() {
        let cut = AttributionIndex::from_bytes(&bytes[..length]);
        assert!(matches!(cut, Err(AttributionError::InvalidArtefact(_))), "cut at {length}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    refused(&longer, "bytes after the header");
}

#[test]
fn each_field_of_the_header_is_checked() {
    let bytes = index(3, crate::attribution::index::STORAGE).to_bytes();
    let with = |at: usize, value: &[u8]| {
        let mut bent = bytes.clone();
        bent[at..at + value.len()].copy_from_slice(value);
        bent
    };
    refused(&with(0, b"X"), "does not begin with OLAX");
    refused(&with(4, &[1]), "version 1");
    refused(&with(6, &[5]), "codes of 5 bits");
    refused(&with(7, &[0]), "codes of 0 bits");
    refused(&with(8, &[0, 0]), "k is 0");
    refused(&with(8, &[1, 16]), "k is 4097");
    refused(&with(12, &u32::MAX.to_le_bytes()), "it ends");
    refused(&with(12, &[0]), "0 factors");
    refused(&with(16, &u32::MAX.to_le_bytes()), "a factor of 4294967295 x 5");
    // Within limits, but far more bytes than there are: refused before any allocation.
    refused(&with(16, &65_536u32.to_le_bytes()), "bytes after the header");
}

#[test]
fn numbers_that_no_builder_writes_are_refused() {
    let bytes = index(3, crate::attribution::index::STORAGE).to_bytes();
    let header = 16 + 2 * 8;
    for bad in [f32::NAN, f32::INFINITY, -1.0, -0.0] {
        let mut bent = bytes.clone();
        bent[header..header + 4].copy_from_slice(&bad.to_le_bytes());
        refused(&bent, "is not a finite magnitude");
    }
    let mut bent = bytes.clone();
    // The first code after three scales of the 3 x 3 narrow basis.
    bent[header + 12] = 0x80;
    refused(&bent, "code -128 is beyond +-127");
}

#[test]
fn random_damage_is_refused_or_read_back_as_the_same_bytes() {
    let bytes = index(3, crate::attribution::index::STORAGE).to_bytes();
    let mut random = Random(77);
    for _ in 0..20_000 {
        let mut bent = bytes.clone();
        for _ in 0..1 + random.below(4) {
            // Half of the damage goes to the header.
            let limit = if random.below(2) == 0 { 40 } else { bent.len() as u64 };
            let at = random.below(limit) as usize;
            bent[at] = random.next() as u8;
        }
        bent.truncate(bent.len() - random.below(2) as usize * random.below(64) as usize);
        match AttributionIndex::from_bytes(&bent) {
            Ok(index) => assert_eq!(index.to_bytes(), bent),
            Err(error) => assert!(matches!(error, AttributionError::InvalidArtefact(_)), "{error}"),
        }
    }
}

#[test]
fn random_bytes_are_refused() {
    let mut random = Random(78);
    for _ in 0..2_000 {
        let mut noise: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
        if noise.len() > 8 {
            noise[..8].copy_from_slice(b"OLAX\x02\0\x08\x04");
        }
        let result = AttributionIndex::from_bytes(&noise);
        assert!(matches!(result, Err(AttributionError::InvalidArtefact(_))), "{noise:?}");
    }
}

#[test]
fn codes_round_to_half_a_step_of_their_columns_scale() {
    let mut random = Random(79);
    let (rows, columns) = (50, 7);
    let values: Vec<f64> =
        (0..rows * columns).map(|x| random.normal() * (x % columns) as f64).collect();
    for width in [Width::Bits4, Width::Bits8, Width::Bits16] {
        let packed = Packed::encode(&values, columns, width);
        // Column 0 is all zeros.
        assert_eq!(packed.scales[0], 0.0);
        for (x, (value, decoded)) in values.iter().zip(packed.decode()).enumerate() {
            let step = f64::from(packed.scales[x % columns]);
            assert!((value - f64::from(decoded)).abs() <= 0.5001 * step, "{width:?}");
        }
        let top = packed.codes.iter().map(|code| code.unsigned_abs()).max();
        assert_eq!(top, Some(width.code_max() as u16));
    }
}
