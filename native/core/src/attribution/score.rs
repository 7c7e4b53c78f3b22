//! Scoring, integers only: what the ATTRIBUTE precompile computes in consensus (DESIGN 7.3).
//!
//!   s_c  = sum_j q_j S_c[j]                    exact in i64: |s_c| <= 4096 * 128 * 2^31 = 2^50
//!   s'_c = max(0, s_c) * m_c                   exact in u128: < 2^82
//!   chosen: the `top` largest s' > 0 by (s' descending, contributor ascending)
//!   weight = parts of 2^32 by largest remainder: floor(2^32 s' / sum s'), and the parts left over go
//!            one each to the largest remainders (ties: lower contributor)
//!
//! Weights sum to 2^32 exactly, or nothing is returned when every s' is zero. A chosen contributor may
//! have weight 0 (its share is below one part). Integer sums have no order, so the SIMD path needs no
//! canonical one. Nothing saturates, nothing wraps.

use super::error::{Result, require};
use super::simd::{Level, multiversion};

/// Most coordinates of a sketch.
pub const K_MAX: usize = 4096;
/// Most contributors of one table.
pub const CONTRIBUTORS_MAX: usize = 1 << 20;
/// All weights together.
pub const WEIGHT_ONE: u64 = 1 << 32;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Contributors, best first.
    pub indices: Vec<u32>,
    /// Parts of 2^32, same order as `indices`; one weight may be all of 2^32.
    pub weights: Vec<u64>,
}

/// Splits 2^32 among the contributors of the table `sums`, row-major [multipliers.len(), k], for the
/// query sketch `query` [k].
pub fn score(
    sums: &[i32],
    k: usize,
    query: &[i8],
    multipliers: &[u32],
    top: usize,
) -> Result<Score> {
    require((1..=K_MAX).contains(&k), || format!("k is {k}, must be 1 to {K_MAX}"))?;
    require(query.len() == k, || {
        format!("the sketch has {} entries, the table has k = {k}", query.len())
    })?;
    let count = multipliers.len();
    require(count <= CONTRIBUTORS_MAX, || {
        format!("{count} contributors, at most {CONTRIBUTORS_MAX}")
    })?;
    require(sums.len() == count * k, || {
        format!(
            "the table has {} entries, {count} contributors of k = {k} need {}",
            sums.len(),
            count * k
        )
    })?;
    require(top >= 1, || "top is 0, nobody could be paid".to_string())?;
    Ok(split(&raw_scores(Level::detect(), sums, query), multipliers, top))
}

/// s_c for every row of the table.
pub fn raw_scores(level: Level, sums: &[i32], query: &[i8]) -> Vec<i64> {
    let wide: Vec<i32> = query.iter().map(|q| i32::from(*q)).collect();
    let mut out = vec![0i64; sums.len() / query.len()];
    dot_rows(level, sums, &wide, &mut out);
    out
}

/// The same for training sketches [n, k]: what each sample did for the query.
pub fn sample_scores(sketches: &[i16], k: usize, query: &[i8]) -> Result<Vec<i64>> {
    require(
        (1..=K_MAX).contains(&k) && query.len() == k && sketches.len().is_multiple_of(k),
        || {
            format!(
                "k is {k} (1 to {K_MAX}), the query has {} entries, the sketches {}",
                query.len(),
                sketches.len()
            )
        },
    )?;
    let level = Level::detect();
    let wide: Vec<i32> = query.iter().map(|q| i32::from(*q)).collect();
    let mut out = vec![0i64; sketches.len() / k];
    dot_samples(level, sketches, &wide, &mut out);
    Ok(out)
}

multiversion! {
    fn dot_samples(sketches: &[i16], query: &[i32], out: &mut [i64]) = dot_samples_body, dot_samples_body
}

#[inline(always)]
fn dot_samples_body(sketches: &[i16], query: &[i32], out: &mut [i64]) {
    // 256 products of 15 and 7 bits fit 32 bits: 2^30.
    for (row, out) in sketches.chunks_exact(query.len()).zip(out) {
        let parts = row.chunks(256).zip(query.chunks(256));
        let part = |(t, q): (&[i16], &[i32])| -> i64 {
            i64::from(t.iter().zip(q).map(|(t, q)| i32::from(*t) * q).sum::<i32>())
        };
        *out = parts.map(part).sum();
    }
}

multiversion! {
    fn dot_rows(sums: &[i32], query: &[i32], out: &mut [i64]) = dot_rows_body, dot_rows_body
}

#[inline(always)]
fn dot_rows_body(sums: &[i32], query: &[i32], out: &mut [i64]) {
    for (row, out) in sums.chunks_exact(query.len()).zip(out) {
        *out = row.iter().zip(query).map(|(s, q)| i64::from(*s) * i64::from(*q)).sum();
    }
}

/// From raw scores to weights.
fn split(raw: &[i64], multipliers: &[u32], top: usize) -> Score {
    let mut chosen: Vec<(u128, u32)> = raw
        .iter()
        .zip(multipliers)
        .zip(0u32..)
        .map(|((s, m), c)| (u128::from((*s).max(0).unsigned_abs()) * u128::from(*m), c))
        .filter(|(score, _)| *score > 0)
        .collect();
    chosen.sort_unstable_by(|x, y| y.0.cmp(&x.0).then(x.1.cmp(&y.1)));
    chosen.truncate(top);
    // At most 2^20 contributors of less than 2^82 each.
    let total: u128 = chosen.iter().map(|(score, _)| score).sum();
    if total == 0 {
        return Score::default();
    }
    let scaled = |score: u128| score * u128::from(WEIGHT_ONE);
    let mut weights: Vec<u64> =
        chosen.iter().map(|(score, _)| (scaled(*score) / total) as u64).collect();
    let left = (WEIGHT_ONE - weights.iter().sum::<u64>()) as usize;
    let mut order: Vec<usize> = (0..chosen.len()).collect();
    order.sort_unstable_by_key(|&i| (std::cmp::Reverse(scaled(chosen[i].0) % total), chosen[i].1));
    for &i in &order[..left] {
        weights[i] += 1;
    }
    Score { indices: chosen.iter().map(|(_, c)| *c).collect(), weights }
}
