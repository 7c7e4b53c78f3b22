//! The forward pass: tokens in, normed hidden rows out, logits on demand. The same code serves a
//! prompt, a single generated token and a training sample.

use super::config::{LlamaConfig, Target};
use super::operator::{Operator, Watch};
use super::tape::{LayerTape, Tape};
use super::weights::{Layer, Linear, Weights, apply_all};
use crate::lora::Adapter;
use crate::memory::{copy, zeros};
use crate::ops::attention::{HeadTape, KvLayer, attention};
use crate::ops::elementwise::{add_into, silu_mul};
use crate::ops::norm::rms_norm;
use crate::{Result, bail};
use std::ops::ControlFlow;

/// What memory is for, in errors.
const ROWS: &str = "rows of a forward pass";
const TAPE: &str = "the tape of a sample";

/// Keys and values of one sequence.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<KvLayer>,
    length: usize,
    capacity: usize,
}

impl KvCache {
    pub fn new(weights: &Weights, positions: usize) -> Self {
        let layer = |_| KvLayer::new(weights.heads(), positions);
        let layers = (0..weights.layers.len()).map(layer).collect();
        Self { layers, length: 0, capacity: positions }
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// Every id is in the vocabulary and the sequence fits the model's positions.
pub fn check_tokens(config: &LlamaConfig, tokens: &[u32], most: usize) -> Result<()> {
    if tokens.is_empty() {
        bail!(BadInput, "the token sequence is empty");
    }
    if tokens.len() > most.min(config.max_positions) {
        bail!(
            BadInput,
            "{} tokens, at most {} (the model's positions: {})",
            tokens.len(),
            most.min(config.max_positions),
            config.max_positions
        );
    }
    match tokens.iter().position(|t| *t as usize >= config.vocab) {
        Some(i) => bail!(
            BadInput,
            "token {} at index {i} is outside the vocabulary of {}",
            tokens[i],
            config.vocab
        ),
        None => Ok(()),
    }
}

/// One pass through one layer's maps with the adapter's update on top.
struct Pass<'a> {
    layer: &'a Layer,
    index: usize,
    adapter: Option<&'a Adapter>,
    m: usize,
}

impl Pass<'_> {
    fn linear(&self, target: Target, x: &[f32], low: &mut [Vec<f32>; 7]) -> Vec<f32> {
        let [y] = self.linears([target], x, low);
        y
    }

    /// Several maps of the same rows at once.
    fn linears<const N: usize>(
        &self,
        targets: [Target; N],
        x: &[f32],
        low: &mut [Vec<f32>; 7],
    ) -> [Vec<f32>; N] {
        let mut all = apply_all(targets.map(|t| self.layer.linear(t)), x, self.m);
        for (target, y) in targets.into_iter().zip(&mut all) {
            if let Some(module) = self.adapter.and_then(|a| a.module(self.index, target)) {
                low[target as usize] = module.apply(x, self.m, y);
            }
        }
        all
    }
}

impl Weights {
    /// Runs `tokens` after what `cache` holds; returns the rows after the final norm [tokens, h].
    /// `tape`, when given, is filled for the way back (the cache must then be empty).
    ///
    /// Panics when a token is outside the vocabulary or the cache is full: `check_tokens` first.
    pub fn forward(
        &self,
        adapter: Option<&Adapter>,
        tokens: &[u32],
        cache: &mut KvCache,
        tape: Option<&mut Tape>,
    ) -> Vec<f32> {
        let unheard: &mut Watch = &mut |_, _, _| ControlFlow::Continue(());
        match self.forward_watched(adapter, tokens, cache, tape, unheard) {
            ControlFlow::Continue(hidden) => hidden,
            ControlFlow::Break(()) => unreachable!("nobody ends it"),
        }
    }

    /// `forward`, with each operator's output shown as it is made. Who breaks it off leaves a cache that is
    /// good for nothing.
    pub fn forward_watched(
        &self,
        adapter: Option<&Adapter>,
        tokens: &[u32],
        cache: &mut KvCache,
        mut tape: Option<&mut Tape>,
        watch: &mut Watch,
    ) -> ControlFlow<(), Vec<f32>> {
        let (m, h) = (tokens.len(), self.config.hidden);
        assert!(cache.length + m <= cache.capacity, "the key-value cache is full");
        assert!(tape.is_none() || cache.length == 0, "a tape starts at position 0");
        let mut x = zeros(ROWS, m * h);
        for (row, token) in x.chunks_exact_mut(h).zip(tokens) {
            self.embedding.row(*token as usize, row);
        }
        watch(None, Operator::Embedding, &x)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let pass = Pass { layer, index, adapter, m };
            let (first, kv, keep) = (cache.length, &mut cache.layers[index], tape.is_some());
            let kept = self.block(&pass, &mut x, first, kv, keep, watch)?;
            if let Some(tape) = tape.as_deref_mut() {
                tape.layers.push(kept);
            }
        }
        cache.length += m;
        let (mut hidden, mut inverse) = (zeros(ROWS, m * h), vec![0.0; m]);
        rms_norm(&x, &self.final_norm, self.config.rms_eps as f32, &mut hidden, &mut inverse);
        watch(None, Operator::Norm, &hidden)?;
        if let Some(tape) = tape {
            tape.x = x;
            tape.inverse = inverse;
            tape.hidden = copy(TAPE, &hidden);
        }
        ControlFlow::Continue(hidden)
    }

    fn block(
        &self,
        pass: &Pass,
        x: &mut [f32],
        first: usize,
        cache: &mut KvLayer,
        keep: bool,
        watch: &mut Watch,
    ) -> ControlFlow<(), LayerTape> {
        let mut show = |operator, output: &[f32]| watch(Some(pass.index), operator, output);
        let (m, h, heads) = (pass.m, self.config.hidden, self.heads());
        let eps = self.config.rms_eps as f32;
        let mut tape =
            LayerTape { x: if keep { copy(TAPE, x) } else { vec![] }, ..LayerTape::default() };
        let low = &mut tape.low;

        let (mut normed, mut inverse) = (zeros(ROWS, m * h), vec![0.0; m]);
        rms_norm(x, &pass.layer.attention_norm, eps, &mut normed, &mut inverse);
        show(Operator::AttentionNorm, &normed)?;
        let [mut q, mut k, v] = pass.linears([Target::Q, Target::K, Target::V], &normed, low);
        show(Operator::Linear(Target::Q), &q)?;
        show(Operator::Linear(Target::K), &k)?;
        show(Operator::Linear(Target::V), &v)?;
        self.rope.apply(&mut q, heads.query, first);
        self.rope.apply(&mut k, heads.kv, first);
        show(Operator::QRope, &q)?;
        show(Operator::KRope, &k)?;
        cache.append(&k, &v, first);
        let mut o = zeros(ROWS, m * heads.query * heads.dim);
        let mut kept = vec![HeadTape::default(); if keep { heads.query } else { 0 }];
        attention(&q, cache, first, &mut o, if keep { Some(&mut kept) } else { None });
        show(Operator::Attention, &o)?;
        let projected = pass.linear(Target::O, &o, low);
        show(Operator::Linear(Target::O), &projected)?;
        add_into(x, &projected);
        show(Operator::AttentionResidual, x)?;
        if keep {
            tape.attention_in = copy(TAPE, &normed);
            tape.attention_inverse = inverse.clone();
            (tape.q, tape.k, tape.v, tape.heads, tape.attention_out) = (q, k, v, kept, o);
            tape.middle = copy(TAPE, x);
        }

        rms_norm(x, &pass.layer.mlp_norm, eps, &mut normed, &mut inverse);
        show(Operator::MlpNorm, &normed)?;
        let [gate, up] = pass.linears([Target::Gate, Target::Up], &normed, &mut tape.low);
        show(Operator::Linear(Target::Gate), &gate)?;
        show(Operator::Linear(Target::Up), &up)?;
        let mut activated = zeros(ROWS, gate.len());
        silu_mul(&gate, &up, &mut activated);
        show(Operator::Swiglu, &activated)?;
        let projected = pass.linear(Target::Down, &activated, &mut tape.low);
        show(Operator::Linear(Target::Down), &projected)?;
        add_into(x, &projected);
        show(Operator::MlpResidual, x)?;
        if keep {
            (tape.mlp_in, tape.mlp_inverse) = (normed, inverse);
            (tape.gate, tape.up, tape.activated) = (gate, up, activated);
        }
        ControlFlow::Continue(tape)
    }

    /// Logits [rows, vocab] of hidden rows.
    pub fn logits(&self, hidden: &[f32]) -> Vec<f32> {
        let head: &Linear = self.head();
        head.apply(hidden, hidden.len() / self.config.hidden)
    }
}
