//! EK-FAC against its definition, written out densely in f64.

use super::synthetic::{Synthetic, naive_gradients, shape};
use crate::attribution::curvature::{
    CurvatureConfig, FactorCurvature, GRADIENT_CACHE_BYTES_MAX, estimate, samples_max,
};
use crate::attribution::index::Progress;
use crate::attribution::packed::Width;
use crate::attribution::simd::Level;
use crate::attribution::whiten::{
    Whitener, inverse_root, narrow_wide, out_is_narrow, parameters, whiten_samples,
};
use crate::attribution::{FactorShape, GradientSink, GradientSource, Labels};
use std::collections::BTreeSet;
use std::sync::Mutex;

const CONFIG: CurvatureConfig = CurvatureConfig {
    samples_max: usize::MAX,
    label_draws: 3,
    seed: 5,
    damping: 0.1,
    eigenbasis_width: Width::Bits16,
    cache_bytes_max: GRADIENT_CACHE_BYTES_MAX,
};

fn run(threads: usize, config: &CurvatureConfig) -> Vec<FactorCurvature> {
    let source = Synthetic::small();
    let mut go_on = |_, _, _| true;
    estimate(Level::detect(), threads, &source, config, &mut Progress(&mut go_on)).unwrap()
}

/// (U_out, U_in) as f64, column m = eigenvector m.
fn bases(source: &Synthetic, f: usize, c: &FactorCurvature) -> (Vec<f64>, Vec<f64>) {
    let wide =
        |p: &crate::attribution::packed::Packed| p.decode().iter().map(|x| f64::from(*x)).collect();
    let (narrow, broad): (Vec<f64>, Vec<f64>) = (wide(&c.narrow), wide(&c.wide));
    if out_is_narrow(source.factors[f]) { (narrow, broad) } else { (broad, narrow) }
}

/// U_out^T G U_in as [out, in].
fn rotated(
    g: &[f64],
    (u_out, u_in): &(Vec<f64>, Vec<f64>),
    (out, inner): (usize, usize),
) -> Vec<f64> {
    let mut z = vec![0.0; out * inner];
    for m in 0..out {
        for l in 0..inner {
            for o in 0..out {
                for i in 0..inner {
                    z[m * inner + l] += u_out[o * out + m] * g[o * inner + i] * u_in[i * inner + l];
                }
            }
        }
    }
    z
}

/// Entry (m, l) of [out, in] in the stored [narrow, wide] order.
fn place(source: &Synthetic, f: usize, m: usize, l: usize) -> usize {
    let shape = source.factors[f];
    let (_, wide) = narrow_wide(shape);
    if out_is_narrow(shape) { m * wide + l } else { l * wide + m }
}

#[test]
fn eigenbases_diagonalise_the_token_covariances() {
    let source = Synthetic::small();
    for (f, c) in run(1, &CONFIG).iter().enumerate() {
        let shape = source.factors[f];
        let (u_out, u_in) = bases(&source, f, c);
        for (is_out, d, u) in [(true, shape.out_dim, u_out), (false, shape.in_dim, u_in)] {
            let mut covariance = vec![0.0f64; d * d];
            let mut tokens = 0;
            for sample in 0..source.samples {
                for draw in 0..if is_out { CONFIG.label_draws } else { 1 } {
                    let labels = Labels::Sampled { seed: CONFIG.seed, draw };
                    source.visit(sample, labels, &mut |at, count, a, s| {
                        if at == f {
                            tokens += count;
                            for row in if is_out { s } else { a }.chunks_exact(d) {
                                for e in 0..d * d {
                                    covariance[e] += f64::from(row[e / d]) * f64::from(row[e % d]);
                                }
                            }
                        }
                    });
                }
            }
            covariance.iter_mut().for_each(|x| *x /= tokens as f64);
            let trace: f64 = (0..d).map(|i| covariance[i * d + i]).sum();
            let both = (u.clone(), u);
            let diagonal = rotated(&covariance, &both, (d, d));
            for e in 0..d * d {
                if e / d != e % d {
                    assert!(diagonal[e].abs() < 1e-3 * trace, "factor {f}, {e}: {}", diagonal[e]);
                } else if e > 0 {
                    let above = diagonal[(e / d - 1) * (d + 1)];
                    assert!(diagonal[e] <= above + 1e-3 * trace, "not descending");
                }
            }
        }
    }
}

#[test]
fn eigenvalues_are_the_mean_squares_of_rotated_sampled_gradients() {
    let source = Synthetic::small();
    let curvature = run(2, &CONFIG);
    for (f, c) in curvature.iter().enumerate() {
        let shape = source.factors[f];
        let dims = (shape.out_dim, shape.in_dim);
        let u = bases(&source, f, c);
        let mut mean = vec![0.0; parameters(shape)];
        let visits = source.samples * CONFIG.label_draws as usize;
        for visit in 0..visits {
            let draw = (visit % 3) as u32;
            let labels = Labels::Sampled { seed: CONFIG.seed, draw };
            let z = rotated(&naive_gradients(&source, visit / 3, labels)[f], &u, dims);
            for (e, z) in z.iter().enumerate() {
                mean[place(&source, f, e / dims.1, e % dims.1)] += z * z / visits as f64;
            }
        }
        let average = mean.iter().sum::<f64>() / mean.len() as f64;
        for (stored, mean) in c.eigenvalues.iter().zip(&mean) {
            assert!((f64::from(*stored) - mean).abs() < 1e-5 * (mean + average), "{stored} {mean}");
        }
        assert!((f64::from(c.damping) - 0.1 * average).abs() < 1e-6 * average);
    }
}

fn whiteners(source: &Synthetic, curvature: &[FactorCurvature]) -> Vec<Whitener> {
    source
        .factors
        .iter()
        .zip(curvature)
        .map(|(shape, c)| Whitener {
            shape: *shape,
            narrow_basis: c.narrow.decode(),
            wide_basis: c.wide.decode(),
            inverse_root: inverse_root(&c.eigenvalues, c.damping),
        })
        .collect()
}

#[test]
fn dot_products_of_whitened_gradients_are_the_dense_ekfac_influence() {
    let source = Synthetic::small();
    let curvature = run(1, &CONFIG);
    let whiteners = whiteners(&source, &curvature);
    let width: usize = source.factors.iter().map(|s| parameters(*s)).sum();
    let whiten = |sample: usize| {
        let mut w = vec![0.0f32; width];
        whiten_samples(Level::detect(), &whiteners, &source, (sample, Labels::Data), &mut w)
            .unwrap();
        w
    };
    // g^T H^-1 g' with H^-1 = sum_ml vec(u_m v_l^T) vec(u_m v_l^T)^T / (lambda_ml + damping).
    let influence = |x: usize, y: usize| -> f64 {
        let (gx, gy) =
            (naive_gradients(&source, x, Labels::Data), naive_gradients(&source, y, Labels::Data));
        let mut sum = 0.0;
        for (f, c) in curvature.iter().enumerate() {
            let dims = (source.factors[f].out_dim, source.factors[f].in_dim);
            let u = bases(&source, f, c);
            let (zx, zy) = (rotated(&gx[f], &u, dims), rotated(&gy[f], &u, dims));
            for e in 0..zx.len() {
                let lambda = c.eigenvalues[place(&source, f, e / dims.1, e % dims.1)];
                sum += zx[e] * zy[e] / (f64::from(lambda) + f64::from(c.damping));
            }
        }
        sum
    };
    for (x, y) in [(0, 0), (0, 5), (3, 17), (23, 1)] {
        let dot: f64 =
            whiten(x).iter().zip(whiten(y)).map(|(x, y)| f64::from(*x) * f64::from(y)).sum();
        let expected = influence(x, y);
        let size = (influence(x, x) * influence(y, y)).sqrt();
        assert!((dot - expected).abs() < 1e-5 * size, "{x},{y}: {dot} {expected}");
    }
}

#[test]
fn samples_whitened_together_have_the_bits_of_samples_whitened_alone() {
    let source = Synthetic::small();
    let whiteners = whiteners(&source, &run(1, &CONFIG));
    let width: usize = source.factors.iter().map(|s| parameters(*s)).sum();
    let whiten = |first: usize, count: usize| {
        let mut w = vec![0.0f32; count * width];
        let at = (first, Labels::Data);
        whiten_samples(Level::detect(), &whiteners, &source, at, &mut w).unwrap();
        w.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
    };
    let together = whiten(2, 20);
    for (i, row) in together.chunks_exact(width).enumerate() {
        assert_eq!(row, whiten(2 + i, 1), "sample {}", 2 + i);
    }
}

#[test]
fn walking_the_source_again_gives_the_bits_of_the_gradient_cache() {
    assert_eq!(run(2, &CurvatureConfig { cache_bytes_max: 0, ..CONFIG }), run(1, &CONFIG));
}

#[test]
fn a_factor_without_curvature_whitens_to_zero_instead_of_infinity() {
    assert_eq!(inverse_root(&[0.0, 0.0], 0.0), [0.0, 0.0]);
    assert_eq!(inverse_root(&[4.0, 0.0], 0.0), [0.5, 0.0]);
}

#[test]
fn samples_beyond_the_most_are_not_read_and_the_read_ones_are_spread_evenly() {
    let source = Synthetic::small();
    let spread = Watched { source, read: Mutex::default() };
    let mut go_on = |_, _, _| true;
    let config = CurvatureConfig { samples_max: 5, cache_bytes_max: 0, ..CONFIG };
    estimate(Level::detect(), 2, &spread, &config, &mut Progress(&mut go_on)).unwrap();
    let all = spread.source.samples;
    let read: Vec<usize> = spread.read.into_inner().unwrap().into_iter().collect();
    assert_eq!(read, [0, 1, 2, 3, 4].map(|i| i * all / 5));
}

#[test]
fn an_index_reads_one_sample_for_three_dimensions_of_its_widest_side_and_256_at_least() {
    for (shapes, samples) in [
        (vec![], 256),
        (vec![shape(8, 384), shape(128, 8)], 256),
        (vec![shape(8, 576), shape(1536, 8), shape(8, 1024)], 512),
    ] {
        assert_eq!(samples_max(&shapes), samples);
    }
}

#[test]
fn inputs_that_are_shared_are_summed_and_decomposed_once_with_the_same_bytes() {
    for cache_bytes_max in [0, GRADIENT_CACHE_BYTES_MAX] {
        let config = CurvatureConfig { cache_bytes_max, ..CONFIG };
        let run = |says_so| {
            let source = Twins::new(says_so);
            let mut go_on = |_, _, _| true;
            estimate(Level::detect(), 2, &source, &config, &mut Progress(&mut go_on)).unwrap()
        };
        let said = run(true);
        assert_eq!(said, run(false));
        assert_eq!(said[0].wide, said[4].wide);
    }
}

/// One more factor, which reads what factor 0 reads, last.
struct Twins {
    source: Synthetic,
    says_so: bool,
}

impl Twins {
    fn new(says_so: bool) -> Self {
        let mut factors = Synthetic::small().factors;
        factors.push(shape(4, 10));
        Self { source: Synthetic { factors, ..Synthetic::small() }, says_so }
    }
}

impl GradientSource for Twins {
    fn factors(&self) -> &[FactorShape] {
        self.source.factors()
    }

    fn inputs(&self) -> Vec<usize> {
        if self.says_so { vec![0, 1, 2, 3, 0] } else { vec![0, 1, 2, 3, 4] }
    }

    fn sample_count(&self) -> usize {
        self.source.sample_count()
    }

    fn visit(&self, sample: usize, labels: Labels, sink: &mut GradientSink<'_>) {
        let mut first = vec![];
        self.source.visit(sample, labels, &mut |factor, tokens, a, s| match factor {
            0 => {
                first = a.to_vec();
                sink(factor, tokens, a, s);
            }
            4 => sink(factor, tokens, &first, s),
            _ => sink(factor, tokens, a, s),
        });
    }
}

/// Remembers which samples were walked.
struct Watched {
    source: Synthetic,
    read: Mutex<BTreeSet<usize>>,
}

impl GradientSource for Watched {
    fn factors(&self) -> &[FactorShape] {
        self.source.factors()
    }

    fn sample_count(&self) -> usize {
        self.source.sample_count()
    }

    fn visit(&self, sample: usize, labels: Labels, sink: &mut GradientSink<'_>) {
        self.read.lock().unwrap().insert(sample);
        self.source.visit(sample, labels, sink);
    }
}
