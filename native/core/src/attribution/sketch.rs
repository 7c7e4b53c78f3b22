//! From a whitened gradient to a sketch: y = E w through the stored directions, f32 canonical.
//!
//!   y[j] = sum_f scale[f,j] * (sum_p code[f,p,j] w[f,p])     factors ascending, chains of gemm.rs
//!
//! Training rows become int16 with one global scale (exactly summable); a query becomes int8, scaled to
//! its own largest entry (the scale cancels in scoring). Both round half to even, in f64.

use super::error::Result;
use super::gemm::{Strided, multiply};
use super::index::AttributionIndex;
use super::parallel::for_each;
use super::simd::Level;
use super::source::{GradientSource, Labels};
use super::whiten::{finite, whiten_samples};

/// Largest magnitude of a training sketch's entry.
pub const TRAINING_MAX: f32 = 32767.0;
/// Largest magnitude of a query sketch's entry.
pub const QUERY_MAX: f32 = 127.0;
/// Whitened rows that share one pass over the directions.
pub const ROWS_TOGETHER: usize = 64;

/// The int8 sketch [k] of sample `sample` of `source`, whose data labels' loss is
/// -log p(response | prompt). A zero gradient gives zeros. Errors: another model's factors, NaN.
pub fn sketch_query(
    index: &AttributionIndex,
    source: &dyn GradientSource,
    sample: usize,
) -> Result<Vec<i8>> {
    let level = Level::detect();
    Ok(quantise_query(&sketch_values(level, index, source, sample)?))
}

/// The same before rounding.
pub fn sketch_values(
    level: Level,
    index: &AttributionIndex,
    source: &dyn GradientSource,
    sample: usize,
) -> Result<Vec<f32>> {
    index.check_factors(source.factors())?;
    super::error::require(sample < source.sample_count(), || {
        format!("sample {sample} of {}", source.sample_count())
    })?;
    let mut whitened = vec![0.0; index.parameters()];
    whiten_samples(level, index.whiteners(), source, (sample, Labels::Data), &mut whitened)?;
    let values = project(level, 1, index, &whitened);
    finite(&values, || format!("the sketch of sample {sample}"))?;
    Ok(values)
}

/// E w for every row of `whitened` [n, P]: [n, k].
pub fn project(
    level: Level,
    threads: usize,
    index: &AttributionIndex,
    whitened: &[f32],
) -> Vec<f32> {
    let (width, k) = (index.parameters(), index.k());
    let mut out = vec![0.0f32; whitened.len() / width * k];
    let pieces = whitened.chunks(ROWS_TOGETHER * width).zip(out.chunks_mut(ROWS_TOGETHER * k));
    for_each(threads, pieces, |_, (rows, out)| {
        let (mut wide, mut part, mut start) = (vec![], vec![0.0f32; out.len()], 0);
        for factor in index.directions() {
            wide.clear();
            wide.extend(factor.codes.iter().map(|code| f32::from(*code)));
            let count = wide.len() / k;
            let left = Strided { data: &rows[start..], row: width, col: 1 };
            multiply(level, left, &wide, count, k, &mut part);
            for (out, part) in out.chunks_exact_mut(k).zip(part.chunks_exact(k)) {
                for ((out, part), scale) in out.iter_mut().zip(part).zip(&factor.scales) {
                    *out += part * scale;
                }
            }
            start += count;
        }
    });
    out
}

/// max |x|.
pub fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0f32, |m, x| m.max(x.abs()))
}

/// round(x * 127 / max|x|), half to even.
pub fn quantise_query(values: &[f32]) -> Vec<i8> {
    let largest = f64::from(largest(values));
    if largest == 0.0 {
        return vec![0; values.len()];
    }
    let round = |x: &f32| (f64::from(*x) * f64::from(QUERY_MAX) / largest).round_ties_even() as i8;
    values.iter().map(round).collect()
}

/// round(x / scale) as int16, half to even; all zeros when the scale is 0.
pub fn quantise_training(values: &[f32], scale: f32) -> Vec<i16> {
    let max = f64::from(TRAINING_MAX);
    let round =
        |x: &f32| (f64::from(*x) / f64::from(scale)).round_ties_even().clamp(-max, max) as i16;
    if scale == 0.0 { vec![0; values.len()] } else { values.iter().map(round).collect() }
}
