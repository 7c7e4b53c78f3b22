//! Scalars every other part agrees on: transcendental functions of our own, the counter PRNG,
//! the choice of vector instructions.

pub mod double;
pub mod philox;
pub mod simd;
pub mod single;
