//! What `build_index` and `sketch_query` do with empty, wrong, broken and unwilling input.

use super::index::{built, config};
use super::synthetic::{Random, Synthetic, shape};
use crate::attribution::error::AttributionError;
use crate::attribution::index::{IndexConfig, Phase, STORAGE, build_index, contributor_sums};
use crate::attribution::sketch::sketch_query;
use crate::attribution::{FactorShape, GradientSink, GradientSource, Labels};

/// Gradients of nothing, as of an adapter that was never trained.
struct Silent(Vec<FactorShape>);

impl GradientSource for Silent {
    fn factors(&self) -> &[FactorShape] {
        &self.0
    }
    fn sample_count(&self) -> usize {
        3
    }
    fn visit(&self, _: usize, _: Labels, sink: &mut GradientSink<'_>) {
        for (f, s) in self.0.iter().enumerate() {
            sink(f, 2, &vec![0.0; 2 * s.in_dim], &vec![0.0; 2 * s.out_dim]);
        }
    }
}

#[test]
fn a_source_without_gradient_gives_zeros_everywhere() {
    let source = Silent(vec![shape(2, 9), shape(5, 2)]);
    let owners = [0, 1, 0];
    let config = IndexConfig {
        contributors: &owners,
        contributor_count: 2,
        k: 4,
        damping: 0.1,
        label_draws: 1,
        seed: 0,
    };
    let built = build_index(&source, &config, &mut |_, _, _| true).unwrap();
    assert_eq!(built.scale, 0.0);
    assert!(built.sketches.iter().all(|x| *x == 0) && built.sums.iter().all(|x| *x == 0));
    assert_eq!(sketch_query(&built.index, &source, 0).unwrap(), [0; 4]);
}

#[test]
fn a_contributor_without_samples_has_a_zero_row() {
    let source = Synthetic::small();
    let owners: Vec<u32> = source.owners().iter().map(|c| if *c == 2 { 1 } else { *c }).collect();
    let built = build_index(&source, &config(&source, &owners, 8), &mut |_, _, _| true).unwrap();
    assert!(built.sums[16..24].iter().all(|x| *x == 0));
    assert!(built.sums[..16].iter().any(|x| *x != 0));
}

#[test]
fn progress_tells_every_phase_and_can_stop_in_each() {
    let source = Synthetic::small();
    let owners = source.owners();
    let mut seen: Vec<Phase> = vec![];
    build_index(&source, &config(&source, &owners, 8), &mut |phase, done, total| {
        assert!(done <= total, "{phase:?} {done} of {total}");
        if seen.last() != Some(&phase) {
            seen.push(phase);
        }
        true
    })
    .unwrap();
    use Phase::*;
    assert_eq!(seen, [Covariance, Eigenbases, Eigenvalues, Whiten, Basis, Sketch]);
    for stop in seen {
        let result =
            build_index(&source, &config(&source, &owners, 8), &mut |phase, _, _| phase != stop);
        assert_eq!(result.unwrap_err(), AttributionError::Cancelled, "{stop:?}");
    }
}

#[test]
fn wrong_arguments_are_refused_with_their_value() {
    let source = Synthetic::small();
    let owners = source.owners();
    let good = config(&source, &owners, 8);
    let refused = |config: IndexConfig<'_>, text: &str| {
        let error = build_index(&source, &config, &mut |_, _, _| true).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    };
    refused(IndexConfig { k: 4, ..good }, "k is 4, must be at least the number of contributors, 5");
    refused(IndexConfig { k: 4097, ..good }, "k is 4097");
    refused(
        IndexConfig { contributors: &owners[1..], ..good },
        "23 contributors given for 24 samples",
    );
    refused(IndexConfig { contributor_count: 4, ..good }, "contributor 4 of 4");
    refused(IndexConfig { contributor_count: 0, ..good }, "contributor count is 0");
    refused(IndexConfig { label_draws: 0, ..good }, "label draws are 0");
    for damping in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        refused(IndexConfig { damping, ..good }, "damping is");
    }
}

/// Breaks one promise of the trait.
struct Broken(u8);

impl GradientSource for Broken {
    fn factors(&self) -> &[FactorShape] {
        const SHAPES: &[FactorShape] =
            &[FactorShape { out_dim: 2, in_dim: 3 }, FactorShape { out_dim: 3, in_dim: 2 }];
        SHAPES
    }
    fn sample_count(&self) -> usize {
        2
    }
    fn visit(&self, _: usize, _: Labels, sink: &mut GradientSink<'_>) {
        match self.0 {
            0 => sink(1, 1, &[1.0; 2], &[1.0; 3]),
            1 => sink(0, 1, &[1.0; 3], &[1.0; 2]),
            2 => sink(0, 2, &[1.0; 3], &[1.0; 2]),
            _ => {
                sink(0, 1, &[1.0; 3], &[1.0; 2]);
                sink(1, 1, &[f32::NAN; 2], &[1.0; 3]);
            }
        }
    }
}

#[test]
fn a_source_that_breaks_its_promise_is_an_error_that_says_how() {
    let owners = [0, 0];
    let config = IndexConfig {
        contributors: &owners,
        contributor_count: 1,
        k: 1,
        damping: 0.1,
        label_draws: 1,
        seed: 0,
    };
    let texts = [
        "where factor 0 was due",
        "1 of 2 factors visited",
        "with 2 tokens",
        "not a finite number",
    ];
    for (kind, text) in texts.iter().enumerate() {
        let error = build_index(&Broken(kind as u8), &config, &mut |_, _, _| true).unwrap_err();
        assert!(error.to_string().contains(text), "{kind}: {error}");
    }
}

#[test]
fn a_query_of_another_adapter_is_refused() {
    let source = Synthetic::small();
    let built = built(&source, 6, STORAGE);
    let mut other = Synthetic::small();
    other.factors[1] = shape(13, 3);
    let error = sketch_query(&built.index, &other, 0).unwrap_err();
    assert!(error.to_string().contains("first difference at Some(1)"), "{error}");
    let error = sketch_query(&built.index, &source, 24).unwrap_err();
    assert!(error.to_string().contains("sample 24 of 24"), "{error}");
}

#[test]
fn sums_that_would_leave_32_bits_are_refused() {
    let count = 65_540;
    let owners = vec![0u32; count];
    let result = contributor_sums(&vec![32767; count], 1, (&owners, 1));
    assert!(matches!(result, Err(AttributionError::InvalidArgument(_))), "{result:?}");
    let mut random = Random(1);
    let few: Vec<i16> = (0..100).map(|_| random.next() as i16).collect();
    let exact: i32 = few.iter().map(|x| i32::from(*x)).sum();
    let sums = contributor_sums(&few, 1, (&owners[..100], 1));
    assert_eq!(sums.unwrap(), [exact]);
}
