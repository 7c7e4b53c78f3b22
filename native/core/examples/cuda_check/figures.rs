//! How fast a card is: products, operators, decoding, generation, training.

use crate::equality::golden::{samples, train_config};
use crate::equality::noise;
use openledger_core::cuda::batch::{Batch, KvPool, Piece};
use openledger_core::cuda::decode::Decoder;
use openledger_core::cuda::graph::Graph;
use openledger_core::cuda::memory::{Buffer, Gpu};
use openledger_core::cuda::model::AdapterTable;
use openledger_core::cuda::ops::{self, Plan, Side};
use openledger_core::cuda::{GpuAdapter, GpuModel};
use openledger_core::gemm::int8::PackedI8;
use openledger_core::gemm::{BLOCK, MatRef, Packed, gemm};
use openledger_core::generate::{Request, generate, sampler::GREEDY};
use openledger_core::model::config::Target;
use openledger_core::model::testing::{in_int8, random_adapter, tokens};
use openledger_core::model::weights::Weights;
use openledger_core::train::train_lora;
use std::sync::Arc;
use std::time::Instant;

/// Seconds of one run, after one to warm up; `wait` waits for the card.
fn seconds(runs: u32, mut work: impl FnMut(), wait: impl Fn()) -> f64 {
    work();
    wait();
    let start = Instant::now();
    (0..runs).for_each(|_| work());
    wait();
    start.elapsed().as_secs_f64() / f64::from(runs)
}

pub fn all(gpu: &Arc<Gpu>, smol: &Weights) {
    println!("FIGURES");
    products(gpu);
    operators_of(gpu, 1);
    operators_of(gpu, 2048);
    decoding(gpu, smol, "f32");
    decoding(gpu, &in_int8(smol), "int8");
    generating(gpu, smol);
    training(gpu, smol);
}

/// Output and input widths of SmolLM2-135M's maps.
const MAPS: [(usize, usize); 5] = [(960, 576), (576, 576), (3072, 576), (576, 1536), (49_152, 576)];
const ROWS: [usize; 7] = [1, 8, 16, 32, 64, 128, 2048];

/// y = x W^T on the model's shapes and a large one.
pub fn products(gpu: &Arc<Gpu>) {
    MAPS.iter().for_each(|(n, k)| products_of(gpu, *n, *k, &ROWS));
    products_of(gpu, 4096, 4096, &[4096]);
    // Without the tiny numbers of `noise`, which a CPU multiplies slowly.
    let (m, n, k) = (2048, 3072, 576);
    let (a, b) = (vec![0.5; m * k], Packed::from_weight(&vec![0.25; n * k], n, k));
    let mut c = vec![0.0; m * n];
    let s = seconds(3, || gemm(MatRef::rows(&a, k), m, b.view(), &mut c, n, BLOCK), || {});
    println!(
        "CPU gemm {m}x{n}x{k}: {:.1} us, {:.0} GFLOP/s",
        s * 1e6,
        2e-9 * (m * n * k) as f64 / s
    );
}

/// m x n x k for each m in f32 and int8; in brackets every kernel that could do it, `/` with its sum spread.
pub fn products_of(gpu: &Arc<Gpu>, n: usize, k: usize, rows: &[usize]) {
    let w = gpu.upload(&noise(2, n * k)).expect("room");
    let packed = PackedI8::from_weight(&noise(2, n * k), n, k);
    let w_i8 = ops::WeightI8::upload(gpu, &[&packed]).expect("room");
    for m in rows {
        let x = gpu.upload(&noise(1, m * k)).expect("room");
        let y: Buffer<f32> = gpu.empty(m * n).expect("room");
        product_f32(gpu, &x, &w, &y, (*m, n, k));
        product_i8(gpu, &x, &w_i8, &y, (*m, n, k));
    }
}

/// Microseconds of one run among many, asked for at once as a graph, so that asking costs nothing.
fn micros(gpu: &Arc<Gpu>, runs: u32, mut work: impl FnMut()) -> f64 {
    // What is made once is made before.
    work();
    let repeated = || {
        (0..runs).for_each(|_| work());
        Ok(())
    };
    // SAFETY: what `work` reads and writes outlives this call; nothing leaves it.
    let many = unsafe { Graph::record(gpu, repeated) }.expect("room");
    let flag = gpu.zeros::<f32>(1).expect("room");
    let replay = || {
        many.replay().expect("it runs");
    };
    1e6 * seconds(1, replay, || drop(flag.to_vec())) / f64::from(runs)
}

type Shape = (usize, usize, usize);

fn product_f32(
    gpu: &Arc<Gpu>,
    x: &Buffer<f32>,
    w: &Buffer<f32>,
    y: &Buffer<f32>,
    (m, n, k): Shape,
) {
    let run = |plan| {
        let side = |matrix, transposed| Side { matrix, transposed };
        ops::product(gpu, side(x.rows(k), false), side(w.rows(k), true), y.rows(n), plan)
            .expect("it runs");
    };
    let us = micros(gpu, 30, || run(Plan::default()));
    let mut line =
        format!("f32 {m}x{n}x{k}: {us:.1} us, {:.0} GFLOP/s [", 2e-3 * (m * n * k) as f64 / us);
    for tile in ops::tiles() {
        let rows_kernel = tile.starts_with("gemm_row");
        if (rows_kernel && m > 64) || (m > 1000 && !tile.contains("128") && !tile.contains("64x64"))
        {
            continue;
        }
        for split in [false, true] {
            if split && (rows_kernel || m > 1000 || n > 10_000) {
                continue;
            }
            let plan = Plan { tile: Some(tile), split: Some(split), ..Plan::default() };
            let us = micros(gpu, 10, || run(plan));
            let name = tile.trim_start_matches("gemm_").trim_start_matches("f32_");
            line += &format!(" {name}{}{us:.1}", if split { "/" } else { " " });
        }
    }
    println!("{line}]");
}

fn product_i8(
    gpu: &Arc<Gpu>,
    x: &Buffer<f32>,
    w: &ops::WeightI8,
    y: &Buffer<f32>,
    (m, n, k): Shape,
) {
    let rate = |us: f64| 2e-3 * (m * n * k) as f64 / us;
    let q = ops::RowsI8::quantise(gpu, x.rows(k)).expect("it runs");
    let quantise = micros(gpu, 30, || drop(ops::RowsI8::quantise(gpu, x.rows(k))));
    let us = micros(gpu, 30, || ops::multiply_i8(gpu, &q, w, y.rows(n), None).expect("it runs"));
    let mut line = format!(
        "int8 {m}x{n}x{k}: {us:.1} us, {:.0} Gop/s, quantising {quantise:.1} us [",
        rate(us)
    );
    for tile in ops::tiles_i8() {
        let us = micros(gpu, 10, || {
            ops::multiply_i8(gpu, &q, w, y.rows(n), Some(tile)).expect("it runs")
        });
        line += &format!(" {} {us:.1}", tile.trim_start_matches("gemm_i8_"));
    }
    if m >= 2048 && n < 10_000 {
        let (a, b) = (gpu.zeros::<i8>(m * k).expect("room"), gpu.zeros(n * k).expect("room"));
        let c = gpu.empty::<i32>(m * n).expect("room");
        let us = micros(gpu, 20, || ops::product_i8(gpu, &a, &b, &c, k).expect("it runs"));
        line += &format!(" int32 {us:.1}");
    }
    println!("{line}]");
}

/// What one launch of the small operators costs, back to back, for `m` rows of the model's width.
fn operators_of(gpu: &Arc<Gpu>, m: usize) {
    let flag = gpu.zeros::<f32>(1).expect("room");
    let wait = || drop(flag.to_vec());
    let h = 576;
    let (x, y) = (gpu.zeros::<f32>(m * h).expect("room"), gpu.zeros::<f32>(m * h).expect("room"));
    let (w, inverse) = (gpu.zeros::<f32>(h).expect("room"), gpu.zeros::<f32>(m).expect("room"));
    let norm = ops::Norm { w: &w, eps: 1e-5 };
    let both = gpu.zeros::<f32>(m * 3072).expect("room");
    let half = gpu.zeros::<f32>(m * 1536).expect("room");
    let mut line = format!("operators, {m} rows:");
    let mut show = |name: &str, s: f64| line += &format!(" {name} {:.1} us", s * 1e6);
    show("add", seconds(200, || ops::add_into(gpu, &x, &y).expect("it runs"), wait));
    show(
        "norm",
        seconds(
            200,
            || {
                ops::rms_norm(gpu, x.rows(h), None, norm, y.rows(h), &inverse, None)
                    .expect("it runs")
            },
            wait,
        ),
    );
    show(
        "swiglu",
        seconds(
            200,
            || ops::swiglu(gpu, both.rows(3072), half.rows(1536), None).expect("it runs"),
            wait,
        ),
    );
    let asked = seconds(200, || ops::add_into(gpu, &x, &y).expect("it runs"), || {});
    wait();
    show("asking for add", asked);
    println!("{line}");
}

/// Steps of decoding for `count` sequences with a context of 128, each with an adapter of its own.
fn decode_rate(
    gpu: &Arc<Gpu>,
    model: &Arc<GpuModel>,
    adapters: &[Arc<GpuAdapter>],
    count: usize,
) -> f64 {
    let slots = (0..count).map(|i| adapters.get(i).cloned()).collect();
    let table = Arc::new(AdapterTable::new(model, slots).expect("room"));
    let (context, steps) = (128, 32);
    let mut pool = KvPool::new(model, model.config.layers, count * 3).expect("room");
    let pages: Vec<Vec<u32>> =
        (0..count).map(|_| pool.take(context + steps).expect("room")).collect();
    let pool = Arc::new(pool);
    let prompt = tokens(1, context, model.config.vocab);
    let pieces: Vec<Piece> = pages
        .iter()
        .enumerate()
        .map(|(slot, pages)| Piece { tokens: &prompt, first: 0, pages, slot })
        .collect();
    let batch = Batch::new(gpu, &pieces).expect("room");
    model.forward(&batch, &pool, &table, None).expect("it runs");
    let on_card: Vec<(&[u32], usize)> =
        pages.iter().enumerate().map(|(slot, pages)| (&pages[..], slot)).collect();
    let decoder = Decoder::new(model.clone(), pool, table, &on_card).expect("it is recorded");
    // Whoever decodes needs something of a step before the next.
    let step = |i: usize| {
        let at = vec![(context + i) as u32; count];
        let logits = decoder.step(&vec![prompt[i]; count], &at).expect("it runs");
        logits.range(0, model.config.vocab).expect("it runs")
    };
    step(0);
    let start = Instant::now();
    (1..steps).for_each(|i| drop(step(i)));
    ((steps - 1) * count) as f64 / start.elapsed().as_secs_f64()
}

/// Decoding for batches of different sizes, with and without adapters.
pub fn decoding(gpu: &Arc<Gpu>, smol: &Weights, precision: &str) {
    let model = Arc::new(GpuModel::upload(gpu, smol).expect("room"));
    let adapters: Vec<Arc<GpuAdapter>> = (0..32)
        .map(|i| {
            let adapter =
                random_adapter(&smol.config, &[Target::Q, Target::K, Target::V, Target::O], 8, i);
            Arc::new(GpuAdapter::upload(gpu, &adapter).expect("room"))
        })
        .collect();
    for count in [1, 8, 32, 128] {
        let base = decode_rate(gpu, &model, &[], count);
        let same: Vec<_> = (0..count).map(|_| adapters[0].clone()).collect();
        let different: Vec<_> = (0..count).map(|i| adapters[i % 32].clone()).collect();
        let one = decode_rate(gpu, &model, &same, count);
        let many = decode_rate(gpu, &model, &different, count);
        println!(
            "decode in {precision}, batch {count}: base {base:.0} tokens/s, one adapter {one:.0}, up to 32 adapters {many:.0}"
        );
    }
}

fn generating(gpu: &Arc<Gpu>, smol: &Weights) {
    let request =
        Request { prompt: tokens(1, 64, 49_152), max_tokens: 64, sampler: GREEDY, stop: vec![] };
    let rate = || {
        let start = Instant::now();
        generate(smol, None, &request, &mut |_, _| true).expect("it runs");
        64.0 / start.elapsed().as_secs_f64()
    };
    let cpu = rate();
    smol.use_gpu(gpu).expect("room");
    let card = (rate(), rate()).1;
    smol.on_gpu.set(None);
    println!("generate with trace, prompt 64 + 64: card {card:.0} tokens/s, CPU {cpu:.0} tokens/s");
}

fn training(gpu: &Arc<Gpu>, smol: &Weights) {
    let config = train_config(&Target::ALL, 8, 16);
    let rate = |count: usize, length: usize| {
        let samples = samples(smol.config.vocab, count, length);
        let total: usize = samples.iter().map(|s| 2 * s.tokens.len()).sum();
        let start = Instant::now();
        train_lora(smol, &samples, &config, &mut |_| true).expect("it trains");
        total as f64 / start.elapsed().as_secs_f64()
    };
    let cpu = rate(8, 125);
    smol.use_gpu(gpu).expect("room");
    rate(16, 125);
    let card = rate(160, 125);
    smol.on_gpu.set(None);
    println!(
        "LoRA r8 all linears, batch 16 of 125 to 131 tokens: card {card:.0} tokens/s, CPU (batch 8) {cpu:.0} tokens/s"
    );
}
