//! The kernels against their slow, obvious twins.

use super::synthetic::Random;
use crate::attribution::basis::gram;
use crate::attribution::gemm::{K_BLOCK, Strided, multiply};
use crate::attribution::index::Progress;
use crate::attribution::simd::Level;
use crate::attribution::syrk::{SymmetricSum, Widened};

fn floats(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.normal() as f32).collect()
}

/// One output at a time: chains of 256 fused multiply-adds, block sums ascending.
fn naive_product(a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) -> Vec<f32> {
    let mut c = vec![0.0f32; m * n];
    for i in 0..m {
        for j in 0..n {
            for start in (0..k).step_by(K_BLOCK) {
                let end = (start + K_BLOCK).min(k);
                let chain =
                    (start..end).fold(0.0f32, |sum, x| a[i * k + x].mul_add(b[x * n + j], sum));
                c[i * n + j] += chain;
            }
        }
    }
    c
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn every_level_gives_the_bits_of_one_fma_chain_per_output() {
    let mut random = Random(3);
    for (m, k, n) in [
        (1, 1, 1),
        (8, 64, 128),
        (5, 257, 17),
        (3, 600, 33),
        (4, 256, 16),
        (9, 0, 5),
        (131, 300, 18),
    ] {
        let (a, b) = (floats(&mut random, m * k), floats(&mut random, k * n));
        let expected = bits(&naive_product(&a, &b, (m, k, n)));
        for level in [Level::portable(), Level::detect()] {
            let mut c = vec![f32::NAN; m * n];
            multiply(level, Strided { data: &a, row: k, col: 1 }, &b, k, n, &mut c);
            assert_eq!(bits(&c), expected, "[{m},{k},{n}] at {level:?}");
        }
    }
}

#[test]
fn a_transposed_operand_gives_the_bits_of_its_copy() {
    let mut random = Random(4);
    let (m, k, n) = (7, 300, 40);
    let (at, b) = (floats(&mut random, k * m), floats(&mut random, k * n));
    let a: Vec<f32> = (0..m * k).map(|x| at[(x % k) * m + x / k]).collect();
    let mut c = vec![0.0; m * n];
    multiply(Level::detect(), Strided { data: &at, row: 1, col: m }, &b, k, n, &mut c);
    assert_eq!(bits(&c), bits(&naive_product(&a, &b, (m, k, n))));
}

#[test]
fn symmetric_sums_are_one_chain_per_entry_whatever_level_and_threads() {
    let mut random = Random(5);
    let (count, d) = (300, 21);
    let x = floats(&mut random, count * d);
    let mut expected = vec![0.0f64; d * d];
    for row in x.chunks_exact(d) {
        for i in 0..d {
            for j in 0..d {
                expected[i * d + j] += f64::from(row[i]) * f64::from(row[j]);
            }
        }
    }
    for (level, threads) in [(Level::portable(), 1), (Level::detect(), 1), (Level::detect(), 3)] {
        let mut sum = SymmetricSum::new(d);
        // The chain goes on where the last call stopped, over pieces of one call as over one.
        let mut widened = Widened::default();
        for pieces in x.chunks(33 * d).collect::<Vec<_>>().chunks(6) {
            widened.fill_rows(pieces, d);
            sum.add(level, threads, &widened);
        }
        assert_eq!(sum.mean(1.0), expected, "{level:?}, {threads} threads");
    }
}

#[test]
fn the_gram_matrix_holds_every_pairs_dot_product() {
    let mut random = Random(6);
    let (n, width) = (13, 777);
    let w = floats(&mut random, n * width);
    let rows: Vec<&[f32]> = w.chunks_exact(w.len() / n).collect();
    let gram = gram(Level::detect(), 2, &rows, &mut Progress(&mut |_, _, _| true)).unwrap();
    for i in 0..n {
        for j in 0..n {
            let pair = w[i * width..].iter().zip(&w[j * width..]).take(width);
            let dot: f64 = pair.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            assert_eq!(gram[i * n + j], dot, "entry {i},{j}");
        }
    }
}
