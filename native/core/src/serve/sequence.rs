//! A request on its way: waiting, running, perhaps put back to wait, then answered.

use super::pages::{Chain, PAGE, chain_next, chain_root};
use super::queue::Queued;
use super::registry::Loaded;
use crate::generate::{Answer, Finish, Request};
use std::sync::Arc;

/// What is asked of the engine.
#[derive(Clone, Debug)]
pub struct Job {
    pub request: Request,
    /// Name of a registered adapter; None is the base.
    pub adapter: Option<Arc<str>>,
    /// The adapter's own scale is multiplied by this; 0 is the base exactly.
    pub scale: f32,
    /// Whose turn it is: requests of one payer share its part of the engine.
    pub payer: Arc<str>,
    /// Whether the answer carries its trace (`generate::trace_leaf`): a hash over all logits of each token.
    pub trace: bool,
}

pub struct Sequence {
    pub ticket: u64,
    pub job: Job,
    /// Prompt and answer so far.
    pub tokens: Vec<u32>,
    /// Positions whose keys and values are in `pages`.
    pub computed: usize,
    pub pages: Vec<u32>,
    /// The adapter while it runs.
    pub loaded: Option<Loaded>,
    trace: Vec<[u8; 32]>,
    /// The chain after each full page.
    chains: Vec<Chain>,
}

impl Queued for Sequence {
    fn payer(&self) -> &Arc<str> {
        &self.job.payer
    }

    fn adapter(&self) -> Option<&Arc<str>> {
        self.job.adapter.as_ref()
    }
}

impl Sequence {
    pub fn new(ticket: u64, mut job: Job) -> Self {
        if job.scale == 0.0 {
            job.adapter = None;
        }
        let tokens = job.request.prompt.clone();
        Self {
            ticket,
            job,
            tokens,
            computed: 0,
            pages: vec![],
            loaded: None,
            trace: vec![],
            chains: vec![],
        }
    }

    /// Tokens that still have to run; the last one's logits give the next token.
    pub fn left(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// The chain before the first page: what decides keys and values besides the tokens.
    fn root(&self) -> Chain {
        match &self.loaded {
            None => chain_root(b"base"),
            Some(loaded) => {
                let mut root = loaded.number.to_le_bytes().to_vec();
                root.extend(self.job.scale.to_bits().to_le_bytes());
                chain_root(&root)
            }
        }
    }

    /// The chain after page `index`, whose tokens are known.
    pub fn chain(&mut self, index: usize) -> Chain {
        while self.chains.len() <= index {
            let at = self.chains.len();
            let before = self.chains.last().copied().unwrap_or_else(|| self.root());
            self.chains.push(chain_next(&before, &self.tokens[at * PAGE..(at + 1) * PAGE]));
        }
        self.chains[index]
    }

    /// Pages that another sequence could hold for this one: full, and not all of its tokens, because the
    /// last one's logits are wanted.
    pub fn shareable(&self) -> usize {
        (self.tokens.len() - 1) / PAGE
    }

    /// Lets everything go; what was answered stays.
    pub fn reset(&mut self) -> (Vec<u32>, Option<Loaded>) {
        self.computed = 0;
        self.chains.clear();
        (std::mem::take(&mut self.pages), self.loaded.take())
    }

    pub fn answered(&self) -> usize {
        self.tokens.len() - self.job.request.prompt.len()
    }

    /// Adds a token to the answer; says whether it was the last.
    pub fn push(&mut self, token: u32, leaf: Option<[u8; 32]>) -> Option<Finish> {
        self.tokens.push(token);
        self.trace.extend(leaf);
        if self.job.request.stop.contains(&token) {
            Some(Finish::Stop)
        } else if self.answered() == self.job.request.max_tokens {
            Some(Finish::Length)
        } else {
            None
        }
    }

    pub fn into_answer(self, finish: Finish) -> Answer {
        let tokens = self.tokens[self.job.request.prompt.len()..].to_vec();
        Answer { tokens, trace: self.trace, finish }
    }
}
