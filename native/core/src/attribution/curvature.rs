//! EK-FAC curvature of every LoRA factor (George et al. 2018, arXiv 1806.03884), with labels drawn
//! from the model, i.e. the true Fisher:
//!
//!   A = mean_t a_t a_t^T [in, in]     S = mean_t s_t s_t^T [out, out]     (over tokens, f64)
//!   U_A, U_S = eigenvectors of A, S
//!   lambda = mean_i (U_S^T G_i U_A)^2 [out, in]  (over samples and draws, f64)
//!   damping = ratio * mean(lambda)
//!
//! Order of every sum: sample, then draw, then token, ascending. At most `samples_max` samples are read, spread
//! evenly over all. Activations do not depend on the labels of the loss, so A reads draw 0 alone; factors that read the
//! same ones share A and U_A. The eigenbases are rounded to their stored codes first and lambda is measured in the
//! stored basis.

use super::error::{AttributionError, Result};
use super::index::{Phase, Progress};
use super::linalg::symmetric_eigen;
use super::packed::{Packed, Width};
use super::parallel::{for_each, try_for_each};
use super::simd::Level;
use super::source::{FactorShape, GradientSource, Labels};
use super::syrk::{SymmetricSum, Widened};
use super::whiten::{
    finite, gather, gradient, narrow_wide, out_is_narrow, parameters, rotate, visit_each,
};
use crate::memory::{claim, zeros};

/// Raw gradients are kept between the two passes when they fit; else the source is walked again.
pub const GRADIENT_CACHE_BYTES_MAX: usize = 2 << 30;
/// Most samples that are read for the curvature of an index whose sides are short, and of how many dimensions of its
/// widest side there is one sample at least; what more of them are worth is in README.md.
const SAMPLES_MAX: usize = 256;
const DIMENSIONS_PER_SAMPLE: usize = 3;
/// Visits between two progress calls, per thread.
const VISITS_PER_THREAD: usize = 8;

/// Most samples that the curvature of these factors reads: max(256, widest side / 3).
pub fn samples_max(shapes: &[FactorShape]) -> usize {
    let widest = shapes.iter().map(|shape| narrow_wide(*shape).1).max();
    SAMPLES_MAX.max(widest.unwrap_or(0) / DIMENSIONS_PER_SAMPLE)
}

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
    d: usize,
    sum: SymmetricSum,
    tokens: u64,
    scratch: Widened,
}

/// What a sample's visits leave behind of one factor: a unless another factor has it, s of every draw.
#[derive(Clone)]
struct Visited {
    a: Vec<f32>,
    s: Vec<Vec<f32>>,
}

/// Receives (first sample, gradients [samples, draws, P], per sample and factor what is kept).
type BatchSink<'a> = dyn FnMut(usize, &[f32], &[Vec<Visited>]) -> Result<()> + 'a;

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
    let bases = eigenbases(level, threads, source, sides, config, progress)?;
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

/// Walks all samples that are read in order, a batch at a time.
fn walk(
    level: Level,
    threads: usize,
    source: &dyn GradientSource,
    config: &CurvatureConfig,
    keep: bool,
    work: &mut BatchSink<'_>,
) -> Result<()> {
    let (shapes, inputs) = (source.factors(), source.inputs());
    let width: usize = shapes.iter().map(|shape| parameters(*shape)).sum();
    let (read, all) = (read(source, config), source.sample_count());
    let choices: Vec<Labels> =
        (0..config.label_draws).map(|draw| Labels::Sampled { seed: config.seed, draw }).collect();
    let draws = choices.len();
    let batch = threads * VISITS_PER_THREAD.div_ceil(draws);
    let mut gradients = zeros::<f32>("gradients", batch * draws * width);
    // Buffers live across batches: fresh pages cost more than the copies.
    let empty = Visited { a: vec![], s: vec![vec![]; draws] };
    let mut kept = vec![vec![empty; shapes.len()]; batch];
    for first in (0..read).step_by(batch) {
        let count = batch.min(read - first);
        let gradients = &mut gradients[..count * draws * width];
        let rows = gradients.chunks_exact_mut(draws * width).zip(&mut kept);
        try_for_each(threads, rows, |i, (rows, kept)| {
            let sample = (first + i) * all / read;
            let mut rest: Vec<&mut [f32]> = rows.chunks_exact_mut(width).collect();
            visit_each(source, sample, &choices, &mut |draw, factor, tokens, a, s| {
                let row = std::mem::take(&mut rest[draw]);
                let (h, tail) = row.split_at_mut(parameters(shapes[factor]));
                rest[draw] = tail;
                gradient(level, shapes[factor], a, s, tokens, h);
                if keep {
                    let kept = &mut kept[factor];
                    refill(&mut kept.s[draw], s);
                    if draw == 0 && inputs[factor] == factor {
                        refill(&mut kept.a, a);
                    }
                }
            })?;
            finite(rows, || format!("a gradient of sample {sample}"))
        })?;
        work(first, gradients, &kept[..count])?;
    }
    Ok(())
}

fn refill(buffer: &mut Vec<f32>, values: &[f32]) {
    buffer.clear();
    buffer.extend_from_slice(values);
}

/// The sides that have a sum of their own, the largest first.
fn covariances(
    level: Level,
    threads: usize,
    source: &dyn GradientSource,
    config: &CurvatureConfig,
    cache: &mut [f32],
    progress: &mut Progress<'_>,
) -> Result<Vec<Side>> {
    let total = read(source, config);
    let mut sizes = vec![];
    for ((factor, shape), input) in source.factors().iter().enumerate().zip(source.inputs()) {
        sizes.push((factor, true, shape.out_dim));
        if input == factor {
            sizes.push((factor, false, shape.in_dim));
        }
    }
    // Threads that work on sides of one size are done at the same time.
    sizes.sort_by_key(|(_, _, d)| std::cmp::Reverse(*d));
    claim("covariances", sizes.iter().map(|(_, _, d)| size_of::<f64>() * d * d).sum());
    let side = |(factor, is_out, d)| Side {
        factor,
        is_out,
        d,
        sum: SymmetricSum::new(d),
        tokens: 0,
        scratch: Widened::default(),
    };
    let mut sides: Vec<Side> = sizes.into_iter().map(side).collect();
    walk(level, threads, source, config, true, &mut |first, gradients, visited| {
        if !cache.is_empty() {
            let start = first * (gradients.len() / visited.len());
            cache[start..start + gradients.len()].copy_from_slice(gradients);
        }
        for_each(threads, sides.iter_mut(), |_, side| {
            let mut rows: Vec<&[f32]> = vec![];
            for kept in visited.iter().map(|sample| &sample[side.factor]) {
                if side.is_out {
                    rows.extend(kept.s.iter().map(Vec::as_slice));
                } else {
                    rows.push(&kept.a);
                }
            }
            side.scratch.fill_rows(&rows, side.d);
            side.tokens += side.scratch.count() as u64;
            side.sum.add(level, 1, &side.scratch);
        });
        progress.step(Phase::Covariance, first + visited.len(), total)
    })?;
    Ok(sides)
}

/// (narrow, wide) stored eigenbases per factor.
fn eigenbases(
    level: Level,
    threads: usize,
    source: &dyn GradientSource,
    mut sides: Vec<Side>,
    config: &CurvatureConfig,
    progress: &mut Progress<'_>,
) -> Result<Vec<(Packed, Packed)>> {
    let shapes = source.factors();
    let mut solved: [Vec<Option<Packed>>; 2] = [vec![None; shapes.len()], vec![None; shapes.len()]];
    // As many at once as there are threads; a progress call between.
    let total = sides.len();
    for (done, group) in sides.chunks_mut(threads).enumerate() {
        let mut out: Vec<Option<Packed>> = vec![None; group.len()];
        try_for_each(threads, group.iter_mut().zip(&mut out), |_, (side, out)| {
            let sum = std::mem::replace(&mut side.sum, SymmetricSum::new(0));
            let mean = sum.mean(side.tokens.max(1) as f64);
            drop(sum);
            *out = Some(eigenbasis(level, &mean, side.d, config.eigenbasis_width)?);
            Ok::<(), AttributionError>(())
        })?;
        for (side, out) in group.iter().zip(out) {
            solved[usize::from(side.is_out)][side.factor] = out;
        }
        progress.step(Phase::Eigenbases, (done * threads + group.len()).min(total), total)?;
    }
    let [inner, out] = solved;
    let mut pairs = vec![];
    for ((shape, out), input) in shapes.iter().zip(out).zip(source.inputs()) {
        let (Some(out), Some(inner)) = (out, inner[input].clone()) else { break };
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
            add(first * draws, gradients)
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
