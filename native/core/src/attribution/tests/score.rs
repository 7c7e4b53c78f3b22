//! Scoring against a naive big-integer reference.

use super::synthetic::Random;
use crate::attribution::score::{K_MAX, Score, WEIGHT_ONE, raw_scores, score};
use crate::attribution::simd::Level;

/// The rule of DESIGN 7.3 in i128, by repeated selection.
fn naive(sums: &[i32], k: usize, query: &[i8], multipliers: &[u32], top: usize) -> Score {
    let score_of = |c: usize| -> i128 {
        let s: i128 = (0..k).map(|j| i128::from(sums[c * k + j]) * i128::from(query[j])).sum();
        s.max(0) * i128::from(multipliers[c])
    };
    let mut left: Vec<usize> = (0..multipliers.len()).filter(|c| score_of(*c) > 0).collect();
    let mut chosen: Vec<usize> = vec![];
    while chosen.len() < top && !left.is_empty() {
        let mut best = 0;
        for i in 1..left.len() {
            if score_of(left[i]) > score_of(left[best]) {
                best = i;
            }
        }
        chosen.push(left.remove(best));
    }
    let total: i128 = chosen.iter().map(|c| score_of(*c)).sum();
    let mut weights: Vec<u64> = vec![];
    for c in &chosen {
        weights.push((score_of(*c) * i128::from(WEIGHT_ONE) / total) as u64);
    }
    let mut given: Vec<usize> = vec![];
    while !chosen.is_empty() && weights.iter().sum::<u64>() < WEIGHT_ONE {
        let rest = |i: usize| score_of(chosen[i]) * i128::from(WEIGHT_ONE) % total;
        let mut best: Option<usize> = None;
        for i in (0..chosen.len()).filter(|i| !given.contains(i)) {
            let better = best
                .is_none_or(|b| rest(i) > rest(b) || (rest(i) == rest(b) && chosen[i] < chosen[b]));
            if better {
                best = Some(i);
            }
        }
        let best = best.unwrap();
        weights[best] += 1;
        given.push(best);
    }
    Score { indices: chosen.iter().map(|c| *c as u32).collect(), weights }
}

#[test]
fn random_tables_score_as_the_naive_reference() {
    let mut random = Random(31);
    for round in 0..400 {
        let (k, count) = (1 + random.below(40) as usize, random.below(30) as usize);
        // Small ranges make ties and zeros common; every third round uses the full range.
        let spread = if round % 3 == 0 { 1u64 << 32 } else { 5 };
        let entry = |r: &mut Random| (r.below(spread) as i64 - (spread / 2) as i64) as i32;
        let sums: Vec<i32> = (0..count * k).map(|_| entry(&mut random)).collect();
        let query: Vec<i8> = (0..k).map(|_| random.next() as i8).collect();
        let limit = if round % 2 == 0 { 3 } else { u64::from(u32::MAX) };
        let multipliers: Vec<u32> = (0..count).map(|_| random.below(limit) as u32).collect();
        let top = 1 + random.below(12) as usize;
        let found = score(&sums, k, &query, &multipliers, top).unwrap();
        assert_eq!(found, naive(&sums, k, &query, &multipliers, top), "round {round}");
        if !found.weights.is_empty() {
            assert_eq!(found.weights.iter().sum::<u64>(), WEIGHT_ONE, "round {round}");
        }
    }
}

#[test]
fn the_largest_allowed_values_neither_wrap_nor_saturate() {
    let (k, count) = (K_MAX, 3);
    let sums = vec![i32::MIN; k * count];
    let query = vec![i8::MIN; k];
    let multipliers = vec![u32::MAX; count];
    assert_eq!(raw_scores(Level::detect(), &sums, &query), vec![1i64 << 50; count]);
    let found = score(&sums, k, &query, &multipliers, 32).unwrap();
    assert_eq!(found, naive(&sums, k, &query, &multipliers, 32));
    // 2^32 = 3 * 1431655765 + 1: the odd part goes to the lowest contributor.
    assert_eq!(found.weights, [1431655766, 1431655765, 1431655765]);
}

#[test]
fn ties_go_to_the_lower_contributor() {
    let found = score(&[7, 9, 9, 9, 7], 1, &[1], &[1; 5], 4).unwrap();
    assert_eq!(found.indices, [1, 2, 3, 0]);
}

#[test]
fn one_contributor_takes_the_whole() {
    assert_eq!(
        score(&[5, -5], 1, &[2], &[1, 1], 32).unwrap(),
        Score { indices: vec![0], weights: vec![WEIGHT_ONE] }
    );
}

#[test]
fn a_share_below_one_part_is_listed_with_weight_zero() {
    let found = score(&[i32::MAX, 1], 1, &[127], &[u32::MAX, 1], 2).unwrap();
    assert_eq!(found, Score { indices: vec![0, 1], weights: vec![WEIGHT_ONE, 0] });
}

#[test]
fn nobody_is_chosen_when_every_score_is_zero_or_below() {
    let empty = Score::default();
    assert_eq!(score(&[1, -1], 1, &[0], &[1, 1], 2).unwrap(), empty);
    assert_eq!(score(&[-1, -2], 1, &[1], &[1, 1], 2).unwrap(), empty);
    assert_eq!(score(&[1, 2], 1, &[1], &[0, 0], 2).unwrap(), empty);
    assert_eq!(score(&[], 3, &[1, 2, 3], &[], 2).unwrap(), empty);
}

#[test]
fn the_portable_and_the_wide_path_agree() {
    let mut random = Random(33);
    for k in [1, 7, 64, 129, 1024] {
        let sums: Vec<i32> = (0..k * 9).map(|_| random.next() as i32).collect();
        let query: Vec<i8> = (0..k).map(|_| random.next() as i8).collect();
        assert_eq!(
            raw_scores(Level::portable(), &sums, &query),
            raw_scores(Level::detect(), &sums, &query)
        );
    }
}

#[test]
fn wrong_sizes_are_refused_by_name() {
    let text = |r: Result<Score, _>| match r {
        Err(crate::attribution::AttributionError::InvalidArgument(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(text(score(&[1, 2], 2, &[1], &[1], 1)).contains("the sketch has 1 entries"));
    assert!(text(score(&[1, 2, 3], 2, &[1, 1], &[1], 1)).contains("the table has 3 entries"));
    assert!(text(score(&[], 0, &[], &[], 1)).contains("k is 0"));
    assert!(text(score(&[], K_MAX + 1, &[0; K_MAX + 1], &[], 1)).contains("k is 4097"));
    assert!(text(score(&[1], 1, &[1], &[1], 0)).contains("top is 0"));
}
