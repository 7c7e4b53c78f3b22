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
use super::source::{FactorShape, GradientSink, GradientSource, Labels};

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

/// Z = U_narrow^T (H U_wide), both [narrow, wide]; `scratch` grows to the same size.
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
    multiply(level, transposed, scratch, narrow, wide, out);
}

/// The whitened gradient of one sample, written to `out` [P].
pub fn whiten_sample(
    level: Level,
    whiteners: &[Whitener],
    source: &dyn GradientSource,
    (sample, labels): (usize, Labels),
    out: &mut [f32],
) -> Result<()> {
    let (mut h, mut scratch, mut rest) = (vec![], vec![], &mut *out);
    visit(source, sample, labels, &mut |factor, tokens, a, s| {
        let whitener = &whiteners[factor];
        let shape = narrow_wide(whitener.shape);
        let (w, tail) = std::mem::take(&mut rest).split_at_mut(shape.0 * shape.1);
        rest = tail;
        h.resize(w.len(), 0.0);
        gradient(level, whitener.shape, a, s, tokens, &mut h);
        let bases = (whitener.narrow_basis.as_slice(), whitener.wide_basis.as_slice());
        rotate(level, bases, shape, &h, &mut scratch, w);
        for (w, scale) in w.iter_mut().zip(&whitener.inverse_root) {
            *w *= scale;
        }
    })?;
    finite(out, || format!("the whitened gradient of sample {sample}"))
}

/// `source.visit` with its contract checked: every factor once, in order, of the promised size.
pub fn visit(
    source: &dyn GradientSource,
    sample: usize,
    labels: Labels,
    each: &mut GradientSink<'_>,
) -> Result<()> {
    let factors = source.factors();
    let (mut next, mut broken) = (0, None);
    source.visit(sample, labels, &mut |factor, tokens, a, s| {
        let fits = factor == next
            && factors.get(factor).is_some_and(|f| a.len() == tokens * f.in_dim && s.len() == tokens * f.out_dim);
        if broken.is_none() && fits {
            next += 1;
            each(factor, tokens, a, s);
        } else if broken.is_none() {
            broken = Some(format!(
                "sample {sample}: factor {factor} with {tokens} tokens, {} inputs, {} outputs where factor {next} was due",
                a.len(),
                s.len()
            ));
        }
    });
    if broken.is_none() && next != factors.len() {
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
