//! One query over millions of int8 sketches: exact dot products, the `top` largest by (score, lower row).
//!
//!   score_i = sum_j q_j t_ij     exact in i32: |score| <= 4096 * 128 * 127 < 2^26
//!
//! The scan reads every byte once and is bound by memory. With AVX-512 VNNI a step multiplies 64 pairs of
//! (unsigned, signed) bytes: rows are made unsigned by flipping their top bit (t + 128), and 128 * sum(q)
//! is taken off at the end, so rows need no preparation. Integer sums have no order: all levels agree.

use super::error::{AttributionError, Result, require};
use super::score::K_MAX;
use rayon::prelude::*;

/// Rows of one piece of work.
const ROWS: usize = 4096;
/// Most rows one scan returns.
pub const TOP_MAX: usize = 1 << 20;

/// (row, score), best first.
pub type Found = Vec<(u64, i32)>;

/// Dot products of rows with one query.
type DotRows = unsafe fn(&[i8], &[i8], &mut [i32]);

/// The `top` rows of `sketches` [n, k] that score highest with `query` [k].
pub fn scan(sketches: &[i8], query: &[i8], top: usize) -> Result<Found> {
    scan_while(sketches, query, top, &|| true)
}

/// The same, cancelled once `go_on` says no.
pub fn scan_while(
    sketches: &[i8],
    query: &[i8],
    top: usize,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Result<Found> {
    scan_by(detect(), (sketches, query), top, go_on)
}

/// The same by the plain loop.
pub fn scan_plain(sketches: &[i8], query: &[i8], top: usize) -> Result<Found> {
    scan_by(plain, (sketches, query), top, &|| true)
}

fn scan_by(
    dot: DotRows,
    (sketches, query): (&[i8], &[i8]),
    top: usize,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Result<Found> {
    let k = query.len();
    require((1..=K_MAX).contains(&k), || format!("k is {k}, must be 1 to {K_MAX}"))?;
    require(sketches.len().is_multiple_of(k), || {
        format!("{} entries are no whole number of sketches of k = {k}", sketches.len())
    })?;
    require((1..=TOP_MAX).contains(&top), || format!("top is {top}, must be 1 to {TOP_MAX}"))?;
    let parts: Result<Vec<Found>> = sketches
        .par_chunks(ROWS * k)
        .enumerate()
        .map(|(piece, rows)| {
            if !go_on() {
                return Err(AttributionError::Cancelled);
            }
            let mut scores = vec![0i32; rows.len() / k];
            // SAFETY: `detect` chose a function this machine can run.
            unsafe { dot(rows, query, &mut scores) };
            let first = (piece * ROWS) as u64;
            let found = scores.into_iter().enumerate().map(|(i, s)| (first + i as u64, s));
            Ok(best(found.collect(), top))
        })
        .collect();
    Ok(best(parts?.concat(), top))
}

/// The `top` first by (score descending, row ascending), in that order.
fn best(mut all: Found, top: usize) -> Found {
    let order = |x: &(u64, i32), y: &(u64, i32)| y.1.cmp(&x.1).then(x.0.cmp(&y.0));
    if all.len() > top {
        all.select_nth_unstable_by(top - 1, order);
        all.truncate(top);
    }
    all.sort_unstable_by(order);
    all
}

fn detect() -> DotRows {
    #[cfg(target_arch = "x86_64")]
    {
        let has512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        if has512 && is_x86_feature_detected!("avx512vnni") {
            return x86::vnni;
        }
        if is_x86_feature_detected!("avx2") {
            return x86::avx2;
        }
    }
    plain
}

/// The reference.
fn plain(rows: &[i8], query: &[i8], out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = dot(row, query);
    }
}

fn dot(row: &[i8], query: &[i8]) -> i32 {
    row.iter().zip(query).map(|(t, q)| i32::from(*t) * i32::from(*q)).sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// Bytes ahead of the reading that are asked for: the memory's latency at its full speed.
    const AHEAD: usize = 2048;

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub fn vnni(rows: &[i8], query: &[i8], out: &mut [i32]) {
        let k = query.len();
        let whole = k / 64 * 64;
        let offset: i32 = 128 * query[..whole].iter().map(|q| i32::from(*q)).sum::<i32>();
        let flip = _mm512_set1_epi8(-128);
        for (row, out) in rows.chunks_exact(k).zip(out) {
            let mut sums = [_mm512_setzero_si512(); 4];
            for (i, at) in (0..whole).step_by(64).enumerate() {
                // SAFETY: at + 64 <= whole <= k, the length of row and query; a prefetch never faults.
                let (t, q) = unsafe {
                    let from = row.as_ptr().add(at);
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD));
                    (
                        _mm512_loadu_si512(from.cast()),
                        _mm512_loadu_si512(query.as_ptr().add(at).cast()),
                    )
                };
                sums[i % 4] = _mm512_dpbusd_epi32(sums[i % 4], _mm512_xor_si512(t, flip), q);
            }
            let low = _mm512_add_epi32(sums[0], sums[1]);
            let all = _mm512_add_epi32(low, _mm512_add_epi32(sums[2], sums[3]));
            *out =
                _mm512_reduce_add_epi32(all) - offset + super::dot(&row[whole..], &query[whole..]);
        }
    }

    #[target_feature(enable = "avx2")]
    pub fn avx2(rows: &[i8], query: &[i8], out: &mut [i32]) {
        let k = query.len();
        let whole = k / 16 * 16;
        for (row, out) in rows.chunks_exact(k).zip(out) {
            let mut sums = [_mm256_setzero_si256(); 2];
            for (i, at) in (0..whole).step_by(16).enumerate() {
                // SAFETY: at + 16 <= whole <= k, the length of row and query.
                let (t, q) = unsafe {
                    (
                        _mm_loadu_si128(row.as_ptr().add(at).cast()),
                        _mm_loadu_si128(query.as_ptr().add(at).cast()),
                    )
                };
                // Products of 16-bit numbers, added in pairs: nothing saturates.
                let pairs = _mm256_madd_epi16(_mm256_cvtepi8_epi16(t), _mm256_cvtepi8_epi16(q));
                sums[i % 2] = _mm256_add_epi32(sums[i % 2], pairs);
            }
            let all = _mm256_add_epi32(sums[0], sums[1]);
            let half =
                _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all));
            let half = _mm_add_epi32(half, _mm_shuffle_epi32::<0b0100_1110>(half));
            let half = _mm_add_epi32(half, _mm_shuffle_epi32::<0b1011_0001>(half));
            *out = _mm_cvtsi128_si32(half) + super::dot(&row[whole..], &query[whole..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u64) -> Vec<i8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as i8
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn every_level_finds_what_the_plain_loop_finds() {
        for k in [1, 15, 16, 63, 64, 65, 200, 1024] {
            let (rows, query) = (numbers(k * 9000, 1), numbers(k, 2));
            let want = scan_plain(&rows, &query, 50).expect("valid");
            assert_eq!(scan(&rows, &query, 50).expect("valid"), want, "k = {k}");
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                assert_eq!(
                    scan_by(x86::avx2, (&rows, &query), 50, &|| true).expect("valid"),
                    want,
                    "k = {k}"
                );
            }
        }
    }

    #[test]
    fn the_extremes_do_not_wrap_and_equal_scores_go_by_row() {
        let rows = [[-128i8; 4096], [127; 4096], [-128; 4096]].concat();
        let found = scan(&rows, &[-128; 4096], 9).expect("valid");
        assert_eq!(found, [(0, 4096 << 14), (2, 4096 << 14), (1, -4096 * 128 * 127)]);
    }

    #[test]
    fn a_scan_that_may_not_go_on_is_cancelled() {
        let error = scan_while(&[0; 64 * 9000], &[1; 64], 3, &|| false).expect_err("cancelled");
        assert_eq!(error, AttributionError::Cancelled);
    }

    #[test]
    fn sketches_of_the_wrong_length_are_refused_with_the_numbers() {
        let error = scan(&[0; 100], &[1; 64], 1).expect_err("refused").to_string();
        assert!(error.contains("100 entries are no whole number of sketches of k = 64"), "{error}");
        assert!(scan(&[0; 64], &[], 1).is_err());
        assert!(scan(&[0; 64], &[1; 64], 0).is_err());
        assert_eq!(scan(&[], &[1; 64], 3).expect("no rows, none found"), []);
    }
}
