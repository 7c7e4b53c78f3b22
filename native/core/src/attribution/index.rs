//! The attribution index of one adapter: everything needed to turn a gradient into a sketch (eigenbases,
//! corrected eigenvalues, damping, directions), and the one function that builds it with the training
//! sketches and the contributors' sums (DESIGN 7.1).
//!
//!   visit (sampled labels) -> covariances -> eigenbases -> eigenvalues
//!   visit (data labels)    -> whiten -> contributor sums and held rows -> basis E
//!   (visit again)          -> whiten -> sketches int16 -> sums int32 per contributor
//!
//! The second walk over the data's labels is left out when all rows are held (stack.rs). Same source, same
//! configuration => same bytes, on any machine and any number of threads.

use super::basis::{coefficients, directions};
use super::curvature::{
    CurvatureConfig, FactorCurvature, GRADIENT_CACHE_BYTES_MAX, estimate, samples_max,
};
use super::error::{AttributionError, Result, require};
use super::packed::{Packed, Width};
use super::parallel::{THREADS_MAX, default_threads, for_each};
use super::score::{CONTRIBUTORS_MAX, K_MAX};
use super::simd::Level;
use super::sketch::{ROWS_TOGETHER, TRAINING_MAX, largest, project, quantise_training};
use super::source::{FactorShape, GradientSource};
use super::stack::{HOLD, Hold, SAMPLES_TOGETHER, Stack, walk};
use super::whiten::{Whitener, finite, inverse_root, parameters};
use crate::memory::zeros;

/// Most samples of one index.
pub const SAMPLES_MAX: usize = 1 << 20;
/// Most bytes of the contributors' whitened sums (C * P * 4), and of sketches before rounding (n * k * 4).
pub const SUMS_BYTES_MAX: usize = 32 << 30;
pub const SKETCH_BYTES_MAX: usize = 8 << 30;
/// Whitened rows that pass by together on the second walk take about this much.
const PASSING_BYTES: usize = 512 << 20;
/// Most factors, and the largest side of one.
pub const FACTORS_MAX: usize = 16_384;
pub const DIMENSION_MAX: usize = 65_536;
/// Most label draws per sample.
pub const LABEL_DRAWS_MAX: u32 = 64;

/// What is being done, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Covariance,
    Eigenbases,
    Eigenvalues,
    Whiten,
    Basis,
    Sketch,
}

/// The caller's progress function; answers whether to go on.
pub struct Progress<'a>(pub &'a mut dyn FnMut(Phase, usize, usize) -> bool);

impl Progress<'_> {
    pub fn step(&mut self, phase: Phase, done: usize, total: usize) -> Result<()> {
        if (self.0)(phase, done, total) { Ok(()) } else { Err(AttributionError::Cancelled) }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct IndexConfig<'a> {
    /// Owner of each sample, [n], each below `contributor_count`.
    pub contributors: &'a [u32],
    pub contributor_count: usize,
    /// Coordinates of a sketch, contributor_count ..= 4096.
    pub k: usize,
    /// Part of a factor's mean eigenvalue added to all of them (0.1 is usual).
    pub damping: f32,
    /// Label draws per sample for the curvature (2 to 4 are usual).
    pub label_draws: u32,
    pub seed: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BuiltIndex {
    pub index: AttributionIndex,
    /// A sketch's real value = entry * scale.
    pub scale: f32,
    /// Row-major [n, k].
    pub sketches: Vec<i16>,
    /// Row-major [contributor_count, k]: the exact sums of the contributors' sketches.
    pub sums: Vec<i32>,
}

/// Widths of the stored codes (measured, see README.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    pub eigenbasis: Width,
    pub directions: Width,
}

pub const STORAGE: Storage = Storage { eigenbasis: Width::Bits8, directions: Width::Bits4 };

#[derive(Clone, Debug, PartialEq)]
pub struct AttributionIndex {
    k: usize,
    storage: Storage,
    shapes: Vec<FactorShape>,
    curvature: Vec<FactorCurvature>,
    /// E per factor, transposed: row-major [parameters, k].
    directions: Vec<Packed>,
    /// Derived from `curvature`.
    whiteners: Vec<Whitener>,
}

impl AttributionIndex {
    pub(crate) fn assemble(
        k: usize,
        storage: Storage,
        shapes: Vec<FactorShape>,
        curvature: Vec<FactorCurvature>,
        directions: Vec<Packed>,
    ) -> Self {
        let whitener = |(shape, c): (&FactorShape, &FactorCurvature)| Whitener {
            shape: *shape,
            narrow_basis: c.narrow.decode(),
            wide_basis: c.wide.decode(),
            inverse_root: inverse_root(&c.eigenvalues, c.damping),
        };
        let whiteners = shapes.iter().zip(&curvature).map(whitener).collect();
        Self { k, storage, shapes, curvature, directions, whiteners }
    }

    pub fn k(&self) -> usize {
        self.k
    }

    pub fn factors(&self) -> &[FactorShape] {
        &self.shapes
    }

    /// P, the number of LoRA parameters.
    pub fn parameters(&self) -> usize {
        self.shapes.iter().map(|shape| parameters(*shape)).sum()
    }

    pub fn storage(&self) -> Storage {
        self.storage
    }

    pub fn whiteners(&self) -> &[Whitener] {
        &self.whiteners
    }

    pub(crate) fn curvature(&self) -> &[FactorCurvature] {
        &self.curvature
    }

    pub(crate) fn directions(&self) -> &[Packed] {
        &self.directions
    }

    /// Whether a gradient source is of the adapter this index was built for, by shape.
    pub fn check_factors(&self, factors: &[FactorShape]) -> Result<()> {
        require(factors == self.shapes, || {
            let at = factors.iter().zip(&self.shapes).position(|(x, y)| x != y);
            format!(
                "the index has {} factors, the gradient {}; first difference at {:?}",
                self.shapes.len(),
                factors.len(),
                at
            )
        })
    }
}

/// Builds on all cores.
pub fn build_index(
    source: &dyn GradientSource,
    config: &IndexConfig<'_>,
    progress: &mut dyn FnMut(Phase, usize, usize) -> bool,
) -> Result<BuiltIndex> {
    let machine = (Level::detect(), default_threads());
    build_index_with(machine, STORAGE, HOLD, source, config, progress)
}

/// The same with machine level, threads (neither shows in the result), storage and held rows chosen.
pub fn build_index_with(
    (level, threads): (Level, usize),
    storage: Storage,
    hold: Hold,
    source: &dyn GradientSource,
    config: &IndexConfig<'_>,
    progress: &mut dyn FnMut(Phase, usize, usize) -> bool,
) -> Result<BuiltIndex> {
    check(source, config)?;
    let threads = threads.clamp(1, THREADS_MAX);
    let mut progress = Progress(progress);
    let progress = &mut progress;
    let k = config.k;

    let curvature_config = CurvatureConfig {
        samples_max: samples_max(source.factors()),
        label_draws: config.label_draws,
        seed: config.seed,
        damping: config.damping,
        eigenbasis_width: storage.eigenbasis,
        cache_bytes_max: GRADIENT_CACHE_BYTES_MAX,
    };
    let curvature = estimate(level, threads, source, &curvature_config, progress)?;
    let mut index =
        AttributionIndex::assemble(k, storage, source.factors().to_vec(), curvature, vec![]);

    let contributors = (config.contributors, config.contributor_count);
    let stack = Stack::gather(level, threads, (&index, source), contributors, hold, progress)?;
    let basis = coefficients(level, threads, &stack, k, progress)?;
    index.directions = stored_directions(level, threads, &index, &stack, &basis, storage);

    let values = if stack.held.len() == source.sample_count() {
        progress.step(Phase::Sketch, 0, 1)?;
        project(level, threads, &index, stack.samples())
    } else {
        drop((stack, basis));
        project_again(level, threads, &index, source, progress)?
    };
    finite(&values, || "a training sketch".to_string())?;
    let scale = largest(&values) / TRAINING_MAX;
    let sketches = quantise_training(&values, scale);
    let sums = contributor_sums(&sketches, k, contributors)?;
    progress.step(Phase::Sketch, 1, 1)?;
    Ok(BuiltIndex { index, scale, sketches, sums })
}

/// E w of every sample, [n, k], the rows passing by in batches.
fn project_again(
    level: Level,
    threads: usize,
    index: &AttributionIndex,
    source: &dyn GradientSource,
    progress: &mut Progress<'_>,
) -> Result<Vec<f32>> {
    let (n, width, k) = (source.sample_count(), index.parameters(), index.k);
    let mut values = zeros::<f32>("sketches before rounding", n * k);
    let room = PASSING_BYTES / (4 * width * threads) / SAMPLES_TOGETHER * SAMPLES_TOGETHER;
    let each = room.clamp(SAMPLES_TOGETHER, ROWS_TOGETHER);
    walk(level, threads, (index, source), each, &mut |first, rows| {
        let done = first + rows.len() / width;
        values[first * k..done * k].copy_from_slice(&project(level, threads, index, rows));
        progress.step(Phase::Sketch, done, n)
    })?;
    Ok(values)
}

fn stored_directions(
    level: Level,
    threads: usize,
    index: &AttributionIndex,
    stack: &Stack,
    basis: &[f64],
    storage: Storage,
) -> Vec<Packed> {
    let (k, rows) = (index.k, stack.spanning());
    let mut starts = vec![];
    let mut start = 0;
    for shape in &index.shapes {
        starts.push((start, parameters(*shape)));
        start += parameters(*shape);
    }
    let mut packed: Vec<Option<Packed>> = vec![None; starts.len()];
    for_each(threads, starts.iter().zip(&mut packed), |_, (range, out)| {
        let part = directions(level, &rows, (basis, k), *range);
        *out = Some(Packed::encode(&part, k, storage.directions));
    });
    packed.into_iter().flatten().collect()
}

/// S_c = sum of the sketches of contributor c, exact; [contributor_count, k].
pub fn contributor_sums(
    sketches: &[i16],
    k: usize,
    (owners, count): (&[u32], usize),
) -> Result<Vec<i32>> {
    let mut sums = vec![0i32; count * k];
    for (sketch, owner) in sketches.chunks_exact(k).zip(owners) {
        let start = *owner as usize * k;
        for (sum, value) in sums[start..start + k].iter_mut().zip(sketch) {
            *sum = sum.checked_add(i32::from(*value)).ok_or_else(|| {
                AttributionError::InvalidArgument(format!(
                    "the sums of contributor {owner} overflow 32 bits"
                ))
            })?;
        }
    }
    Ok(sums)
}

fn check(source: &dyn GradientSource, config: &IndexConfig<'_>) -> Result<()> {
    let (n, count, k) = (source.sample_count(), config.contributor_count, config.k);
    let width = check_shapes(source.factors())?;
    require((1..=SAMPLES_MAX).contains(&n), || format!("{n} samples, must be 1 to {SAMPLES_MAX}"))?;
    require(config.contributors.len() == n, || {
        format!("{} contributors given for {n} samples", config.contributors.len())
    })?;
    require((1..=CONTRIBUTORS_MAX).contains(&count), || {
        format!("contributor count is {count}, must be 1 to {CONTRIBUTORS_MAX}")
    })?;
    if let Some(owner) = config.contributors.iter().find(|owner| **owner as usize >= count) {
        return Err(AttributionError::InvalidArgument(format!("contributor {owner} of {count}")));
    }
    require(count.saturating_mul(width).saturating_mul(4) <= SUMS_BYTES_MAX, || {
        format!(
            "the sums of {count} contributors, {width} parameters each, need more than {SUMS_BYTES_MAX} bytes"
        )
    })?;
    require(k <= K_MAX, || format!("k is {k}, at most {K_MAX}"))?;
    require(k >= count, || {
        format!("k is {k}, must be at least the number of contributors, {count}")
    })?;
    require(n.saturating_mul(k).saturating_mul(4) <= SKETCH_BYTES_MAX, || {
        format!("{n} sketches of k = {k} need more than {SKETCH_BYTES_MAX} bytes")
    })?;
    let (damping, draws) = (config.damping, config.label_draws);
    require(damping.is_finite() && damping > 0.0, || {
        format!("damping is {damping}, must be above 0")
    })?;
    require((1..=LABEL_DRAWS_MAX).contains(&draws), || {
        format!("label draws are {draws}, must be 1 to {LABEL_DRAWS_MAX}")
    })
}

/// P of a list of factors within limits.
pub(crate) fn check_shapes(shapes: &[FactorShape]) -> Result<usize> {
    require((1..=FACTORS_MAX).contains(&shapes.len()), || {
        format!("{} factors, must be 1 to {FACTORS_MAX}", shapes.len())
    })?;
    for shape in shapes {
        let fits = |d: usize| (1..=DIMENSION_MAX).contains(&d);
        require(fits(shape.out_dim) && fits(shape.in_dim), || {
            format!(
                "a factor of {} x {}, sides must be 1 to {DIMENSION_MAX}",
                shape.out_dim, shape.in_dim
            )
        })?;
    }
    Ok(shapes.iter().map(|shape| parameters(*shape)).sum())
}
