//! int8 x int8 -> int32, exact in any order: the plain twin of kernels/gemm_i8.cu.

/// Longest sum that cannot overflow: 128 * 128 * K < 2^31.
pub const K_MAX: usize = 131_071;

/// C [m, n] = A B^T, A [m, k], B [n, k].
pub fn multiply(a: &[i8], b: &[i8], k: usize) -> Vec<i32> {
    assert!((1..=K_MAX).contains(&k), "k is {k}, must be 1..={K_MAX}");
    let dot =
        |x: &[i8], y: &[i8]| x.iter().zip(y).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
    a.chunks_exact(k).flat_map(|x| b.chunks_exact(k).map(move |y| dot(x, y))).collect()
}
