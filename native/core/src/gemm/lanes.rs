//! Sixteen f32 lanes, the one thing a SIMD level must provide. All loops of the product are written
//! once over this trait; each level adds these few lines.

/// Sixteen lanes with IEEE fused multiply-add.
pub trait Lanes: Copy {
    /// Panels a one-row tile should take at once to hide the latency of its chains.
    const WIDE: bool;
    /// # Safety
    /// The machine has the level's instructions (for all methods).
    unsafe fn zero() -> Self;
    /// # Safety
    /// `from` points to 16 readable floats.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// See `zero`.
    unsafe fn splat(x: f32) -> Self;
    /// self * b + c, rounded once.
    /// # Safety
    /// See `zero`.
    unsafe fn fma(self, b: Self, c: Self) -> Self;
    /// # Safety
    /// See `zero`.
    unsafe fn add(self, other: Self) -> Self;
    /// # Safety
    /// `to` points to 16 writable floats.
    unsafe fn store(self, to: *mut f32);
}

/// The reference: sixteen plain floats.
#[derive(Clone, Copy)]
pub struct Plain(pub [f32; 16]);

impl Lanes for Plain {
    const WIDE: bool = false;
    #[inline(always)]
    unsafe fn zero() -> Self {
        Plain([0.0; 16])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise; f32 arrays have the alignment of f32.
        Plain(unsafe { *from.cast::<[f32; 16]>() })
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Plain([x; 16])
    }
    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        let mut out = c;
        for i in 0..16 {
            out.0[i] = self.0[i].mul_add(b.0[i], c.0[i]);
        }
        out
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        let mut out = self;
        for i in 0..16 {
            out.0[i] += other.0[i];
        }
        out
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { *to.cast::<[f32; 16]>() = self.0 }
    }
}

#[cfg(target_arch = "x86_64")]
pub mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub struct Avx2(pub __m256, pub __m256);

    // SAFETY of all blocks: the trait's contract.
    impl Lanes for Avx2 {
        const WIDE: bool = false;
        #[inline(always)]
        unsafe fn zero() -> Self {
            unsafe { Avx2(_mm256_setzero_ps(), _mm256_setzero_ps()) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { Avx2(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            let v = unsafe { _mm256_set1_ps(x) };
            Avx2(v, v)
        }
        #[inline(always)]
        unsafe fn fma(self, b: Self, c: Self) -> Self {
            unsafe { Avx2(_mm256_fmadd_ps(self.0, b.0, c.0), _mm256_fmadd_ps(self.1, b.1, c.1)) }
        }
        #[inline(always)]
        unsafe fn add(self, o: Self) -> Self {
            unsafe { Avx2(_mm256_add_ps(self.0, o.0), _mm256_add_ps(self.1, o.1)) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe {
                _mm256_storeu_ps(to, self.0);
                _mm256_storeu_ps(to.add(8), self.1);
            }
        }
    }

    #[derive(Clone, Copy)]
    pub struct Avx512(pub __m512);

    // SAFETY of all blocks: the trait's contract.
    impl Lanes for Avx512 {
        const WIDE: bool = true;
        #[inline(always)]
        unsafe fn zero() -> Self {
            unsafe { Avx512(_mm512_setzero_ps()) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { Avx512(_mm512_loadu_ps(from)) }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { Avx512(_mm512_set1_ps(x)) }
        }
        #[inline(always)]
        unsafe fn fma(self, b: Self, c: Self) -> Self {
            unsafe { Avx512(_mm512_fmadd_ps(self.0, b.0, c.0)) }
        }
        #[inline(always)]
        unsafe fn add(self, o: Self) -> Self {
            unsafe { Avx512(_mm512_add_ps(self.0, o.0)) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub mod arm {
    use super::Lanes;
    use std::arch::aarch64::*;

    #[derive(Clone, Copy)]
    pub struct Neon(pub [float32x4_t; 4]);

    // SAFETY of all blocks: the trait's contract; NEON is part of the base architecture.
    impl Lanes for Neon {
        const WIDE: bool = false;
        #[inline(always)]
        unsafe fn zero() -> Self {
            unsafe { Self::splat(0.0) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe {
                Neon([
                    vld1q_f32(from),
                    vld1q_f32(from.add(4)),
                    vld1q_f32(from.add(8)),
                    vld1q_f32(from.add(12)),
                ])
            }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            Neon([unsafe { vdupq_n_f32(x) }; 4])
        }
        #[inline(always)]
        unsafe fn fma(self, b: Self, c: Self) -> Self {
            let mut out = c;
            for i in 0..4 {
                out.0[i] = unsafe { vfmaq_f32(c.0[i], self.0[i], b.0[i]) };
            }
            out
        }
        #[inline(always)]
        unsafe fn add(self, o: Self) -> Self {
            let mut out = self;
            for i in 0..4 {
                out.0[i] = unsafe { vaddq_f32(self.0[i], o.0[i]) };
            }
            out
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            for i in 0..4 {
                unsafe { vst1q_f32(to.add(4 * i), self.0[i]) };
            }
        }
    }
}
