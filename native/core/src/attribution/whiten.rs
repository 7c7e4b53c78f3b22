//! A sample's whitened gradient, factor by factor: w = (U_S^T G U_A) / sqrt(lambda + damping), so that
//! the dot product of two whitened gradients is their EK-FAC influence
//! g^T (U (Lambda + damping) U^T)^-1 g' (George et al. 2018, arXiv 1806.03884; Grosse et al. 2023,
//! arXiv 2308.03296).
//!
//! A LoRA factor has one side of rank size and one of model size. Everything here is kept as
//! [narrow, wide] (narrow = out when out <= in, else in), and the wide side is rotated first:
//!
//!   H = sum_t narrow_t wide_t^T      Z = U_narrow^T (H U_wide)      w = Z * inverse_root
//!
//! All products are canonical f32 (gemm.rs); inverse_root = 1 / sqrt(lambda + damping) in f32.

use super::error::{AttributionError, Result};
use super::gemm::{Strided, multiply};
use super::simd::Level;
use super::source::{ChoiceSink, FactorShape, GradientSink, GradientSource, Labels};
use std::ops::Range;

/// One factor's rotation and scaling, ready to apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Whitener {
    pub shape: FactorShape,
    /// Row-major [narrow, narrow] and [wide, wide]; column m is eigenvector m.
    pub narrow_basis: Vec<f32>,
    pub wide_basis: Vec<f32>,
    /// [narrow * wide].
    pub inverse_root: Vec<f32>,
}

/// The smaller and the larger side of a factor.
pub fn narrow_wide(shape: FactorShape) -> (usize, usize) {
    (shape.out_dim.min(shape.in_dim), shape.out_dim.max(shape.in_dim))
}

pub fn out_is_narrow(shape: FactorShape) -> bool {
    shape.out_dim <= shape.in_dim
}

pub fn parameters(shape: FactorShape) -> usize {
    shape.out_dim * shape.in_dim
}

/// 1 / sqrt(lambda + damping); 0 where the factor has no curvature at all (nothing ever flows there).
pub fn inverse_root(eigenvalues: &[f32], damping: f32) -> Vec<f32> {
    let invert = |lambda: &f32| {
        let damped = lambda + damping;
        if damped >= f32::MIN_POSITIVE { 1.0 / damped.sqrt() } else { 0.0 }
    };
    eigenvalues.iter().map(invert).collect()
}

/// H [narrow, wide] of one sample from a [tokens, in] and s [tokens, out].
pub fn gradient(
    level: Level,
    shape: FactorShape,
    a: &[f32],
    s: &[f32],
    tokens: usize,
    out: &mut [f32],
) {
    let (narrow, wide) = narrow_wide(shape);
    let (thin, broad) = if out_is_narrow(shape) { (s, a) } else { (a, s) };
    multiply(level, Strided { data: thin, row: 1, col: narrow }, broad, tokens, wide, out);
}

/// Z = U_narrow^T (H U_wide) of several samples at once, so that the bases are read once: `h` and `out`
/// are [samples][narrow, wide]; `scratch` grows to the same size.
pub fn rotate(
    level: Level,
    (narrow_basis, wide_basis): (&[f32], &[f32]),
    (narrow, wide): (usize, usize),
    h: &[f32],
    scratch: &mut Vec<f32>,
    out: &mut [f32],
) {
    scratch.resize(h.len(), 0.0);
    multiply(level, Strided { data: h, row: wide, col: 1 }, wide_basis, wide, wide, scratch);
    let transposed = Strided { data: narrow_basis, row: 1, col: narrow };
    let size = narrow * wide;
    for (half, out) in scratch.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
        multiply(level, transposed, half, narrow, wide, out);
    }
}

impl Whitener {
    /// w of several samples: `h` and `out` are [samples][narrow, wide].
    fn apply(&self, level: Level, h: &[f32], scratch: &mut Vec<f32>, out: &mut [f32]) {
        let bases = (self.narrow_basis.as_slice(), self.wide_basis.as_slice());
        rotate(level, bases, narrow_wide(self.shape), h, scratch, out);
        for out in out.chunks_exact_mut(self.inverse_root.len()) {
            for (w, scale) in out.iter_mut().zip(&self.inverse_root) {
                *w *= scale;
            }
        }
    }
}

/// The whitened gradients of consecutive samples from `first` on, written to the rows of `out`
/// [samples, P]. How many are done together cannot be seen in the result.
pub fn whiten_samples(
    level: Level,
    whiteners: &[Whitener],
    source: &dyn GradientSource,
    (first, labels): (usize, Labels),
    out: &mut [f32],
) -> Result<()> {
    let width = whiteners.iter().map(|w| w.inverse_root.len()).sum();
    for (i, row) in out.chunks_exact_mut(width).enumerate() {
        let mut rest = &mut *row;
        visit(source, first + i, labels, &mut |factor, tokens, a, s| {
            let shape = whiteners[factor].shape;
            let (h, tail) = std::mem::take(&mut rest).split_at_mut(parameters(shape));
            rest = tail;
            gradient(level, shape, a, s, tokens, h);
        })?;
    }
    let (mut h, mut scratch, mut w, mut start) = (vec![], vec![], vec![], 0);
    for whitener in whiteners {
        let range = start..start + whitener.inverse_root.len();
        gather(out, width, range.clone(), &mut h);
        w.resize(h.len(), 0.0);
        whitener.apply(level, &h, &mut scratch, &mut w);
        for (row, w) in out.chunks_exact_mut(width).zip(w.chunks_exact(range.len())) {
            row[range.clone()].copy_from_slice(w);
        }
        start = range.end;
    }
    for (i, row) in out.chunks_exact(width).enumerate() {
        finite(row, || format!("the whitened gradient of sample {}", first + i))?;
    }
    Ok(())
}

/// One factor's part of every row of `rows` [.., width], one after the other.
pub fn gather(rows: &[f32], width: usize, range: Range<usize>, out: &mut Vec<f32>) {
    out.clear();
    for row in rows.chunks_exact(width) {
        out.extend_from_slice(&row[range.clone()]);
    }
}

/// `source.visit` with its contract checked: every factor once, in order, of the promised size.
pub fn visit(
    source: &dyn GradientSource,
    sample: usize,
    labels: Labels,
    each: &mut GradientSink<'_>,
) -> Result<()> {
    visit_each(source, sample, &[labels], &mut |_, factor, tokens, a, s| each(factor, tokens, a, s))
}

/// `source.visit_each`, checked in the same way for every choice.
pub fn visit_each(
    source: &dyn GradientSource,
    sample: usize,
    choices: &[Labels],
    each: &mut ChoiceSink<'_>,
) -> Result<()> {
    let factors = source.factors();
    let (mut next, mut broken) = (vec![0; choices.len()], None);
    let mut check = |choice: usize, factor: usize, tokens: usize, a: &[f32], s: &[f32]| {
        let fits = next.get(choice) == Some(&factor)
            && factors
                .get(factor)
                .is_some_and(|f| a.len() == tokens * f.in_dim && s.len() == tokens * f.out_dim);
        if broken.is_none() && fits {
            next[choice] += 1;
            each(choice, factor, tokens, a, s);
        } else if broken.is_none() {
            broken = Some(format!(
                "sample {sample}: factor {factor} with {tokens} tokens, {} inputs, {} outputs where factor {} was due",
                a.len(),
                s.len(),
                next.get(choice).unwrap_or(&0)
            ));
        }
    };
    match choices {
        [labels] => source.visit(sample, *labels, &mut |f, tokens, a, s| check(0, f, tokens, a, s)),
        _ => source.visit_each(sample, choices, &mut check),
    }
    if let Some(next) = next.iter().find(|next| **next != factors.len())
        && broken.is_none()
    {
        broken = Some(format!("sample {sample}: {next} of {} factors visited", factors.len()));
    }
    broken.map_or(Ok(()), |text| Err(AttributionError::InvalidArgument(text)))
}

pub fn finite(values: &[f32], name: impl Fn() -> String) -> Result<()> {
    match values.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(AttributionError::NotFinite(format!("{}, entry {at}", name()))),
        None => Ok(()),
    }
}
