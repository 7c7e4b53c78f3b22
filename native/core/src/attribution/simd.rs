//! One body, compiled for every level of the machine. A kernel fixes the order of its additions in
//! the source (lanes are outputs), so AVX2 and portable code give the same bits; `f32::mul_add` is one
//! correctly rounded operation on both (hardware FMA, or libm's exact software FMA).

/// Which instruction set the kernels use. Only `detect` can make anything but portable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Isa);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Level {
    /// The best level this machine can run.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Self(Isa::Avx2);
        }
        Self(Isa::Portable)
    }

    /// The reference: what every machine can run.
    pub fn portable() -> Self {
        Self(Isa::Portable)
    }

    pub(crate) fn isa(self) -> Isa {
        self.0
    }
}

/// Defines `fn name(level: Level, args..)` from a body `fn body(args..)`, compiled twice.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident : $ty:ty),* $(,)?) = $body:path, $fused:path) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(level: $crate::attribution::simd::Level, $($arg: $ty),*) {
            match level.isa() {
                $crate::attribution::simd::Isa::Portable => $body($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::attribution::simd::Isa::Avx2 => {
                    #[target_feature(enable = "avx2,fma")]
                    #[allow(clippy::too_many_arguments)]
                    fn wide($($arg: $ty),*) { $fused($($arg),*) }
                    // SAFETY: Isa::Avx2 is made by Level::detect alone, after it saw both features.
                    unsafe { wide($($arg),*) }
                }
            }
        }
    };
}
pub(crate) use multiversion;
