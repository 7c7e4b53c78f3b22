//! The promise of the CUDA back end, as a list of checks that any device can be put through: the same bytes as the
//! CPU. `tests/cuda.rs` runs them on the kernels compiled for the CPU, `examples/cuda_check` on a card.

pub mod golden;
pub mod host;
pub mod operators;
pub mod whole;

use openledger_core::math::philox::{Stream, uniform};
use openledger_core::math::single::canonical;

/// Counts of values compared.
#[derive(Default)]
pub struct Tally {
    pub equal: u64,
    pub differing: u64,
    /// Name and first difference of every comparison that failed.
    pub failures: Vec<String>,
}

impl Tally {
    /// Compares bit for bit, any NaN equal to any other.
    pub fn floats(&mut self, name: &str, got: &[f32], want: &[f32]) {
        let bits =
            |values: &[f32]| values.iter().map(|x| canonical(*x).to_bits()).collect::<Vec<u32>>();
        let show = |x: u32| format!("{} ({x:08x})", f32::from_bits(x));
        self.values(name, &bits(got), &bits(want), show);
    }

    pub fn exact<T: PartialEq + Copy + std::fmt::Debug>(
        &mut self,
        name: &str,
        got: &[T],
        want: &[T],
    ) {
        self.values(name, got, want, |x| format!("{x:?}"));
    }

    fn values<T: PartialEq + Copy>(
        &mut self,
        name: &str,
        got: &[T],
        want: &[T],
        show: impl Fn(T) -> String,
    ) {
        if got.len() != want.len() {
            self.differing += 1;
            self.failures.push(format!("{name}: {} values, expected {}", got.len(), want.len()));
            return;
        }
        let wrong: Vec<usize> = (0..got.len()).filter(|i| got[*i] != want[*i]).collect();
        self.equal += (got.len() - wrong.len()) as u64;
        self.differing += wrong.len() as u64;
        if let Some(&i) = wrong.first() {
            let (got_i, want_i) = (show(got[i]), show(want[i]));
            self.failures.push(format!(
                "{name}: {} of {} differ, first at {i}: {got_i}, expected {want_i}",
                wrong.len(),
                got.len()
            ));
        }
    }
}

/// Numbers in [-1, 1), with zeros of both signs and a few tiny ones among them.
pub fn noise(seed: u64, n: usize) -> Vec<f32> {
    (0..n as u64)
        .map(|i| {
            let x = uniform(seed, Stream::BaseInit, 5, i) * 2.0 - 1.0;
            match i % 29 {
                7 => 0.0,
                11 => -0.0,
                13 => x * 1e-39,
                17 => x * 1e-20,
                _ => x,
            }
        })
        .collect()
}
