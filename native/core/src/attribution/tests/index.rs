//! The built index: exactness of contributor scores, determinism, rounding bounds, refusals.

use super::synthetic::{Synthetic, shape};
use crate::attribution::basis::{coefficients, directions};
use crate::attribution::index::{
    BuiltIndex, IndexConfig, Progress, STORAGE, Storage, build_index, build_index_with,
};
use crate::attribution::packed::Width;
use crate::attribution::score::raw_scores;
use crate::attribution::simd::Level;
use crate::attribution::sketch::{
    TRAINING_MAX, largest, project, quantise_query, quantise_training, sketch_query, sketch_values,
};
use crate::attribution::stack::{HOLD, Hold, Stack, whiten_all};
use crate::attribution::whiten::parameters;
use tiny_keccak::{Hasher, Keccak};

const EXACT: Storage = Storage { eigenbasis: Width::Bits16, directions: Width::Bits16 };

pub fn config<'a>(source: &Synthetic, owners: &'a [u32], k: usize) -> IndexConfig<'a> {
    IndexConfig {
        contributors: owners,
        contributor_count: source.contributors,
        k,
        damping: 0.1,
        label_draws: 2,
        seed: 7,
    }
}

pub fn built(source: &Synthetic, k: usize, storage: Storage) -> BuiltIndex {
    let owners = source.owners();
    let config = config(source, &owners, k);
    let machine = (Level::detect(), 2);
    build_index_with(machine, storage, HOLD, source, &config, &mut |_, _, _| true).unwrap()
}

/// Directions before storage, [P, k].
fn all_directions(source: &Synthetic, built: &BuiltIndex) -> Vec<f64> {
    let (level, owners, k) = (Level::detect(), source.owners(), built.index.k());
    let mut go_on = |_, _, _| true;
    let mut progress = Progress(&mut go_on);
    let whose = (owners.as_slice(), source.contributors);
    let stack =
        Stack::gather(level, 1, (&built.index, source), whose, HOLD, &mut progress).unwrap();
    let b = coefficients(level, 1, &stack, k, &mut progress).unwrap();
    directions(level, &stack.spanning(), (&b, k), (0, stack.width))
}

fn whitened(source: &Synthetic, built: &BuiltIndex) -> Vec<f32> {
    let mut go_on = |_, _, _| true;
    whiten_all(Level::detect(), 1, (&built.index, source), &mut Progress(&mut go_on)).unwrap()
}

fn dot(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

#[test]
fn directions_are_orthonormal_and_span_the_contributor_sums() {
    let source = Synthetic::small();
    let any = built(&source, 12, EXACT);
    let w = whitened(&source, &any);
    let (n, k, width) = (source.samples, 12, any.index.parameters());
    let owners = source.owners();
    let e = all_directions(&source, &any);
    let column = |j: usize| -> Vec<f64> { (0..width).map(|p| e[p * k + j]).collect() };
    for i in 0..k {
        for j in 0..k {
            let inner: f64 = column(i).iter().zip(column(j)).map(|(x, y)| x * y).sum();
            assert!((inner - f64::from(u8::from(i == j))).abs() < 1e-10, "{i},{j}: {inner}");
        }
    }
    for c in 0..5u32 {
        let mut sum = vec![0.0f64; width];
        for i in (0..n).filter(|i| owners[*i] == c) {
            sum.iter_mut().zip(&w[i * width..]).for_each(|(s, w)| *s += f64::from(*w));
        }
        let length: f64 = sum.iter().map(|x| x * x).sum();
        let inside: f64 = (0..5)
            .map(|j| column(j).iter().zip(&sum).map(|(x, y)| x * y).sum::<f64>().powi(2))
            .sum();
        assert!((inside / length - 1.0).abs() < 1e-10, "contributor {c}: {inside} of {length}");
    }
}

#[test]
fn later_directions_are_the_principal_ones_of_the_residuals() {
    // With one contributor whose sum is removed, direction 1 must catch more of the residual energy
    // than any other direction of a full basis, direction 2 the next, and so on.
    let source = Synthetic { contributors: 1, ..Synthetic::small() };
    let any = built(&source, 24, EXACT);
    let w = whitened(&source, &any);
    let (n, k, width) = (source.samples, 24, any.index.parameters());
    let e = all_directions(&source, &any);
    let energy = |j: usize| -> f64 {
        (0..n)
            .map(|i| {
                (0..width).map(|p| e[p * k + j] * f64::from(w[i * width + p])).sum::<f64>().powi(2)
            })
            .sum()
    };
    let energies: Vec<f64> = (1..k).map(energy).collect();
    assert!(energies.is_sorted_by(|x, y| *x >= y * (1.0 - 1e-9)), "{energies:?}");
    let total: f64 = dot(&w, &w);
    let caught: f64 = energies.iter().sum::<f64>() + energy(0);
    assert!(
        (caught / total - 1.0).abs() < 1e-9,
        "24 directions span 24 samples: {caught} of {total}"
    );
}

#[test]
fn contributor_scores_through_the_basis_equal_the_full_space() {
    let source = Synthetic::small();
    // k = the number of contributors: nothing but their span.
    let built = built(&source, 5, EXACT);
    let w = whitened(&source, &built);
    let width = built.index.parameters();
    let queries = Synthetic { seed: 99, ..Synthetic::small() };
    let q = whitened(&queries, &built);
    for query in 0..6 {
        let row = &q[query * width..(query + 1) * width];
        let sketch = sketch_values(Level::detect(), &built.index, &queries, query).unwrap();
        for c in 0..5 {
            let full: f64 = (0..24)
                .filter(|i| i % 5 == c)
                .map(|i| dot(row, &w[i * width..(i + 1) * width]))
                .sum();
            let sums = &built.sums[c * 5..(c + 1) * 5];
            let short: f64 = sketch
                .iter()
                .zip(sums)
                .map(|(x, s)| f64::from(*x) * f64::from(*s) * f64::from(built.scale))
                .sum();
            let size = dot(row, row).sqrt() * built.scale as f64 * 32767.0;
            assert!(
                (full - short).abs() < 3e-4 * size,
                "query {query}, {c}: {full} {short} of {size}"
            );
        }
    }
}

#[test]
fn contributor_scores_add_up_to_the_scores_of_their_samples() {
    let source = Synthetic::small();
    let built = built(&source, 9, STORAGE);
    let query =
        sketch_query(&built.index, &Synthetic { seed: 4, ..Synthetic::small() }, 2).unwrap();
    let samples: Vec<i32> = built.sketches.iter().map(|x| i32::from(*x)).collect();
    let by_sample = raw_scores(Level::detect(), &samples, &query);
    let by_contributor = raw_scores(Level::detect(), &built.sums, &query);
    for (c, score) in by_contributor.iter().enumerate() {
        let own: i64 = by_sample.iter().skip(c).step_by(5).sum();
        assert_eq!(*score, own, "contributor {c}");
    }
    assert!(by_contributor.iter().any(|s| *s != 0));
}

#[test]
fn splitting_an_account_does_not_change_the_sum_of_its_scores() {
    let source = Synthetic::small();
    let mut split = source.owners();
    // Contributor 0's later samples go to a new account, 5.
    split.iter_mut().skip(10).filter(|c| **c == 0).for_each(|c| *c = 5);
    let one = built(&source, 8, STORAGE);
    let sums = crate::attribution::index::contributor_sums(&one.sketches, 8, (&split, 6)).unwrap();
    for j in 0..8 {
        assert_eq!(sums[j] + sums[5 * 8 + j], one.sums[j]);
    }
}

#[test]
fn level_and_thread_count_do_not_change_a_byte() {
    let source = Synthetic::small();
    let owners = source.owners();
    let run = |level, threads| {
        let config = config(&source, &owners, 10);
        let machine = (level, threads);
        let b = build_index_with(machine, STORAGE, HOLD, &source, &config, &mut |_, _, _| true)
            .unwrap();
        (b.index.to_bytes(), b.scale.to_bits(), b.sketches, b.sums)
    };
    let reference = run(Level::portable(), 1);
    assert_eq!(run(Level::detect(), 1), reference);
    assert_eq!(run(Level::detect(), 3), reference);
    assert_eq!(run(Level::portable(), 4), reference);
}

/// Room for `rows` rows of `source`, of which directions need `spanning`.
fn hold(source: &Synthetic, rows: usize, spanning: usize) -> Hold {
    let width: usize = source.factors.iter().map(|shape| parameters(*shape)).sum();
    Hold { bytes_max: 4 * width * rows, spanning }
}

/// All bytes of an index.
fn bytes_holding(hold: Hold, source: &Synthetic, k: usize) -> Vec<u8> {
    let owners = source.owners();
    let config = config(source, &owners, k);
    let machine = (Level::detect(), 2);
    let b = build_index_with(machine, STORAGE, hold, source, &config, &mut |_, _, _| true).unwrap();
    let mut bytes = b.index.to_bytes();
    bytes.extend(b.scale.to_le_bytes());
    bytes.extend(b.sketches.iter().flat_map(|x| x.to_le_bytes()));
    bytes.extend(b.sums.iter().flat_map(|x| x.to_le_bytes()));
    bytes
}

#[test]
fn rows_that_only_pass_by_give_the_bytes_of_rows_that_are_held() {
    let source = Synthetic { samples: 61, ..Synthetic::small() };
    // The contributors take all five directions, so no row need be held.
    let held = bytes_holding(HOLD, &source, 5);
    assert_eq!(bytes_holding(hold(&source, 60, 512), &source, 5), held);
    assert_eq!(bytes_holding(hold(&source, 0, 512), &source, 5), held);
    // Twenty find the other seven directions, whether all are held or they alone.
    let few = bytes_holding(hold(&source, 61, 20), &source, 12);
    assert_eq!(bytes_holding(hold(&source, 60, 20), &source, 12), few);
    assert_eq!(bytes_holding(hold(&source, 20, 512), &source, 12), few);
    assert_ne!(bytes_holding(HOLD, &source, 12), few);
}

#[test]
fn every_direction_beside_the_contributors_is_found_among_two_rows_at_least() {
    let source = Synthetic { samples: 61, ..Synthetic::small() };
    let fourteen = bytes_holding(hold(&source, 61, 14), &source, 12);
    assert_eq!(bytes_holding(hold(&source, 61, 1), &source, 12), fourteen);
    assert_ne!(bytes_holding(hold(&source, 61, 15), &source, 12), fourteen);
}

#[test]
fn sketches_of_a_second_walk_are_those_of_held_rows() {
    let source = Synthetic { samples: 61, ..Synthetic::small() };
    let owners = source.owners();
    let hold = hold(&source, 20, 512);
    let config = config(&source, &owners, 12);
    let machine = (Level::detect(), 2);
    let b =
        build_index_with(machine, STORAGE, hold, &source, &config, &mut |_, _, _| true).unwrap();
    let values = project(Level::detect(), 1, &b.index, &whitened(&source, &b));
    assert_eq!(b.scale, largest(&values) / TRAINING_MAX);
    assert_eq!(b.sketches, quantise_training(&values, b.scale));
    // Twenty rows of 61 find directions for all of them: no coordinate is empty.
    assert!((0..12).all(|j| b.sketches.iter().skip(j).step_by(12).any(|x| *x != 0)));
}

#[test]
fn the_seed_and_the_labels_it_draws_matter() {
    let source = Synthetic::small();
    let owners = source.owners();
    let run = |seed| {
        let config = IndexConfig { seed, ..config(&source, &owners, 6) };
        build_index(&source, &config, &mut |_, _, _| true).unwrap().index.to_bytes()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn training_sketches_are_within_half_a_step_and_use_the_whole_range() {
    let source = Synthetic::small();
    let built = built(&source, 12, STORAGE);
    assert_eq!(built.sketches.iter().map(|x| x.unsigned_abs()).max(), Some(32767));
    for sample in 0..source.samples {
        let values = sketch_values(Level::detect(), &built.index, &source, sample).unwrap();
        for (value, code) in values.iter().zip(&built.sketches[sample * 12..]) {
            let error = f64::from(*value) - f64::from(*code) * f64::from(built.scale);
            assert!(
                error.abs() <= f64::from(built.scale) * 0.501,
                "{error} at scale {}",
                built.scale
            );
        }
    }
}

#[test]
fn rounding_is_half_to_even_on_both_sides() {
    assert_eq!(quantise_query(&[127.0, 2.5, 3.5, -0.5, -1.5]), [127, 2, 4, 0, -2]);
    assert_eq!(quantise_query(&[-2.0, 1.0]), [-127, 64]);
    assert_eq!(quantise_training(&[2.5, -3.5, 1e9, -1e9], 1.0), [2, -4, 32767, -32767]);
    assert_eq!(quantise_training(&[0.0, 0.0], 0.0), [0, 0]);
}

#[test]
fn stored_codes_cost_little_against_the_full_space() {
    // A small adapter is the worst case: rounding noise falls as 1 / sqrt(P), and P is 7000 here.
    let factors = vec![shape(8, 128), shape(128, 8), shape(8, 344), shape(344, 8)];
    let source = Synthetic { factors, samples: 60, tokens: 16, contributors: 6, seed: 3 };
    let queries = Synthetic { seed: 1003, samples: 20, factors: source.factors.clone(), ..source };
    let reference = built(&source, 24, EXACT);
    let small = built(&source, 24, STORAGE);
    assert!(small.index.to_bytes().len() * 2 < reference.index.to_bytes().len());
    let correlation = |x: &[f64], y: &[f64]| {
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (mx, my) = (mean(x), mean(y));
        let cov = |a: &[f64], ma: f64, b: &[f64], mb: f64| -> f64 {
            a.iter().zip(b).map(|(p, q)| (p - ma) * (q - mb)).sum()
        };
        cov(x, mx, y, my) / (cov(x, mx, x, mx) * cov(y, my, y, my)).sqrt()
    };
    let width = reference.index.parameters();
    let (w, q) = (whitened(&source, &reference), whitened(&queries, &reference));
    for query in 0..queries.samples {
        let full: Vec<f64> = (0..6)
            .map(|c| {
                let own = (0..60).filter(|i| i % 6 == c);
                own.map(|i| {
                    dot(&q[query * width..(query + 1) * width], &w[i * width..(i + 1) * width])
                })
                .sum()
            })
            .collect();
        let sketch = sketch_query(&small.index, &queries, query).unwrap();
        let scores: Vec<f64> =
            raw_scores(Level::detect(), &small.sums, &sketch).iter().map(|s| *s as f64).collect();
        let r = correlation(&full, &scores);
        assert!(r > 0.995, "query {query}: correlation {r}");
    }
}

#[test]
fn directions_beyond_the_span_of_the_data_are_zero() {
    let source = Synthetic { samples: 6, ..Synthetic::small() };
    let built = built(&source, 11, STORAGE);
    for sketch in built.sketches.chunks_exact(11) {
        assert!(sketch[6..].iter().all(|x| *x == 0), "{sketch:?}");
        assert!(sketch[..6].iter().any(|x| *x != 0));
    }
}

#[test]
fn the_built_index_has_the_bytes_every_machine_must_get() {
    let built = built(&Synthetic::small(), 9, STORAGE);
    let mut keccak = Keccak::v256();
    keccak.update(&built.index.to_bytes());
    keccak.update(&built.scale.to_le_bytes());
    built.sketches.iter().for_each(|x| keccak.update(&x.to_le_bytes()));
    built.sums.iter().for_each(|x| keccak.update(&x.to_le_bytes()));
    let mut hash = [0u8; 32];
    keccak.finalize(&mut hash);
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    // Changes only together with KERNEL_SET.
    assert_eq!(hex, "5af0d3a6196da741a46b658044bdefe730c4b8eb6efa78e08d46b2485ed4b745");
}
