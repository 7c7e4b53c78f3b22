//! Which vector instructions run, chosen once at run time. Every level gives the same bits, so
//! the level may even change in mid-flight: tests switch it to compare.

use std::sync::atomic::{AtomicU8, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Simd {
    /// Plain Rust; `mul_add` may be a library call where the machine has no FMA.
    Scalar = 1,
    /// x86-64 with AVX2 and FMA: 8 lanes.
    Avx2 = 2,
    /// x86-64 with AVX-512F: 16 lanes.
    Avx512 = 3,
    /// aarch64: 4 lanes, always there.
    Neon = 4,
}

impl Simd {
    pub fn name(self) -> &'static str {
        match self {
            Simd::Scalar => "scalar",
            Simd::Avx2 => "avx2",
            Simd::Avx512 => "avx512",
            Simd::Neon => "neon",
        }
    }
}

static ACTIVE: AtomicU8 = AtomicU8::new(0);

/// The best level this machine has.
pub fn detect() -> Simd {
    *supported().last().unwrap_or(&Simd::Scalar)
}

/// Every level this machine can run, slowest first.
pub fn supported() -> Vec<Simd> {
    #[allow(unused_mut)]
    let mut levels = vec![Simd::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(Simd::Avx2);
            if is_x86_feature_detected!("avx512f") {
                levels.push(Simd::Avx512);
            }
        }
    }
    #[cfg(target_arch = "aarch64")]
    levels.push(Simd::Neon);
    levels
}

/// The level in use.
#[inline]
pub fn active() -> Simd {
    match ACTIVE.load(Ordering::Relaxed) {
        1 => Simd::Scalar,
        2 => Simd::Avx2,
        3 => Simd::Avx512,
        4 => Simd::Neon,
        _ => {
            let best = detect();
            ACTIVE.store(best as u8, Ordering::Relaxed);
            best
        }
    }
}

/// Chooses a level for the whole process; panics when the machine cannot run it.
pub fn set_active(level: Simd) {
    assert!(supported().contains(&level), "this machine has no {}", level.name());
    ACTIVE.store(level as u8, Ordering::Relaxed);
}

/// Compiles one safe element-wise function for each level and picks at the call. The body must be
/// plain IEEE operations in a written order: the compiler may vectorise it across elements but
/// never reorders a sum, so all versions agree to the bit.
#[macro_export]
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx512f,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                match $crate::math::simd::active() {
                    // SAFETY: `active` only ever names levels the machine was seen to have.
                    $crate::math::simd::Simd::Avx2 => return unsafe { avx2($($arg),*) },
                    // SAFETY: as above.
                    $crate::math::simd::Simd::Avx512 => return unsafe { avx512($($arg),*) },
                    _ => {}
                }
            }
            body($($arg),*)
        }
    };
}
