//! The narrow door between the engine and the attribution mathematics: whoever can walk a sample's
//! LoRA gradients factor by factor can be indexed.

/// One LoRA factor seen as a linear map: the per-sample gradient is G = sum_t s_t a_t^T, row-major [out_dim, in_dim].
/// For module y += scale*B(A x): factor A has a=x (in), s=scale*B^T dy (r); factor B has a=A x (r), s=scale*dy (out).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactorShape {
    pub out_dim: usize,
    pub in_dim: usize,
}

/// Which labels the loss uses: the data's own next tokens, or draws from the model's own distribution (true Fisher), by counter PRNG.
#[derive(Clone, Copy, Debug)]
pub enum Labels {
    Data,
    Sampled { seed: u64, draw: u32 },
}

/// Receives (factor, tokens, a [tokens, in_dim], s [tokens, out_dim]).
pub type GradientSink<'a> = dyn FnMut(usize, usize, &[f32], &[f32]) + 'a;

pub trait GradientSource: Sync {
    /// Fixed order: module by module, A before B.
    fn factors(&self) -> &[FactorShape];
    fn sample_count(&self) -> usize;
    /// Token-summed cross-entropy of sample i; calls sink(factor, tokens, a [tokens, in_dim], s [tokens, out_dim]) once per factor in order. Deterministic.
    fn visit(&self, sample: usize, labels: Labels, sink: &mut GradientSink<'_>);
}
