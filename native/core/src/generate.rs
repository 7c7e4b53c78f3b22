//! Text generation: prefill in chunks, one token at a time after that, and a trace that lets anyone
//! who runs it again name the first difference.

use crate::cuda::adapter_on;
use crate::cuda::session::Session;
use crate::hash::{Hash, finish};
use crate::lora::Adapter;
use crate::memory::afford;
use crate::model::LlamaConfig;
use crate::model::forward::{KvCache, check_tokens};
use crate::model::weights::Weights;
use crate::{Result, bail};
use tiny_keccak::{Hasher, Keccak};

pub mod opening;
pub mod sampler;

pub use sampler::Sampler;

/// Prompt tokens run at once. Any value gives the same bits.
const PREFILL_CHUNK: usize = 128;

#[derive(Clone, Debug)]
pub struct Request {
    pub prompt: Vec<u32>,
    pub max_tokens: usize,
    pub sampler: Sampler,
    /// Ids that end the answer; the one that ended it is its last token.
    pub stop: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    Stop,
    Length,
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub tokens: Vec<u32>,
    /// One leaf per token, see `trace_leaf`.
    pub trace: Vec<[u8; 32]>,
    pub finish: Finish,
}

/// keccak256(u32le position || u32le token || logits as f32 LE): `position` is the token's
/// index in prompt + answer, the logits are those it was chosen from (NaN canonicalised).
pub fn trace_leaf(position: u32, token: u32, logits: &[f32]) -> Hash {
    let mut hash = Keccak::v256();
    hash.update(&position.to_le_bytes());
    hash.update(&token.to_le_bytes());
    let mut bytes = [0u8; 1024];
    for part in logits.chunks(256) {
        for (to, x) in bytes.chunks_exact_mut(4).zip(part) {
            to.copy_from_slice(&crate::math::single::canonical(*x).to_le_bytes());
        }
        hash.update(&bytes[..4 * part.len()]);
    }
    finish(hash)
}

fn check(weights: &Weights, adapter: Option<&Adapter>, request: &Request) -> Result<()> {
    if let Some(adapter) = adapter {
        adapter.check_fits(&weights.config)?;
    }
    check_request(&weights.config, request)?;
    let positions = request.prompt.len() + request.max_tokens;
    let what = format!("an answer of up to {positions} positions");
    afford(&what, pass_bytes(&weights.config, positions, PREFILL_CHUNK))
}

/// Keys and values of all positions, what `rows` of them take that run together, logits.
fn pass_bytes(c: &LlamaConfig, positions: usize, rows: usize) -> Option<usize> {
    let kept = 2 * c.layers * c.kv_heads * c.head_dim;
    let attention = c.heads.min(crate::pool::threads()) * positions;
    let row = 5 * c.hidden + 3 * c.ffn + 2 * c.heads * c.head_dim + attention;
    let floats = kept.checked_mul(positions)?.checked_add(row.checked_mul(rows)?)?;
    floats.checked_add(c.vocab)?.checked_mul(size_of::<f32>())
}

/// The request is one that this model can answer.
pub fn check_request(config: &LlamaConfig, request: &Request) -> Result<()> {
    check_tokens(config, &request.prompt, usize::MAX)?;
    request.sampler.check()?;
    let whole = request.prompt.len().saturating_add(request.max_tokens);
    if request.max_tokens == 0 || whole > config.max_positions {
        bail!(
            BadInput,
            "prompt of {} tokens and {} new ones (at least 1) do not fit the model's {} positions",
            request.prompt.len(),
            request.max_tokens,
            config.max_positions
        );
    }
    Ok(())
}

/// A sequence under way: on the card while that works, else on the CPU, with the same bytes.
struct Runner<'a> {
    weights: &'a Weights,
    adapter: Option<&'a Adapter>,
    /// All tokens run so far: what the CPU needs to take over.
    seen: Vec<u32>,
    capacity: usize,
    session: Option<Session>,
    cache: Option<KvCache>,
}

impl<'a> Runner<'a> {
    fn new(weights: &'a Weights, adapter: Option<&'a Adapter>, capacity: usize) -> Self {
        let session = weights.on_gpu.get().and_then(|model| {
            let started = adapter_on(&model, adapter)
                .and_then(|adapter| Session::new(model, adapter, capacity));
            started.map_err(|e| weights.leave_gpu(e)).ok()
        });
        Self { weights, adapter, seen: vec![], capacity, session, cache: None }
    }

    /// Runs one chunk; returns the logits [.., vocab] of its rows from `from` on.
    fn run(&mut self, tokens: &[u32], from: usize) -> Vec<f32> {
        if let Some(session) = &mut self.session {
            match session.run(tokens, from) {
                Ok(logits) => {
                    self.seen.extend_from_slice(tokens);
                    return logits;
                }
                Err(e) => {
                    self.weights.leave_gpu(e);
                    self.session = None;
                }
            }
        }
        let (weights, adapter) = (self.weights, self.adapter);
        let cache = self.cache.get_or_insert_with(|| {
            let mut cache = KvCache::new(weights, self.capacity);
            for chunk in self.seen.chunks(PREFILL_CHUNK) {
                weights.forward(adapter, chunk, &mut cache, None);
            }
            cache
        });
        self.seen.extend_from_slice(tokens);
        let hidden = weights.forward(adapter, tokens, cache, None);
        weights.logits(&hidden[from * weights.config.hidden..])
    }

    /// Runs the prompt; returns the logits after its last token.
    fn prefill(&mut self, tokens: &[u32]) -> Vec<f32> {
        let mut left = tokens.len();
        let mut logits = vec![];
        for chunk in tokens.chunks(PREFILL_CHUNK) {
            left -= chunk.len();
            logits = self.run(chunk, chunk.len() - usize::from(left == 0));
        }
        logits
    }
}

/// Generates an answer. `on_token(token, index)` is called for each and stops by returning false.
pub fn generate(
    weights: &Weights,
    adapter: Option<&Adapter>,
    request: &Request,
    on_token: &mut (dyn FnMut(u32, usize) -> bool + Send),
) -> Result<Answer> {
    check(weights, adapter, request)?;
    let mut runner = Runner::new(weights, adapter, request.prompt.len() + request.max_tokens);
    let mut logits = runner.prefill(&request.prompt);
    let mut answer = Answer { tokens: vec![], trace: vec![], finish: Finish::Length };
    for index in 0..request.max_tokens {
        let position = (request.prompt.len() + index) as u32;
        let token = request.sampler.choose(&logits, position);
        answer.tokens.push(token);
        answer.trace.push(trace_leaf(position, token, &logits));
        let go_on = on_token(token, index);
        if request.stop.contains(&token) {
            answer.finish = Finish::Stop;
            break;
        }
        if !go_on {
            answer.finish = Finish::Cancelled;
            break;
        }
        if index + 1 < request.max_tokens {
            logits = runner.run(&[token], 0);
        }
    }
    Ok(answer)
}

/// What an honest run would have had at each step of a claimed answer: the token the sampler picks after
/// the claimed tokens before it, and the trace leaf of the claimed token. All steps run at once,
/// with the bits of one-by-one generation, so checking costs one prefill.
pub fn replay(
    weights: &Weights,
    adapter: Option<&Adapter>,
    request: &Request,
    claimed: &[u32],
) -> Result<Answer> {
    check(weights, adapter, request)?;
    if claimed.is_empty() || claimed.len() > request.max_tokens {
        bail!(
            BadInput,
            "an answer of {} tokens, expected 1..={}",
            claimed.len(),
            request.max_tokens
        );
    }
    check_tokens(&weights.config, claimed, usize::MAX)?;
    let whole = [&request.prompt[..], &claimed[..claimed.len() - 1]].concat();
    let mut runner = Runner::new(weights, adapter, whole.len());
    let mut answer = Answer { tokens: vec![], trace: vec![], finish: Finish::Length };
    let mut start = 0;
    for chunk in whole.chunks(PREFILL_CHUNK) {
        let from = (request.prompt.len() - 1).clamp(start, start + chunk.len()) - start;
        for (r, row) in runner.run(chunk, from).chunks_exact(weights.config.vocab).enumerate() {
            let position = start + from + r + 1;
            let token = claimed[position - request.prompt.len()];
            answer.tokens.push(request.sampler.choose(row, position as u32));
            answer.trace.push(trace_leaf(position as u32, token, row));
        }
        start += chunk.len();
    }
    if claimed.last().is_some_and(|t| request.stop.contains(t)) {
        answer.finish = Finish::Stop;
    }
    Ok(answer)
}

#[cfg(test)]
mod tests;
