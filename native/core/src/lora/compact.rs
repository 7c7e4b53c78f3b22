//! The factors of one map as serving reads them: once per step from memory, for few rows. A is in groups of eight ranks
//! [rank / 8][in][8], B in panels of sixteen outputs [out / 16][rank][16], so nothing but a rank's last group is
//! padded; numbers that half precision holds exactly (adapters are mostly published so) are kept in half.
//!
//! The sums are those of `gemm`, in the same order: x A^T in blocks of 256 inputs, whose chains run side by side
//! because no block waits for another; (x A^T) B^T is one chain over the rank.

// Accumulators are arrays in registers: counted loops over both indices are what the optimiser unrolls.
#![allow(clippy::needless_range_loop)]

use crate::gemm::{BLOCK, PANEL};
use crate::math::simd::{self, Simd};
use half::f16;

/// Ranks of a group: one AVX2 register.
const GROUP: usize = 8;

/// Blocks of inputs whose chains run side by side.
const CHAINS: usize = 4;

#[derive(Debug)]
enum Numbers {
    F32(Vec<f32>),
    F16(Vec<u16>),
}

impl Numbers {
    /// In half precision when that loses nothing.
    fn new(values: Vec<f32>) -> Self {
        let halves: Vec<u16> = values.iter().map(|x| f16::from_f32(*x).to_bits()).collect();
        let exact = |(x, h): (&f32, &u16)| f16::from_bits(*h).to_f32().to_bits() == x.to_bits();
        if values.iter().zip(&halves).all(exact) { Self::F16(halves) } else { Self::F32(values) }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::F32(values) => size_of_val(&values[..]),
            Self::F16(values) => size_of_val(&values[..]),
        }
    }

    fn get(&self, i: usize) -> f32 {
        match self {
            Self::F32(values) => values[i],
            Self::F16(values) => f16::from_bits(values[i]).to_f32(),
        }
    }
}

#[derive(Debug)]
pub struct Compact {
    rank: usize,
    inn: usize,
    out: usize,
    a: Numbers,
    b: Numbers,
}

impl Compact {
    /// A row-major [rank, in], B row-major [out, rank].
    pub fn new(a: &[f32], b: &[f32], rank: usize) -> Self {
        let (inn, out) = (a.len() / rank, b.len() / rank);
        let mut grouped = vec![0.0; rank.div_ceil(GROUP) * inn * GROUP];
        for (r, row) in a.chunks_exact(inn).enumerate() {
            for (i, value) in row.iter().enumerate() {
                grouped[(r / GROUP * inn + i) * GROUP + r % GROUP] = *value;
            }
        }
        let mut panels = vec![0.0; out.div_ceil(PANEL) * rank * PANEL];
        for (o, row) in b.chunks_exact(rank).enumerate() {
            for (r, value) in row.iter().enumerate() {
                panels[(o / PANEL * rank + r) * PANEL + o % PANEL] = *value;
            }
        }
        Self { rank, inn, out, a: Numbers::new(grouped), b: Numbers::new(panels) }
    }

    pub fn bytes(&self) -> usize {
        self.a.bytes() + self.b.bytes()
    }

    /// A row-major [rank, in].
    pub fn a(&self) -> Vec<f32> {
        let at = |r: usize, i: usize| self.a.get((r / GROUP * self.inn + i) * GROUP + r % GROUP);
        (0..self.rank).flat_map(|r| (0..self.inn).map(move |i| at(r, i))).collect()
    }

    /// B row-major [out, rank].
    pub fn b(&self) -> Vec<f32> {
        let at = |o: usize, r: usize| self.b.get((o / PANEL * self.rank + r) * PANEL + o % PANEL);
        (0..self.out).flat_map(|o| (0..self.rank).map(move |r| at(o, r))).collect()
    }

    pub fn in_dim(&self) -> usize {
        self.inn
    }

    pub fn out_dim(&self) -> usize {
        self.out
    }

    /// y [m, out] += scale * (x [m, in] A^T) B^T; where the update is zero, y keeps its bits.
    pub fn update(&self, x: &[f32], scale: f32, y: &mut [f32]) {
        let m = x.len() / self.inn;
        assert!(x.len() == m * self.inn && y.len() == m * self.out, "x or y does not fit the map");
        match (&self.a, &self.b) {
            (Numbers::F32(a), Numbers::F32(b)) => self.run(a, b, x, scale, y),
            (Numbers::F32(a), Numbers::F16(b)) => self.run(a, b, x, scale, y),
            (Numbers::F16(a), Numbers::F32(b)) => self.run(a, b, x, scale, y),
            (Numbers::F16(a), Numbers::F16(b)) => self.run(a, b, x, scale, y),
        }
    }

    fn run<A: Stored, B: Stored>(&self, a: &[A], b: &[B], x: &[f32], scale: f32, y: &mut [f32]) {
        let ranks = self.rank.next_multiple_of(GROUP);
        let mut low = [0f32; 2 * super::adapter::RANK_MAX];
        let rows = x.chunks(2 * self.inn).zip(y.chunks_mut(2 * self.out));
        for (x, y) in rows {
            // Two rows share what is read of A.
            for (group, low) in low[..2 * ranks].chunks_exact_mut(2 * GROUP).enumerate() {
                let a = &a[group * self.inn * GROUP..][..self.inn * GROUP];
                let (one, two) = low.split_at_mut(GROUP);
                if x.len() > self.inn {
                    let (x, x_two) = x.split_at(self.inn);
                    shrink([x, x_two], a, [as_group(one), as_group(two)]);
                } else {
                    shrink([x], a, [as_group(one)]);
                }
            }
            for (row, y) in y.chunks_exact_mut(self.out).enumerate() {
                let mut own = [0f32; super::adapter::RANK_MAX];
                for group in 0..ranks / GROUP {
                    let from = (2 * group + row) * GROUP;
                    own[group * GROUP..][..GROUP].copy_from_slice(&low[from..from + GROUP]);
                }
                expand(&own[..self.rank], b, scale, y);
            }
        }
    }
}

fn as_group(slice: &mut [f32]) -> &mut [f32; GROUP] {
    slice.try_into().expect("a group has eight ranks")
}

/// How a number lies in memory.
trait Stored: Copy {
    fn get(self) -> f32;

    /// # Safety
    /// Eight numbers at `from`, and the machine has AVX2 and F16C.
    #[cfg(target_arch = "x86_64")]
    unsafe fn load(from: *const Self) -> std::arch::x86_64::__m256;
}

impl Stored for f32 {
    #[inline(always)]
    fn get(self) -> f32 {
        self
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn load(from: *const Self) -> std::arch::x86_64::__m256 {
        // SAFETY: the caller's promise.
        unsafe { std::arch::x86_64::_mm256_loadu_ps(from) }
    }
}

/// The bits of a finite number in half precision.
impl Stored for u16 {
    #[inline(always)]
    fn get(self) -> f32 {
        f16::from_bits(self).to_f32()
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn load(from: *const Self) -> std::arch::x86_64::__m256 {
        use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps};
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }
}

#[cfg(target_arch = "x86_64")]
fn vectors() -> bool {
    matches!(simd::active(), Simd::Avx2 | Simd::Avx512) && is_x86_feature_detected!("f16c")
}

/// low [rows][8] = x [rows][in] A^T for one group of ranks, A [in][8].
fn shrink<A: Stored, const M: usize>(x: [&[f32]; M], a: &[A], low: [&mut [f32; GROUP]; M]) {
    assert!(x.iter().all(|x| a.len() == x.len() * GROUP), "A does not fit x");
    #[cfg(target_arch = "x86_64")]
    if vectors() {
        // SAFETY: the machine has AVX2, FMA and F16C; lengths were checked.
        return unsafe { x86::shrink(x, a, low) };
    }
    for (x, low) in x.iter().zip(low) {
        for (block, (x, a)) in x.chunks(BLOCK).zip(a.chunks(BLOCK * GROUP)).enumerate() {
            let mut sums = [0f32; GROUP];
            for (x, a) in x.iter().zip(a.chunks_exact(GROUP)) {
                for (sum, a) in sums.iter_mut().zip(a) {
                    *sum = x.mul_add(a.get(), *sum);
                }
            }
            for (low, sum) in low.iter_mut().zip(sums) {
                *low = if block == 0 { sum } else { *low + sum };
            }
        }
    }
}

/// y [out] += scale * low [rank] B^T, B in panels of sixteen.
fn expand<B: Stored>(low: &[f32], b: &[B], scale: f32, y: &mut [f32]) {
    let rank = low.len();
    assert!(b.len() == y.len().div_ceil(PANEL) * rank * PANEL, "B does not fit y");
    let panels = b.chunks_exact(rank * PANEL);
    for (y, b) in y.chunks_mut(PANEL).zip(panels) {
        #[cfg(target_arch = "x86_64")]
        if y.len() == PANEL && vectors() {
            // SAFETY: the machine has AVX2, FMA and F16C; a whole panel of y and of B.
            unsafe { x86::expand(low, b, scale, y.as_mut_ptr()) };
            continue;
        }
        let mut sums = [0f32; PANEL];
        for (low, b) in low.iter().zip(b.chunks_exact(PANEL)) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = low.mul_add(b.get(), *sum);
            }
        }
        for (y, sum) in y.iter_mut().zip(sums) {
            *y = if sum == 0.0 { *y } else { scale.mul_add(sum, *y) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{BLOCK, CHAINS, GROUP, PANEL, Stored};
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn shrink<A: Stored, const M: usize>(
        x: [&[f32]; M],
        a: &[A],
        low: [&mut [f32; GROUP]; M],
    ) {
        let inn = x[0].len();
        let mut total = [_mm256_setzero_ps(); M];
        let mut first = true;
        let mut from = 0;
        while from < inn {
            let blocks = (inn - from).div_ceil(BLOCK).min(CHAINS);
            // SAFETY: `blocks` blocks from `from` on begin before the end.
            let sums = unsafe {
                match blocks {
                    1 => chains::<A, M, 1>(x, a, from),
                    2 => chains::<A, M, 2>(x, a, from),
                    3 => chains::<A, M, 3>(x, a, from),
                    _ => chains::<A, M, 4>(x, a, from),
                }
            };
            for sums in sums.iter().take(blocks) {
                for m in 0..M {
                    total[m] = if first { sums[m] } else { _mm256_add_ps(total[m], sums[m]) };
                }
                first = false;
            }
            from += blocks * BLOCK;
        }
        for (low, total) in low.into_iter().zip(total) {
            // SAFETY: eight floats.
            unsafe { _mm256_storeu_ps(low.as_mut_ptr(), total) };
        }
    }

    /// The sums of C blocks from input `from` on; only the last may be short.
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn chains<A: Stored, const M: usize, const C: usize>(
        x: [&[f32]; M],
        a: &[A],
        from: usize,
    ) -> [[__m256; M]; CHAINS] {
        let last = (x[0].len() - from - (C - 1) * BLOCK).min(BLOCK);
        let mut acc = [[_mm256_setzero_ps(); M]; CHAINS];
        // SAFETY: input from + c * BLOCK + i is before the end: i < last for the last block, < BLOCK for others.
        unsafe {
            for i in 0..last {
                for c in 0..C {
                    let at = from + c * BLOCK + i;
                    let lanes = A::load(a.as_ptr().add(at * GROUP));
                    for m in 0..M {
                        let x = _mm256_set1_ps(*x[m].as_ptr().add(at));
                        acc[c][m] = _mm256_fmadd_ps(x, lanes, acc[c][m]);
                    }
                }
            }
            for i in last..if C > 1 { BLOCK } else { last } {
                for c in 0..C - 1 {
                    let at = from + c * BLOCK + i;
                    let lanes = A::load(a.as_ptr().add(at * GROUP));
                    for m in 0..M {
                        let x = _mm256_set1_ps(*x[m].as_ptr().add(at));
                        acc[c][m] = _mm256_fmadd_ps(x, lanes, acc[c][m]);
                    }
                }
            }
        }
        acc
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn expand<B: Stored>(low: &[f32], b: &[B], scale: f32, y: *mut f32) {
        let mut sums = [_mm256_setzero_ps(); 2];
        // SAFETY: B holds sixteen numbers for every rank, y sixteen floats.
        unsafe {
            for (r, low) in low.iter().enumerate() {
                let low = _mm256_set1_ps(*low);
                for (half, sum) in sums.iter_mut().enumerate() {
                    let lanes = B::load(b.as_ptr().add(r * PANEL + half * GROUP));
                    *sum = _mm256_fmadd_ps(low, lanes, *sum);
                }
            }
            let scale = _mm256_set1_ps(scale);
            for (half, sum) in sums.into_iter().enumerate() {
                let to = y.add(half * GROUP);
                let before = _mm256_loadu_ps(to);
                let after = _mm256_fmadd_ps(scale, sum, before);
                let zero = _mm256_cmp_ps::<_CMP_EQ_OQ>(sum, _mm256_setzero_ps());
                _mm256_storeu_ps(to, _mm256_blendv_ps(after, before, zero));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lora::{Adapter, LoraConfig};
    use crate::math::philox::{Stream, uniform};
    use crate::model::config::Target;
    use crate::model::testing::tiny_config;

    fn noise(seed: u64, n: usize, half: bool) -> Vec<f32> {
        (0..n as u64)
            .map(|i| uniform(seed, Stream::LoraInit, 3, i) - 0.5)
            .map(|x| if half { f16::from_f32(x).to_f32() } else { x })
            .collect()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn compact_factors_update_with_the_bits_of_the_plain_product_at_every_level() {
        for hidden in [24, 257, 576, 1300] {
            let model = crate::model::LlamaConfig { hidden, ..tiny_config() };
            for (rank, half) in [(1, true), (8, false), (8, true), (20, true), (33, false)] {
                let config = LoraConfig::new(rank, 16.0, false, vec![Target::V]).expect("valid");
                let flat = noise(rank as u64, config.parameters(&model), half);
                let plain = Adapter::from_parameters(&model, &config, &flat);
                let compact = Adapter::from_parameters(&model, &config, &flat).into_compact();
                assert_eq!(bits(&compact.to_parameters()), bits(&flat));
                let (out, inn) = model.linear_shape(Target::V);
                for m in [1, 2, 5] {
                    let (x, start) = (noise(5, m * inn, false), noise(6, m * out, false));
                    let mut want = start.clone();
                    plain.modules()[0].apply(&x, m, &mut want);
                    for level in simd::supported() {
                        simd::set_active(level);
                        let mut y = start.clone();
                        compact.modules()[0].update(&x, 1.0, &mut y);
                        assert_eq!(bits(&y), bits(&want), "{level:?} {inn} rank {rank} rows {m}");
                    }
                }
            }
        }
        simd::set_active(simd::detect());
    }

    #[test]
    fn numbers_are_kept_in_half_only_when_that_loses_nothing() {
        let size = |values: &[f32]| Numbers::new(values.to_vec()).bytes();
        assert_eq!(size(&[0.5, -0.0, 65_504.0, 2f32.powi(-24)]), 8);
        for lost in [0.1, 65_536.0, 2f32.powi(-25)] {
            assert_eq!(size(&[0.5, -0.0, 1.0, lost]), 16, "{lost}");
        }
    }
}
