//! EK-FAC influence of every training sample on every query without a basis and without rounding, in f32: what
//! integer scores are measured against, and what `attribute --precision f32` prints.
//!
//!   score[q, i] = <w_q, w_i>     (whiten.rs), canonical f32
//!
//! Whitened queries are kept (q * P * 4 bytes), training rows pass by a batch at a time.

use super::curvature::{CurvatureConfig, GRADIENT_CACHE_BYTES_MAX, estimate, samples_max};
use super::error::{Result, require};
use super::gemm::{Strided, multiply};
use super::index::{AttributionIndex, LABEL_DRAWS_MAX, Phase, Progress, STORAGE, check_shapes};
use super::packed::Width;
use super::parallel::{default_threads, for_each};
use super::simd::Level;
use super::source::GradientSource;
use super::stack::{SAMPLES_TOGETHER, walk, whiten_all};

/// Most bytes of whitened queries (q * P * 4).
pub const QUERY_BYTES_MAX: usize = 32 << 30;

/// How the curvature is estimated.
#[derive(Clone, Copy, Debug)]
pub struct InfluenceConfig {
    /// Part of a factor's mean eigenvalue added to all of them.
    pub damping: f32,
    pub label_draws: u32,
    pub seed: u64,
}

/// Row-major [queries, samples]; higher means more responsible for a low loss of the query.
pub fn influence(
    train: &dyn GradientSource,
    queries: &dyn GradientSource,
    config: InfluenceConfig,
    progress: &mut dyn FnMut(Phase, usize, usize) -> bool,
) -> Result<Vec<f32>> {
    let (level, threads) = (Level::detect(), default_threads());
    let (n, q) = (train.sample_count(), queries.sample_count());
    let width = check_shapes(train.factors())?;
    require(q.saturating_mul(width).saturating_mul(4) <= QUERY_BYTES_MAX, || {
        format!("{q} queries of {width} parameters need more than {QUERY_BYTES_MAX} bytes")
    })?;
    require(config.damping.is_finite() && config.damping > 0.0, || {
        format!("damping is {}, must be above 0", config.damping)
    })?;
    require((1..=LABEL_DRAWS_MAX).contains(&config.label_draws), || {
        format!("label draws are {}, must be 1 to {LABEL_DRAWS_MAX}", config.label_draws)
    })?;
    let mut progress = Progress(progress);
    let curvature = CurvatureConfig {
        samples_max: samples_max(train.factors()),
        label_draws: config.label_draws,
        seed: config.seed,
        damping: config.damping,
        eigenbasis_width: Width::Bits16,
        cache_bytes_max: GRADIENT_CACHE_BYTES_MAX,
    };
    let curvature = estimate(level, threads, train, &curvature, &mut progress)?;
    let index = AttributionIndex::assemble(0, STORAGE, train.factors().to_vec(), curvature, vec![]);
    index.check_factors(queries.factors())?;
    let whitened = whiten_all(level, threads, (&index, queries), &mut progress)?;
    // [P, q], so that one row of scores is one product.
    let mut columns = vec![0.0f32; whitened.len()];
    for (i, row) in whitened.chunks_exact(width).enumerate() {
        row.iter().enumerate().for_each(|(p, x)| columns[p * q + i] = *x);
    }
    drop(whitened);
    // [samples, queries]
    let mut scores = vec![0.0f32; n * q];
    walk(level, threads, (&index, train), SAMPLES_TOGETHER, &mut |first, rows| {
        let done = first + rows.len() / width;
        let pieces = rows.chunks(SAMPLES_TOGETHER * width);
        let out = scores[first * q..done * q].chunks_mut(SAMPLES_TOGETHER * q);
        for_each(threads, pieces.zip(out), |_, (rows, out)| {
            let left = Strided { data: rows, row: width, col: 1 };
            multiply(level, left, &columns, width, q, out);
        });
        progress.step(Phase::Whiten, done, n)
    })?;
    let mut by_query = vec![0.0f32; n * q];
    for (i, row) in scores.chunks_exact(q).enumerate() {
        row.iter().enumerate().for_each(|(j, x)| by_query[j * n + i] = *x);
    }
    Ok(by_query)
}
