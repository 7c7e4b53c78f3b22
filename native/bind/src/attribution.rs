//! The attribution index, query sketches and integer scores.

use crate::cast::{from_attribution, guard, size, whole};
use crate::job::{CancelHandle, Events, emit, start};
use crate::model::{NativeAdapter, NativeModel};
use crate::run::{SampleInput, samples};
use napi::Env;
use napi::bindgen_prelude::{
    BigInt, BigInt64Array, BigUint64Array, ClassInstance, Float32Array, Int8Array, Int16Array,
    Int32Array, Object, Uint8Array, Uint32Array,
};
use napi_derive::napi;
use openledger_core::attribution::{
    AttributionIndex, IndexConfig, InfluenceConfig, Phase, build_index, influence, merkle, scan,
    score,
};
use openledger_core::bail;
use openledger_core::cuda::Resident;
use openledger_core::cuda::sketch::GpuIndex;
use openledger_core::gradients::{checkpoint_gradients, sketch_samples};
use openledger_core::lora::Adapter;
use std::sync::Arc;

#[napi(object)]
pub struct IndexInput {
    /// Owner of each sample.
    pub contributors: Uint32Array,
    pub contributor_count: f64,
    pub k: f64,
    pub damping: f64,
    pub label_draws: f64,
    pub seed: BigInt,
}

fn inner(adapters: &[ClassInstance<NativeAdapter>]) -> Vec<Arc<Adapter>> {
    adapters.iter().map(|a| a.inner.clone()).collect()
}

#[napi(object)]
pub struct PhaseEvent {
    pub phase: String,
    pub done: f64,
    pub total: f64,
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Covariance => "covariance",
        Phase::Eigenbases => "eigenbases",
        Phase::Eigenvalues => "eigenvalues",
        Phase::Whiten => "whiten",
        Phase::Basis => "basis",
        Phase::Sketch => "sketch",
    }
}

/// Passes phases on, counted in `sent`, and watches for cancellation.
fn phases<'a>(
    events: &'a Option<Events<PhaseEvent>>,
    cancel: &'a CancelHandle,
    sent: &'a mut u32,
) -> impl FnMut(Phase, usize, usize) -> bool + 'a {
    move |phase, done, total| {
        if events.is_some() {
            *sent += 1;
            let phase = phase_name(phase).to_string();
            emit(events, PhaseEvent { phase, done: done as f64, total: total as f64 });
        }
        !cancel.cancelled()
    }
}

#[napi(object)]
pub struct IndexOutput {
    pub artefact: Uint8Array,
    pub k: f64,
    pub scale: f64,
    /// [n, k]
    pub sketches: Int16Array,
    /// [contributors, k]
    pub sums: Int32Array,
    pub events: u32,
}

#[napi(ts_return_type = "Promise<IndexOutput>")]
pub fn build_attribution_index<'e>(
    env: &'e Env,
    model: &NativeModel,
    adapters: Vec<ClassInstance<'e, NativeAdapter>>,
    inputs: Vec<SampleInput>,
    config: IndexInput,
    cancel: &CancelHandle,
    on_progress: Option<Events<PhaseEvent>>,
) -> napi::Result<Object<'e>> {
    let all = guard(|| samples(inputs))?;
    let contributors = config.contributors.to_vec();
    let (count, k, draws, seed) = guard(|| {
        Ok((
            size("contributorCount", config.contributor_count, 1, 1 << 20)?,
            size("k", config.k, 1, openledger_core::attribution::score::K_MAX)?,
            whole("labelDraws", config.label_draws, 1, 64)? as u32,
            crate::cast::seed(config.seed)?,
        ))
    })?;
    let damping = config.damping as f32;
    let (model, adapters, cancel) = (model.inner.clone(), inner(&adapters), cancel.clone());
    let job = move || {
        let source = checkpoint_gradients(&model.weights, &adapters, &all)?;
        let config = IndexConfig {
            contributors: &contributors,
            contributor_count: count,
            k,
            damping,
            label_draws: draws,
            seed,
        };
        let mut events = 0;
        let built = build_index(&source, &config, &mut phases(&on_progress, &cancel, &mut events))
            .map_err(from_attribution)?;
        let bytes = built.index.to_bytes();
        Ok((built, bytes, events))
    };
    start(env, job, move |(built, bytes, events)| {
        Ok(IndexOutput {
            artefact: bytes.into(),
            k: k as f64,
            scale: f64::from(built.scale),
            sketches: built.sketches.into(),
            sums: built.sums.into(),
            events,
        })
    })
}

#[napi]
pub struct NativeIndex {
    inner: Arc<AttributionIndex>,
    on_gpu: Arc<Resident<GpuIndex>>,
}

#[napi]
impl NativeIndex {
    #[napi]
    pub fn k(&self) -> u32 {
        self.inner.k() as u32
    }
}

#[napi(ts_return_type = "Promise<NativeIndex>")]
pub fn load_index(env: &Env, artefact: Uint8Array) -> napi::Result<Object<'_>> {
    let bytes = artefact.to_vec();
    let job = move || AttributionIndex::from_bytes(&bytes).map(Arc::new).map_err(from_attribution);
    start(env, job, |inner| Ok(NativeIndex { inner, on_gpu: Arc::new(Resident::empty()) }))
}

/// Sketches [samples, k] of whole samples by an index over one checkpoint or several.
#[napi(js_name = "sketchSamples", ts_return_type = "Promise<Int8Array>")]
pub fn sketch<'e>(
    env: &'e Env,
    model: &NativeModel,
    adapters: Vec<ClassInstance<'e, NativeAdapter>>,
    index: &NativeIndex,
    inputs: Vec<SampleInput>,
) -> napi::Result<Object<'e>> {
    let all = guard(|| samples(inputs))?;
    let (model, adapters) = (model.inner.clone(), inner(&adapters));
    let (copy, index) = (index.on_gpu.clone(), index.inner.clone());
    let job = move || {
        sketch_samples(&index, &copy, &model.weights, &adapters, &all).map_err(from_attribution)
    };
    start(env, job, |sketches| Ok(Int8Array::from(sketches.concat())))
}

#[napi(object)]
pub struct InfluenceInput {
    pub damping: f64,
    pub label_draws: f64,
    pub seed: BigInt,
}

#[napi(object)]
pub struct InfluenceOutput {
    /// [queries, samples]
    pub scores: Float32Array,
    pub events: u32,
}

/// EK-FAC influence in f32, without basis and rounding.
#[napi(ts_return_type = "Promise<InfluenceOutput>")]
#[allow(clippy::too_many_arguments)]
pub fn influence_scores<'e>(
    env: &'e Env,
    model: &NativeModel,
    adapters: Vec<ClassInstance<'e, NativeAdapter>>,
    train: Vec<SampleInput>,
    queries: Vec<SampleInput>,
    config: InfluenceInput,
    cancel: &CancelHandle,
    on_progress: Option<Events<PhaseEvent>>,
) -> napi::Result<Object<'e>> {
    let (train, queries) = guard(|| Ok((samples(train)?, samples(queries)?)))?;
    let config = guard(|| {
        Ok(InfluenceConfig {
            damping: config.damping as f32,
            label_draws: whole("labelDraws", config.label_draws, 1, 64)? as u32,
            seed: crate::cast::seed(config.seed)?,
        })
    })?;
    let (model, adapters, cancel) = (model.inner.clone(), inner(&adapters), cancel.clone());
    let job = move || {
        let train = checkpoint_gradients(&model.weights, &adapters, &train)?;
        let queries = checkpoint_gradients(&model.weights, &adapters, &queries)?;
        let mut events = 0;
        let scores =
            influence(&train, &queries, config, &mut phases(&on_progress, &cancel, &mut events))
                .map_err(from_attribution)?;
        Ok((scores, events))
    };
    start(env, job, |(scores, events)| Ok(InfluenceOutput { scores: scores.into(), events }))
}

/// Exact dot products of a query with training sketches [n, k]; answers at once.
#[napi]
pub fn score_samples(
    sketches: Int16Array,
    k: f64,
    query: Int8Array,
) -> napi::Result<BigInt64Array> {
    guard(|| {
        let k = size("k", k, 1, score::K_MAX)?;
        let scores = score::sample_scores(&sketches, k, &query).map_err(from_attribution)?;
        Ok(scores.into())
    })
}

#[napi(object)]
pub struct ScanOutput {
    pub rows: Uint32Array,
    pub scores: Int32Array,
}

/// The `top` rows of int8 sketches [n, k] that score highest with the query, best first. The sketches are read where
/// they are: whoever changes them meanwhile gets scores of some of both.
#[napi(ts_return_type = "Promise<ScanOutput>")]
pub fn scan_sketches<'e>(
    env: &'e Env,
    sketches: Int8Array,
    query: Int8Array,
    top: f64,
    cancel: &CancelHandle,
) -> napi::Result<Object<'e>> {
    let top = guard(|| size("top", top, 1, scan::TOP_MAX))?;
    let cancel = cancel.clone();
    let job = move || {
        let go_on = || !cancel.cancelled();
        scan::scan_while(&sketches, &query, top, &go_on).map_err(from_attribution)
    };
    start(env, job, |found| {
        let rows: Vec<u32> = found.iter().map(|(row, _)| *row as u32).collect();
        let scores: Vec<i32> = found.iter().map(|(_, score)| *score).collect();
        Ok(ScanOutput { rows: rows.into(), scores: scores.into() })
    })
}

#[napi(object)]
pub struct ScoreOutput {
    pub indices: Uint32Array,
    pub weights: BigUint64Array,
}

/// Integers only; answers at once.
#[napi]
pub fn score_table(
    sums: Int32Array,
    k: f64,
    query: Int8Array,
    multipliers: Uint32Array,
    top: f64,
) -> napi::Result<ScoreOutput> {
    guard(|| {
        let k = size("k", k, 1, openledger_core::attribution::score::K_MAX)?;
        let top = size("top", top, 1, 1 << 20)?;
        let out = score(&sums, k, &query, &multipliers, top).map_err(from_attribution)?;
        Ok(ScoreOutput { indices: out.indices.into(), weights: out.weights.into() })
    })
}

/// Root over the leaves of all samples: `contents` holds 32 bytes a sample, `sketches` [n, k].
#[napi]
pub fn sketch_root(
    contributors: Uint32Array,
    contents: Uint8Array,
    sketches: Int16Array,
    k: f64,
) -> napi::Result<Uint8Array> {
    guard(|| {
        let n = contributors.len();
        let k = size("k", k, 1, openledger_core::attribution::score::K_MAX)?;
        if n == 0 || contents.len() != 32 * n || sketches.len() != n * k {
            bail!(
                BadInput,
                "{n} contributors, {} bytes of content hashes, {} sketch entries do not agree for k = {k}",
                contents.len(),
                sketches.len()
            );
        }
        let mut leaves = Vec::with_capacity(n);
        for i in 0..n {
            let mut content = [0u8; 32];
            content.copy_from_slice(&contents[32 * i..32 * i + 32]);
            let sketch = &sketches[i * k..(i + 1) * k];
            leaves.push(merkle::leaf_hash(i as u32, contributors[i], &content, sketch));
        }
        Ok(merkle::root(&leaves).to_vec().into())
    })
}
