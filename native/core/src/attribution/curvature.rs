//! EK-FAC curvature of every LoRA factor (George et al. 2018, arXiv 1806.03884), with labels drawn
//! from the model, i.e. the true Fisher:
//!
//!   A = mean_t a_t a_t^T [in, in]     S = mean_t s_t s_t^T [out, out]     (over tokens, f64)
//!   U_A, U_S = eigenvectors of A, S
//!   lambda = mean_i (U_S^T G_i U_A)^2 [out, in]  (over samples and draws, f64)
//!   damping = ratio * mean(lambda)
//!
//! Order of every sum: sample, then draw, then token, ascending. At most `samples_max` samples are read, spread
//! evenly over all. Activations do not depend on the labels of the loss, so A reads draw 0 alone. The eigenbases are rounded to their stored codes first and
//! lambda is measured in the stored basis.

use super::error::{AttributionError, Result};
use super::index::{Phase, Progress};
use super::linalg::symmetric_eigen;
use super::packed::{Packed, Width};
use super::parallel::{for_each, try_for_each};
use super::simd::Level;
use super::source::{FactorShape, GradientSource, Labels};
use super::syrk::{SymmetricSum, Widened};
use super::whiten::{
    finite, gather, gradient, narrow_wide, out_is_narrow, parameters, rotate, visit,
};
use crate::memory::zeros;

/// Raw gradients are kept between the two passes when they fit; else the source is walked again.
pub const GRADIENT_CACHE_BYTES_MAX: usize = 2 << 30;
/// Samples that are read for the curvature of an index; what more of them are worth is in README.md.
pub const CURVATURE_SAMPLES_MAX: usize = 512;
/// Samples walked between two progress calls, per thread.
const SAMPLES_PER_THREAD: usize = 8;

/// How to estimate.
#[derive(Clone, Copy, Debug)]
pub struct CurvatureConfig {
    /// Most samples that are read, at least 1.
    pub samples_max: usize,
    pub label_draws: u32,
    pub seed: u64,
    /// Part of the factor's mean eigenvalue that is added to all of them.
    pub damping: f32,
    pub eigenbasis_width: Width,
    pub cache_bytes_max: usize,
}

/// One factor's curvature. `narrow` and `wide` are eigenbases (column m = eigenvector m) of the smaller
/// and larger side; `eigenvalues` is [narrow, wide].
#[derive(Clone, Debug, PartialEq)]
pub struct FactorCurvature {
    pub narrow: Packed,
    pub wide: Packed,
    pub eigenvalues: Vec<f32>,
    pub damping: f32,
}

/// Where the sums of one side of one factor grow.
struct Side {
    factor: usize,
    is_out: bool,
    sum: SymmetricSum,
    tokens: u64,
    scratch: Widened,
}

/// What one visit leaves behind: per factor (tokens, a of draw 0, s).
type Visit = Vec<(usize, Vec<f32>, Vec<f32>)>;
/// Receives (first visit, gradients [batch, P], visits).
type BatchSink<'a> = dyn FnMut(usize, &[f32], &[Visit]) -> Result<()> + 'a;

pub fn estimate(
    level: Level,
    threads: usize,
    source: &dyn GradientSource,
    config: &CurvatureConfig,
    progress: &mut Progress<'_>,
) -> Result<Vec<FactorCurvature>> {
    let shapes = source.factors();
    let width: usize = shapes.iter().map(|shape| parameters(*shape)).sum();
    let visits = read(source, config) * config.label_draws as usize;
    let cached = visits.saturating_mul(width).saturating_mul(4) <= config.cache_bytes_max;
    let mut cache = zeros::<f32>("kept gradients", if cached { visits * width } else { 0 });

    let sides = covariances(level, threads, source, config, &mut cache, progress)?;
    let bases = eigenbases(level, threads, shapes, sides, config, progress)?;
    let eigenvalues = corrected(level, threads, source, config, &bases, &cache, progress)?;

    let finish = |((narrow, wide), eigenvalues): ((Packed, Packed), Vec<f32>)| {
        let sum: f64 = eigenvalues.iter().map(|x| f64::from(*x)).sum();
        let damping = (f64::from(config.damping) * (sum / eigenvalues.len() as f64)) as f32;
        FactorCurvature { narrow, wide, eigenvalues, damping }
    };
    Ok(bases.into_iter().zip(eigenvalues).map(finish).collect())
}

/// How many samples are read: number i of them is sample i * all / read.
fn read(source: &dyn GradientSource, config: &CurvatureConfig) -> usize {
    source.sample_count().min(config.samples_max)
}

/// Walks all visits in order, a batch at a time: `work(first visit, gradients [batch, P], visits)`.
fn walk(
    level: Level,
    threads: usize,
    source: &dyn GradientSource,
    config: &CurvatureConfig,
    keep: bool,
    work: &mut BatchSink<'_>,
) -> Result<()> {
    let shapes = source.factors();
    let width: usize = shapes.iter().map(|shape| parameters(*shape)).sum();
    let draws = config.label_draws as usize;
    let (read, all) = (read(source, config), source.sample_count());
    let visits = read * draws;
    let batch = threads * SAMPLES_PER_THREAD;
    let mut gradients = zeros::<f32>("gradients", batch * width);
    // Buffers live across batches: fresh pages cost more than the copies.
    let mut kept: Vec<Visit> = vec![vec![(0, vec![], vec![]); shapes.len()]; batch];
    for first in (0..visits).step_by(batch) {
        let count = batch.min(visits - first);
        let rows = gradients[..count * width].chunks_exact_mut(width).zip(&mut kept);
        try_for_each(threads, rows, |i, (row, kept)| {
            let (sample, draw) = ((first + i) / draws * all / read, (first + i) % draws);
            let labels = Labels::Sampled { seed: config.seed, draw: draw as u32 };
            let mut rest = &mut *row;
            visit(source, sample, labels, &mut |factor, tokens, a, s| {
                let (h, tail) = std::mem::take(&mut rest).split_at_mut(parameters(shapes[factor]));
                rest = tail;
                gradient(level, shapes[factor], a, s, tokens, h);
                if keep {
                    let (count, kept_a, kept_s) = &mut kept[factor];
                    *count = tokens;
                    refill(kept_a, if draw == 0 { a } else { &[] });
                    refill(kept_s, s);
                }
            })?;
            finite(row, || format!("the gradient of sample {sample}, draw {draw}"))
        })?;
        work(first, &gradients[..count * width], &kept[..count])?;
    }
    Ok(())
}

fn refill(buffer: &mut Vec<f32>, values: &[f32]) {
    buffer.clear();
    buffer.extend_from_slice(values);
}

fn covariances(
    level: Level,
    threads: usize,
    source: &dyn GradientSource,
    config: &CurvatureConfig,
    cache: &mut [f32],
    progress: &mut Progress<'_>,
) -> Result<Vec<Side>> {
    let draws = config.label_draws as usize;
    let total = read(source, config) * draws;
    let side = |factor: usize, is_out: bool, d: usize| Side {
        factor,
        is_out,
        sum: SymmetricSum::new(d),
        tokens: 0,
        scratch: Widened::default(),
    };
    let mut sides: Vec<Side> = vec![];
    for (factor, shape) in source.factors().iter().enumerate() {
        sides.push(side(factor, true, shape.out_dim));
        sides.push(side(factor, false, shape.in_dim));
    }
    let shapes = source.factors();
    walk(level, threads, source, config, true, &mut |first, gradients, visits| {
        if !cache.is_empty() {
            let start = first * (gradients.len() / visits.len());
            cache[start..start + gradients.len()].copy_from_slice(gradients);
        }
        for_each(threads, sides.iter_mut(), |_, side| {
            let shape = shapes[side.factor];
            let mut rows: Vec<&[f32]> = vec![];
            for (i, kept) in visits.iter().enumerate() {
                let (tokens, a, s) = &kept[side.factor];
                if side.is_out || (first + i) % draws == 0 {
                    rows.push(if side.is_out { s } else { a });
                    side.tokens += *tokens as u64;
                }
            }
            side.scratch.fill_rows(&rows, if side.is_out { shape.out_dim } else { shape.in_dim });
            side.sum.add(level, 1, &side.scratch);
        });
        progress.step(Phase::Covariance, (first + visits.len()) / draws, total / draws)
    })?;
    Ok(sides)
}

/// (narrow, wide) stored eigenbases per factor.
fn eigenbases(
    level: Level,
    threads: usize,
    shapes: &[FactorShape],
    mut sides: Vec<Side>,
    config: &CurvatureConfig,
    progress: &mut Progress<'_>,
) -> Result<Vec<(Packed, Packed)>> {
    let mut solved: Vec<Packed> = vec![];
    // As many at once as there are threads; a progress call between.
    let (total, step) = (sides.len(), threads.max(2).next_multiple_of(2));
    for (done, group) in sides.chunks_mut(step).enumerate() {
        let mut out: Vec<Option<Packed>> = vec![None; group.len()];
        try_for_each(threads, group.iter_mut().zip(&mut out), |_, (side, out)| {
            let shape = shapes[side.factor];
            let d = if side.is_out { shape.out_dim } else { shape.in_dim };
            let sum = std::mem::replace(&mut side.sum, SymmetricSum::new(0));
            *out = Some(eigenbasis(
                level,
                &sum.mean(side.tokens.max(1) as f64),
                d,
                config.eigenbasis_width,
            )?);
            Ok::<(), AttributionError>(())
        })?;
        solved.extend(out.into_iter().flatten());
        progress.step(Phase::Eigenbases, (done * step + group.len()).min(total), total)?;
    }
    let mut solved = solved.into_iter();
    let mut pairs = vec![];
    for shape in shapes {
        let (Some(out), Some(inner)) = (solved.next(), solved.next()) else { break };
        pairs.push(if out_is_narrow(*shape) { (out, inner) } else { (inner, out) });
    }
    Ok(pairs)
}

/// Eigenvectors as columns, in stored codes.
fn eigenbasis(level: Level, matrix: &[f64], d: usize, width: Width) -> Result<Packed> {
    let eigen = symmetric_eigen(level, 1, matrix, d)?;
    let mut columns = vec![0.0; d * d];
    for (m, vector) in eigen.vectors.chunks_exact(d).enumerate() {
        for (i, x) in vector.iter().enumerate() {
            columns[i * d + m] = *x;
        }
    }
    Ok(Packed::encode(&columns, d, width))
}

/// One factor's eigenbases as f32, its place in P and the growing sum of squares.
struct Corrector {
    bases: (Vec<f32>, Vec<f32>),
    shape: (usize, usize),
    start: usize,
    sums: Vec<f64>,
    stacked: Vec<f32>,
    scratch: Vec<f32>,
    rotated: Vec<f32>,
}

fn corrected(
    level: Level,
    threads: usize,
    source: &dyn GradientSource,
    config: &CurvatureConfig,
    bases: &[(Packed, Packed)],
    cache: &[f32],
    progress: &mut Progress<'_>,
) -> Result<Vec<Vec<f32>>> {
    let mut width = 0;
    let mut correctors: Vec<Corrector> = vec![];
    for (shape, (narrow, wide)) in source.factors().iter().zip(bases) {
        correctors.push(Corrector {
            bases: (narrow.decode(), wide.decode()),
            shape: narrow_wide(*shape),
            start: width,
            sums: vec![0.0; parameters(*shape)],
            stacked: vec![],
            scratch: vec![],
            rotated: vec![],
        });
        width += parameters(*shape);
    }
    let draws = config.label_draws as usize;
    let visits = read(source, config) * draws;
    let mut add = |first: usize, gradients: &[f32]| {
        for_each(threads, correctors.iter_mut(), |_, c| {
            gather(gradients, width, c.start..c.start + c.sums.len(), &mut c.stacked);
            c.rotated.resize(c.stacked.len(), 0.0);
            let bases = (c.bases.0.as_slice(), c.bases.1.as_slice());
            rotate(level, bases, c.shape, &c.stacked, &mut c.scratch, &mut c.rotated);
            for z in c.rotated.chunks_exact(c.sums.len()) {
                for (sum, z) in c.sums.iter_mut().zip(z) {
                    *sum += f64::from(*z) * f64::from(*z);
                }
            }
        });
        progress.step(Phase::Eigenvalues, (first + gradients.len() / width) / draws, visits / draws)
    };
    if cache.is_empty() {
        walk(level, threads, source, config, false, &mut |first, gradients, _| {
            add(first, gradients)
        })?;
    } else {
        let batch = 16 * threads;
        for (i, gradients) in cache.chunks(batch * width).enumerate() {
            add(i * batch, gradients)?;
        }
    }
    let mean =
        |c: &Corrector| c.sums.iter().map(|sum| (sum / visits as f64) as f32).collect::<Vec<f32>>();
    let eigenvalues: Vec<Vec<f32>> = correctors.iter().map(mean).collect();
    for (factor, values) in eigenvalues.iter().enumerate() {
        finite(values, || format!("the eigenvalues of factor {factor}"))?;
    }
    Ok(eigenvalues)
}
