//! The eigen-solver and Gram-Schmidt: what they promise, measured.

use super::synthetic::Random;
use crate::attribution::error::AttributionError;
use crate::attribution::gram_schmidt::OrthonormalBasis;
use crate::attribution::linalg::{Eigen, symmetric_eigen};
use crate::attribution::simd::Level;

fn symmetric(seed: u64, d: usize) -> Vec<f64> {
    let mut random = Random(seed);
    let mut a = vec![0.0; d * d];
    for i in 0..d {
        for j in i..d {
            let x = random.normal();
            a[i * d + j] = x;
            a[j * d + i] = x;
        }
    }
    a
}

fn solve(a: &[f64], d: usize) -> Eigen {
    symmetric_eigen(Level::detect(), 1, a, d).unwrap()
}

/// Largest of |S v - lambda v| and |V V^T - I|.
fn errors(a: &[f64], d: usize, eigen: &Eigen) -> (f64, f64) {
    let v = |m: usize| &eigen.vectors[m * d..(m + 1) * d];
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let (mut residual, mut skew) = (0.0f64, 0.0f64);
    for m in 0..d {
        for i in 0..d {
            residual =
                residual.max((dot(&a[i * d..(i + 1) * d], v(m)) - eigen.values[m] * v(m)[i]).abs());
            skew = skew.max((dot(v(m), v(i)) - f64::from(u8::from(m == i))).abs());
        }
    }
    (residual, skew)
}

#[test]
fn random_matrices_are_decomposed_to_rounding_error() {
    for d in [1, 2, 3, 5, 16, 17, 33, 120] {
        let a = symmetric(d as u64, d);
        let eigen = solve(&a, d);
        let (residual, skew) = errors(&a, d, &eigen);
        assert!(residual < 1e-13 * d as f64, "residual {residual} at {d}");
        assert!(skew < 1e-13 * d as f64, "skew {skew} at {d}");
        assert!(eigen.values.is_sorted_by(|x, y| x >= y), "not descending at {d}");
    }
}

#[test]
fn a_known_matrix_has_its_known_eigenvalues() {
    // 2 on the diagonal, -1 beside it: 2 - 2 cos(pi m / (d + 1)).
    let d = 40;
    let mut a = vec![0.0; d * d];
    for i in 0..d {
        a[i * d + i] = 2.0;
        if i + 1 < d {
            a[i * d + i + 1] = -1.0;
            a[(i + 1) * d + i] = -1.0;
        }
    }
    let eigen = solve(&a, d);
    for (m, value) in eigen.values.iter().rev().enumerate() {
        let known = 2.0 - 2.0 * (std::f64::consts::PI * (m + 1) as f64 / (d + 1) as f64).cos();
        assert!((value - known).abs() < 1e-14, "{value} {known}");
    }
}

#[test]
fn awkward_matrices_are_decomposed() {
    let d = 24;
    let outer = |scale: f64| -> Vec<f64> {
        (0..d * d).map(|x| scale * ((x / d) as f64 - 3.0) * ((x % d) as f64 - 3.0)).collect()
    };
    let mut identity = vec![0.0; d * d];
    (0..d).for_each(|i| identity[i * d + i] = 1.0);
    let graded: Vec<f64> = (0..d * d)
        .map(|x| if x / d == x % d { 10f64.powi(-((x / d) as i32)) } else { 0.0 })
        .collect();
    let cases = [vec![0.0; d * d], identity, outer(1.0), outer(1e150), outer(1e-160), graded];
    for (case, a) in cases.iter().enumerate() {
        let eigen = solve(a, d);
        let size = a.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let (residual, skew) = errors(a, d, &eigen);
        assert!(residual <= 1e-12 * size, "case {case}: residual {residual} of {size}");
        assert!(skew < 1e-12, "case {case}: skew {skew}");
    }
}

#[test]
fn covariances_of_few_samples_are_decomposed() {
    // Rank far below the dimension: most eigenvalues are rounding noise, and no neighbour is larger.
    for (seed, d, samples) in [(4, 256, 40), (5, 192, 3), (5, 256, 40), (5, 320, 20)] {
        let mut random = Random(seed * 1000 + d as u64);
        let mut a = vec![0.0; d * d];
        for _ in 0..samples {
            let x: Vec<f64> = (0..d).map(|_| random.normal()).collect();
            for i in 0..d {
                for j in 0..d {
                    a[i * d + j] += x[i] * x[j];
                }
            }
        }
        let eigen = solve(&a, d);
        let (residual, skew) = errors(&a, d, &eigen);
        let norm = eigen.values[0];
        assert!(residual < 1e-13 * norm * d as f64, "residual {residual} at {d}");
        assert!(skew < 1e-13 * d as f64, "skew {skew} at {d}");
        assert!(eigen.values[samples..].iter().all(|x| x.abs() < 1e-13 * norm * d as f64));
    }
}

#[test]
fn the_largest_component_of_every_eigenvector_is_positive() {
    let d = 30;
    let eigen = solve(&symmetric(9, d), d);
    for vector in eigen.vectors.chunks_exact(d) {
        let lead = vector.iter().fold(0.0f64, |m, x| if x.abs() > m.abs() { *x } else { m });
        assert!(lead > 0.0);
    }
}

#[test]
fn level_threads_and_repetition_do_not_change_a_bit() {
    let d = 70;
    let a = symmetric(11, d);
    let bits = |eigen: Eigen| -> Vec<u64> {
        eigen.values.iter().chain(&eigen.vectors).map(|x| x.to_bits()).collect()
    };
    let reference = bits(symmetric_eigen(Level::portable(), 1, &a, d).unwrap());
    for (level, threads) in [(Level::portable(), 3), (Level::detect(), 1), (Level::detect(), 4)] {
        assert_eq!(bits(symmetric_eigen(level, threads, &a, d).unwrap()), reference);
    }
}

#[test]
fn nan_and_infinity_are_refused() {
    for bad in [f64::NAN, f64::INFINITY] {
        let result = symmetric_eigen(Level::detect(), 1, &[1.0, bad, bad, 1.0], 2);
        assert!(matches!(result, Err(AttributionError::NotFinite(_))), "{result:?}");
    }
}

#[test]
fn gram_schmidt_keeps_independent_directions_orthonormal_and_drops_the_others() {
    // W: 6 rows in 40 dimensions; row 4 = row 0 + row 1, row 5 = 0.
    let (n, width) = (6, 40);
    let mut random = Random(21);
    let mut w: Vec<f64> = (0..n * width).map(|_| random.normal()).collect();
    for p in 0..width {
        w[4 * width + p] = w[p] + w[width + p];
        w[5 * width + p] = 0.0;
    }
    let row = |i: usize| &w[i * width..(i + 1) * width];
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let gram: Vec<f64> = (0..n * n).map(|x| dot(row(x / n), row(x % n))).collect();
    let mut basis = OrthonormalBasis::new(&gram, n);
    let unit = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>();
    let kept: Vec<bool> = (0..n).map(|i| basis.push(unit(i), 0.0)).collect();
    assert_eq!(kept, [true, true, true, true, false, false]);
    for (i, x) in basis.coefficients.iter().enumerate() {
        for (j, y) in basis.coefficients.iter().enumerate() {
            let inner: f64 = (0..n * n).map(|e| x[e / n] * gram[e] * y[e % n]).sum();
            assert!((inner - f64::from(u8::from(i == j))).abs() < 1e-12, "{i},{j}: {inner}");
        }
    }
    let residual = basis.residual_gram();
    assert!(residual.iter().all(|x| x.abs() < 1e-10), "everything is reached");
}
