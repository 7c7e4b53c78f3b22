//! Sixteen int32 sums, the one thing a level must provide: each adds four products of bytes at a time.

use super::pack::BIAS;
use crate::gemm::lanes::{self, Lanes};

/// Sixteen sums.
pub trait Dots: Copy {
    type Floats: Lanes;
    /// Registers for tiles of 6 rows by 2 panels.
    const WIDE: bool;
    /// # Safety
    /// The machine has the level's instructions (for all methods).
    unsafe fn zero() -> Self;
    /// Adds x . w for 16 rows of w: `w` points to 64 bytes with `BIAS`, `x` to 4.
    /// # Safety
    /// Both are readable.
    unsafe fn add(self, w: *const u8, x: *const i8) -> Self;
    /// # Safety
    /// See `zero`.
    unsafe fn join(self, other: Self) -> Self;
    /// The sums as f32, `start` (what the bias of w has added too much, negative) undone where it was added.
    /// # Safety
    /// See `zero`.
    unsafe fn floats(self, start: i32) -> Self::Floats;
}

/// The reference: sixteen plain sums.
#[derive(Clone, Copy)]
pub struct Plain([i32; 16]);

impl Dots for Plain {
    type Floats = lanes::Plain;
    const WIDE: bool = false;
    #[inline(always)]
    unsafe fn zero() -> Self {
        Plain([0; 16])
    }
    #[inline(always)]
    unsafe fn add(mut self, w: *const u8, x: *const i8) -> Self {
        for (j, sum) in self.0.iter_mut().enumerate() {
            for i in 0..4 {
                // SAFETY: the caller's promise.
                let (w, x) = unsafe { (*w.add(4 * j + i), *x.add(i)) };
                *sum += i32::from((w ^ BIAS) as i8) * i32::from(x);
            }
        }
        self
    }
    #[inline(always)]
    unsafe fn join(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a += b;
        }
        self
    }
    #[inline(always)]
    unsafe fn floats(self, _: i32) -> lanes::Plain {
        lanes::Plain(self.0.map(|sum| sum as f32))
    }
}

#[cfg(target_arch = "x86_64")]
pub mod x86 {
    use super::{BIAS, Dots};
    use crate::gemm::lanes::x86 as lanes;
    use std::arch::x86_64::*;

    /// |x| times w with x's sign, in pairs of 16 bits: 2 * 127 * 127 fits, as no entry is -128.
    #[derive(Clone, Copy)]
    pub struct Avx2(__m256i, __m256i);

    // SAFETY of all blocks: the trait's contract.
    impl Dots for Avx2 {
        type Floats = lanes::Avx2;
        const WIDE: bool = false;
        #[inline(always)]
        unsafe fn zero() -> Self {
            unsafe { Avx2(_mm256_setzero_si256(), _mm256_setzero_si256()) }
        }
        #[inline(always)]
        unsafe fn add(self, w: *const u8, x: *const i8) -> Self {
            unsafe {
                let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
                let (size, ones) = (_mm256_abs_epi8(x), _mm256_set1_epi16(1));
                let bias = _mm256_set1_epi8(BIAS as i8);
                let quad = |sum, w: *const u8| {
                    let w = _mm256_xor_si256(_mm256_loadu_si256(w.cast()), bias);
                    let w = _mm256_sign_epi8(w, x);
                    _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(size, w), ones))
                };
                Avx2(quad(self.0, w), quad(self.1, w.add(32)))
            }
        }
        #[inline(always)]
        unsafe fn join(self, o: Self) -> Self {
            unsafe { Avx2(_mm256_add_epi32(self.0, o.0), _mm256_add_epi32(self.1, o.1)) }
        }
        #[inline(always)]
        unsafe fn floats(self, _: i32) -> lanes::Avx2 {
            unsafe { lanes::Avx2(_mm256_cvtepi32_ps(self.0), _mm256_cvtepi32_ps(self.1)) }
        }
    }

    #[derive(Clone, Copy)]
    pub struct Vnni(__m512i);

    // SAFETY of all blocks: the trait's contract.
    impl Dots for Vnni {
        type Floats = lanes::Avx512;
        const WIDE: bool = true;
        #[inline(always)]
        unsafe fn zero() -> Self {
            unsafe { Vnni(_mm512_setzero_si512()) }
        }
        #[inline(always)]
        unsafe fn add(self, w: *const u8, x: *const i8) -> Self {
            unsafe {
                let x = _mm512_set1_epi32(x.cast::<i32>().read_unaligned());
                Vnni(_mm512_dpbusd_epi32(self.0, _mm512_loadu_si512(w.cast()), x))
            }
        }
        #[inline(always)]
        unsafe fn join(self, o: Self) -> Self {
            unsafe { Vnni(_mm512_add_epi32(self.0, o.0)) }
        }
        #[inline(always)]
        unsafe fn floats(self, start: i32) -> lanes::Avx512 {
            unsafe {
                let sums = _mm512_add_epi32(self.0, _mm512_set1_epi32(start));
                lanes::Avx512(_mm512_cvtepi32_ps(sums))
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub mod arm {
    use super::{BIAS, Dots};
    use crate::gemm::lanes::arm as lanes;
    use std::arch::aarch64::*;

    /// Eight half sums of two rows each: the halves join at the end.
    #[derive(Clone, Copy)]
    pub struct Neon([int32x4_t; 8]);

    // SAFETY of all blocks: the trait's contract; NEON is part of the base architecture.
    impl Dots for Neon {
        type Floats = lanes::Neon;
        const WIDE: bool = false;
        #[inline(always)]
        unsafe fn zero() -> Self {
            Neon([unsafe { vdupq_n_s32(0) }; 8])
        }
        #[inline(always)]
        unsafe fn add(mut self, w: *const u8, x: *const i8) -> Self {
            unsafe {
                let x = vreinterpretq_s8_s32(vdupq_n_s32(x.cast::<i32>().read_unaligned()));
                for i in 0..4 {
                    let w = veorq_u8(vld1q_u8(w.add(16 * i)), vdupq_n_u8(BIAS));
                    let w = vreinterpretq_s8_u8(w);
                    let low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
                    let high = vmull_high_s8(w, x);
                    self.0[2 * i] = vpadalq_s16(self.0[2 * i], low);
                    self.0[2 * i + 1] = vpadalq_s16(self.0[2 * i + 1], high);
                }
            }
            self
        }
        #[inline(always)]
        unsafe fn join(mut self, o: Self) -> Self {
            for i in 0..8 {
                self.0[i] = unsafe { vaddq_s32(self.0[i], o.0[i]) };
            }
            self
        }
        #[inline(always)]
        unsafe fn floats(self, _: i32) -> lanes::Neon {
            let mut floats = [unsafe { vdupq_n_f32(0.0) }; 4];
            for i in 0..4 {
                floats[i] = unsafe { vcvtq_f32_s32(vpaddq_s32(self.0[2 * i], self.0[2 * i + 1])) };
            }
            lanes::Neon(floats)
        }
    }
}
