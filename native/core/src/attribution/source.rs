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

/// The same with the place of the labels among several choices first.
pub type ChoiceSink<'a> = dyn FnMut(usize, usize, usize, &[f32], &[f32]) + 'a;

pub trait GradientSource: Sync {
    /// Fixed order: module by module, A before B.
    fn factors(&self) -> &[FactorShape];
    /// For each factor the first one that has the same activations `a` in every visit: what is made of them alone is
    /// computed once, with the same bytes.
    fn inputs(&self) -> Vec<usize> {
        (0..self.factors().len()).collect()
    }
    fn sample_count(&self) -> usize;
    /// Token-summed cross-entropy of sample i; calls sink(factor, tokens, a [tokens, in_dim], s [tokens, out_dim]) once per factor in order. Deterministic.
    fn visit(&self, sample: usize, labels: Labels, sink: &mut GradientSink<'_>);
    /// `visit` for several choices of labels, the factors of each in order; activations do not depend on labels. A
    /// source that can walks forward once for all of them.
    fn visit_each(&self, sample: usize, choices: &[Labels], sink: &mut ChoiceSink<'_>) {
        for (choice, labels) in choices.iter().enumerate() {
            self.visit(sample, *labels, &mut |factor, tokens, a, s| {
                sink(choice, factor, tokens, a, s);
            });
        }
    }
}
