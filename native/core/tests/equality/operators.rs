//! Every kernel against its scalar twin, on shapes that do not fit its tiles.

use super::{Tally, noise};
use openledger_core::attribution::gemm::{Strided, multiply};
use openledger_core::attribution::score::raw_scores;
use openledger_core::attribution::simd::Level;
use openledger_core::cuda::device::Result;
use openledger_core::cuda::memory::{Buffer, Gpu};
use openledger_core::cuda::ops::{self, AdamW, Plan, Samples, Side};
use openledger_core::gemm::int8::{self, PackedI8, Quantised};
use openledger_core::gemm::{BLOCK, MatRef, Packed, gemm};
use openledger_core::math::philox::{Stream, word};
use openledger_core::ops::loss::{cross_entropy_gradient, draw};
use openledger_core::ops::rope::RopeTable;
use openledger_core::ops::{elementwise, norm};
use openledger_core::train::OptimizerKind;
use openledger_core::train::optimizer::{Clock, Optimizer, Update, length};
use std::sync::Arc;

/// m, n, k.
pub const SHAPES: [(usize, usize, usize); 12] = [
    (1, 1, 1),
    (1, 33, 300),
    (2, 130, 256),
    (3, 17, 257),
    (8, 64, 512),
    (9, 48, 600),
    (13, 40, 513),
    (16, 65, 31),
    (33, 16, 1000),
    (70, 129, 255),
    (129, 7, 40),
    (130, 140, 290),
];

/// Wider shapes, for a card.
pub const LARGE_SHAPES: [(usize, usize, usize); 6] = [
    (1, 49_152, 576),
    (32, 960, 576),
    (7, 576, 1536),
    (512, 3072, 576),
    (2048, 576, 1536),
    (1000, 1537, 777),
];

pub fn all(gpu: &Arc<Gpu>, large: bool, tally: &mut Tally) -> Result<()> {
    let mut shapes = SHAPES.to_vec();
    if large {
        shapes.extend(LARGE_SHAPES);
    }
    for shape in shapes {
        products(gpu, shape, tally)?;
    }
    zero_padding(gpu, tally)?;
    attribution_products(gpu, tally)?;
    sample_products(gpu, tally)?;
    integers(gpu, large, tally)?;
    norms(gpu, tally)?;
    rotation(gpu, tally)?;
    gates(gpu, large, tally)?;
    softmax(gpu, tally)?;
    optimisers(gpu, tally)
}

fn side(matrix: ops::Matrix, transposed: bool) -> Side {
    Side { matrix, transposed }
}

fn plan(tile: &'static str) -> Plan {
    Plan { tile: Some(tile), ..Plan::default() }
}

/// A B with either side read as it lies or transposed, by every tile that can.
fn products(gpu: &Arc<Gpu>, (m, n, k): (usize, usize, usize), tally: &mut Tally) -> Result<()> {
    let (a, b) = (noise(1, m * k), noise(2, k * n));
    let mut want = vec![0.0; m * n];
    let packed = Packed::from_rows(&b, k, n);
    gemm(MatRef::rows(&a, k), m, packed.view(), &mut want, n, BLOCK);
    let transpose = |x: &[f32], rows: usize, cols: usize| -> Vec<f32> {
        (0..rows * cols).map(|i| x[i % rows * cols + i / rows]).collect()
    };
    let (a_t, b_t) = (transpose(&a, m, k), transpose(&b, k, n));
    let (a, b, a_t, b_t) = (gpu.upload(&a)?, gpu.upload(&b)?, gpu.upload(&a_t)?, gpu.upload(&b_t)?);
    for tile in ops::tiles() {
        for (left, right) in [(false, true), (false, false), (true, false), (true, true)] {
            if tile.starts_with("gemm_row") && (left, right) != (false, true) {
                continue;
            }
            let l = if left { a_t.rows(m) } else { a.rows(k) };
            let r = if right { b_t.rows(k) } else { b.rows(n) };
            for split in [false, true] {
                let plan = Plan { split: Some(split), ..plan(tile) };
                let c: Buffer<f32> = gpu.empty(m * n)?;
                ops::product(gpu, side(l, left), side(r, right), c.rows(n), plan)?;
                let name = format!("{tile} {m}x{n}x{k} {left} {right} {split}");
                tally.floats(&name, &c.to_vec()?, &want);
            }
        }
    }
    let c: Buffer<f32> = gpu.empty(m * n)?;
    ops::apply(gpu, a.rows(k), b_t.rows(k), c.rows(n))?;
    tally.floats(&format!("apply {m}x{n}x{k}"), &c.to_vec()?, &want);
    Ok(())
}

/// Sums of products that underflow to -0 keep their sign: nothing is added beyond the sum's end.
fn zero_padding(gpu: &Arc<Gpu>, tally: &mut Tally) -> Result<()> {
    let (m, n, k) = (5, 6, 3);
    let a = vec![-1e-30f32; m * k];
    let b = vec![1e-30f32; n * k];
    let mut want = vec![0.0; m * n];
    gemm(MatRef::rows(&a, k), m, Packed::from_weight(&b, n, k).view(), &mut want, n, BLOCK);
    assert!(want.iter().all(|x| x.to_bits() == (-0.0f32).to_bits()), "the twin keeps -0");
    let (a, b) = (gpu.upload(&a)?, gpu.upload(&b)?);
    for tile in ops::tiles() {
        let c: Buffer<f32> = gpu.empty(m * n)?;
        ops::product(gpu, side(a.rows(k), false), side(b.rows(k), true), c.rows(n), plan(tile))?;
        tally.floats(&format!("{tile} of -0"), &c.to_vec()?, &want);
    }
    Ok(())
}

/// The products of attribution start from +0; several of one shape at once.
fn attribution_products(gpu: &Arc<Gpu>, tally: &mut Tally) -> Result<()> {
    let (batch, m, n, k) = (3, 10, 70, 270);
    let (a, b) = (noise(3, batch * k * m), noise(4, batch * k * n));
    let mut want = vec![0.0; batch * m * n];
    for z in 0..batch {
        let left = Strided { data: &a[z * k * m..], row: 1, col: m };
        multiply(
            Level::portable(),
            left,
            &b[z * k * n..],
            k,
            n,
            &mut want[z * m * n..(z + 1) * m * n],
        );
    }
    let (a, b) = (gpu.upload(&a)?, gpu.upload(&b)?);
    let c: Buffer<f32> = gpu.empty(batch * m * n)?;
    let plan = Plan { from_zero: true, batch, apart: [k * m, k * n, m * n], ..Plan::default() };
    let (left, right) = (side(a.matrix(0, k, m, m), true), side(b.matrix(0, k, n, n), false));
    ops::product(gpu, left, right, c.matrix(0, m, n, n), plan)?;
    tally.floats("attribution products", &c.to_vec()?, &want);
    Ok(())
}

/// Per-sample gradients, one by one and summed in sample order.
fn sample_products(gpu: &Arc<Gpu>, tally: &mut Tally) -> Result<()> {
    let starts = [0usize, 5, 5 + 300, 306, 320];
    let rows = starts[4];
    for (out, inn) in [(8, 70), (40, 8), (66, 65), (1, 1)] {
        let (s, a) = (noise(5, rows * out), noise(6, rows * inn));
        let (mut sum, mut each) = (vec![0.5f32; out * inn], vec![]);
        for pair in starts.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let (s, a) = (&s[from * out..to * out], &a[from * inn..to * inn]);
            let mut one = vec![0.0; out * inn];
            openledger_core::train::lora::outer(s, a, to - from, out, inn, &mut one);
            elementwise::add_into(&mut sum, &one);
            let left = Strided { data: s, row: 1, col: out };
            multiply(Level::portable(), left, a, to - from, inn, &mut one);
            each.extend(one);
        }
        let (s, a) = (gpu.upload(&s)?, gpu.upload(&a)?);
        let bounds = gpu.upload(&starts.map(|x| x as u32))?;
        let c = gpu.upload(&vec![0.5f32; out * inn])?;
        ops::sample_products(gpu, s.rows(out), a.rows(inn), &bounds, c.rows(inn), Samples::Sum)?;
        tally.floats(&format!("sum of samples {out}x{inn}"), &c.to_vec()?, &sum);
        let c: Buffer<f32> = gpu.empty(4 * out * inn)?;
        let first = c.matrix(0, out, inn, inn);
        ops::sample_products(
            gpu,
            s.rows(out),
            a.rows(inn),
            &bounds,
            first,
            Samples::Each(out * inn),
        )?;
        tally.floats(&format!("each sample {out}x{inn}"), &c.to_vec()?, &each);
    }
    Ok(())
}

fn bytes(seed: u64, n: usize) -> Vec<i8> {
    (0..n as u64).map(|i| word(seed, Stream::BaseInit, 3, i) as i8).collect()
}

fn integers(gpu: &Arc<Gpu>, large: bool, tally: &mut Tally) -> Result<()> {
    let mut shapes = vec![(1, 1, 1), (3, 70, 67), (12, 40, 64), (30, 20, 500), (66, 130, 129)];
    if large {
        shapes.extend([(8, 960, 1536), (32, 49_152, 576), (61, 576, 576), (512, 3072, 576)]);
    }
    for (m, n, k) in shapes {
        let (a, b) = (bytes(1, m * k), bytes(2, n * k));
        let want = int8::multiply(&a, &b, k);
        let width = k.next_multiple_of(int8::BLOCK);
        let padded = [&a, &b].map(|x| gpu.upload(&ops::padded_rows(x, k)));
        let [a, b] = padded;
        let (a, b) = (a?, b?);
        let c: Buffer<i32> = gpu.empty(m * n)?;
        ops::product_i8(gpu, &a, &b, &c, width)?;
        tally.exact(&format!("int8 {m}x{n}x{k}"), &c.to_vec()?, &want);
        let mut x = noise(3, m * k);
        // Rows of zeros, of numbers too small for a scale, and of none at all have scales of their own.
        for (row, value) in [(1, 0.0), (2, 1e-44), (5, f32::NAN), (7, f32::INFINITY)] {
            x.iter_mut().skip(row * k).take(k / 2 + 1).for_each(|x| *x = value);
        }
        let w = PackedI8::from_weight(&noise(4, n * k), n, k);
        let mut want = vec![vec![0f32; m * n]];
        int8::apply(&Quantised::rows_of(&x, m), &[&w], &mut want);
        let y: Buffer<f32> = gpu.empty(m * n)?;
        let on_card = ops::WeightI8::upload(gpu, &[&w])?;
        let x = gpu.upload(&x)?;
        ops::apply_i8(gpu, x.rows(k), &on_card, y.rows(n))?;
        tally.floats(&format!("int8 map {m}x{n}x{k}"), &y.to_vec()?, &want[0]);
        let rows = ops::RowsI8::quantise(gpu, x.rows(k))?;
        for tile in ops::tiles_i8() {
            let y: Buffer<f32> = gpu.empty(m * n)?;
            ops::multiply_i8(gpu, &rows, &on_card, y.rows(n), Some(tile))?;
            tally.floats(&format!("{tile} {m}x{n}x{k}"), &y.to_vec()?, &want[0]);
        }
    }
    let (count, k) = (43, 300);
    let sums: Vec<i32> =
        (0..(count * k) as u64).map(|i| word(3, Stream::BaseInit, 3, i) as i32).collect();
    let query = bytes(4, k);
    let out: Buffer<i64> = gpu.empty(count)?;
    ops::raw_scores(gpu, &gpu.upload(&sums)?, &gpu.upload(&query)?, &out)?;
    tally.exact("raw scores", &out.to_vec()?, &raw_scores(Level::portable(), &sums, &query));
    Ok(())
}

fn norms(gpu: &Arc<Gpu>, tally: &mut Tally) -> Result<()> {
    for (rows, h) in [(1, 3), (5, 256), (3, 576), (2, 1000), (1, 16_384)] {
        let (x, w, dy, before) =
            (noise(1, rows * h), noise(2, h), noise(3, rows * h), noise(4, rows * h));
        let (mut out, mut inverse, mut dx) = (vec![0.0; rows * h], vec![0.0; rows], before.clone());
        norm::rms_norm(&x, &w, 1e-5, &mut out, &mut inverse);
        norm::rms_norm_backward(&dy, &x, &w, &inverse, &mut dx);
        let (x, w, dy, got_dx) =
            (gpu.upload(&x)?, gpu.upload(&w)?, gpu.upload(&dy)?, gpu.upload(&before)?);
        let (got, got_inverse) = (gpu.empty(rows * h)?, gpu.empty(rows)?);
        let norm = ops::Norm { w: &w, eps: 1e-5 };
        ops::rms_norm(gpu, x.rows(h), None, norm, got.rows(h), &got_inverse, None)?;
        ops::rms_norm_backward(gpu, dy.rows(h), x.rows(h), &w, &got_inverse, got_dx.rows(h))?;
        tally.floats(&format!("norm {rows}x{h}"), &got.to_vec()?, &out);
        tally.floats(&format!("norm inverse {rows}x{h}"), &got_inverse.to_vec()?, &inverse);
        tally.floats(&format!("norm backward {rows}x{h}"), &got_dx.to_vec()?, &dx);

        let (stream, added) = (noise(1, rows * h), noise(5, rows * h));
        let (got_x, got_added) = (gpu.upload(&stream)?, gpu.upload(&added)?);
        let mut sum = stream;
        elementwise::add_into(&mut sum, &added);
        norm::rms_norm(&sum, &noise(2, h), 1e-5, &mut out, &mut inverse);
        ops::rms_norm(gpu, got_x.rows(h), Some(&got_added), norm, got.rows(h), &got_inverse, None)?;
        tally.floats(&format!("sum before norm {rows}x{h}"), &got_x.to_vec()?, &sum);
        tally.floats(&format!("norm of sum {rows}x{h}"), &got.to_vec()?, &out);
    }
    Ok(())
}

fn rotation(gpu: &Arc<Gpu>, tally: &mut Tally) -> Result<()> {
    for (rows, heads, dim, first) in [(1, 1, 2, 0), (7, 3, 64, 5), (3, 5, 6, 90)] {
        let table = RopeTable::new(100, dim, 10_000.0);
        let x = noise(1, rows * heads * dim);
        let (mut want, mut back) = (x.clone(), x.clone());
        table.apply(&mut want, heads, first);
        table.apply_inverse(&mut back, heads, first);
        let (cos, sin) = table.tables();
        let device = ops::Rotation { cos: gpu.upload(cos)?, sin: gpu.upload(sin)?, half: dim / 2 };
        let positions = gpu.upload(&(0..rows).map(|r| (first + r) as u32).collect::<Vec<_>>())?;
        for (sign, want) in [(1.0, want), (-1.0, back)] {
            let got = gpu.upload(&x)?;
            ops::rope(gpu, got.rows(heads * dim), &positions, &device, sign)?;
            tally.floats(&format!("rope {rows}x{heads}x{dim} {sign}"), &got.to_vec()?, &want);
        }
    }
    Ok(())
}

/// SwiGLU over the whole range of exp, and the small operators.
pub fn gates(gpu: &Arc<Gpu>, large: bool, tally: &mut Tally) -> Result<()> {
    let ffn = if large { 1 << 20 } else { 5000 };
    let gate: Vec<f32> = (0..ffn).map(|i| (i as f32 / ffn as f32 - 0.5) * 260.0).collect();
    let (up, d) = (noise(2, ffn), noise(3, ffn));
    let mut out = vec![0.0; ffn];
    elementwise::silu_mul(&gate, &up, &mut out);
    let (mut d_gate, mut d_up) = (vec![0.0; ffn], vec![0.0; ffn]);
    elementwise::silu_mul_backward(&gate, &up, &d, &mut d_gate, &mut d_up);
    let both = gpu.upload(&[gate.clone(), up.clone()].concat())?;
    let (got, got_d) = (gpu.empty(ffn)?, gpu.empty(2 * ffn)?);
    ops::swiglu(gpu, both.rows(2 * ffn), got.rows(ffn), None)?;
    ops::swiglu_backward(gpu, both.rows(2 * ffn), gpu.upload(&d)?.rows(ffn), got_d.rows(2 * ffn))?;
    tally.floats("swiglu", &got.to_vec()?, &out);
    tally.floats("swiglu backward", &got_d.to_vec()?, &[d_gate, d_up].concat());

    let (mut sum, mut scaled) = (up.clone(), up.clone());
    elementwise::add_into(&mut sum, &d);
    elementwise::scale(&mut scaled, 0.37);
    let (got, part) = (gpu.upload(&up)?, gpu.upload(&d)?);
    ops::add_into(gpu, &got, &part)?;
    tally.floats("add", &got.to_vec()?, &sum);
    let (from, got) = (gpu.upload(&up)?, gpu.empty(ffn)?);
    ops::scale(gpu, &from, &got, 0.37)?;
    tally.floats("scale", &got.to_vec()?, &scaled);
    Ok(())
}

fn softmax(gpu: &Arc<Gpu>, tally: &mut Tally) -> Result<()> {
    for (rows, vocab) in [(1, 1), (3, 50), (2, 2048), (5, 49_152)] {
        let logits: Vec<f32> = noise(1, rows * vocab).iter().map(|x| x * 12.0).collect();
        let u: Vec<f32> = noise(2, rows).iter().map(|x| x.abs()).collect();
        let labels: Vec<u32> = (0..rows).map(|r| (r * 31 % vocab) as u32).collect();
        let (mut want, mut losses, mut drawn) = (logits.clone(), vec![], vec![]);
        for (r, row) in want.chunks_exact_mut(vocab).enumerate() {
            let choose = |p: &[f32]| {
                drawn.push(draw(p, u[r]) as u32);
                labels[r] as usize
            };
            losses.push(cross_entropy_gradient(row, choose));
        }
        let got = gpu.upload(&logits)?;
        let (labels, loss) = (gpu.upload(&labels)?, gpu.empty::<f32>(rows)?);
        let (u, picked) = (gpu.upload(&u)?, gpu.empty::<u32>(rows)?);
        ops::softmax_loss(gpu, got.rows(vocab), labels.at(0), loss.at(0))?;
        ops::draw_labels(gpu, got.rows(vocab), u.at(0), picked.at(0))?;
        ops::subtract_one_hot(gpu, got.rows(vocab), labels.at(0))?;
        tally.floats(&format!("cross-entropy gradient {rows}x{vocab}"), &got.to_vec()?, &want);
        tally.floats(&format!("cross-entropy {rows}x{vocab}"), &loss.to_vec()?, &losses);
        tally.exact(&format!("drawn labels {rows}x{vocab}"), &picked.to_vec()?, &drawn);
    }
    Ok(())
}

fn optimisers(gpu: &Arc<Gpu>, tally: &mut Tally) -> Result<()> {
    let n = 1000;
    for kind in [OptimizerKind::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8 }, OptimizerKind::Sgd] {
        let (mut optimizer, mut clock) = (Optimizer::new(kind, n), Clock::new(kind));
        let mut p = noise(1, n);
        let (got, m, v) = (gpu.upload(&p)?, gpu.zeros(n)?, gpu.zeros(n)?);
        for step in 0..4 {
            let g = noise(10 + step, n);
            optimizer.step(&mut p, &g, 0.01, &[(n, 0.1)]);
            let g = gpu.upload(&g)?;
            match clock.tick() {
                Update::Sgd => ops::sgd(gpu, &got, &g, 0.01, 0.1)?,
                Update::AdamW { beta, correction, eps } => {
                    let step = AdamW { beta, correction, eps, rate: 0.01, decay: 0.1 };
                    ops::adamw(gpu, &got, &g, &m, &v, step)?;
                }
            }
        }
        tally.floats(&format!("{kind:?}"), &got.to_vec()?, &p);
        let sums = gpu.empty::<f32>(n.div_ceil(256))?;
        ops::squares(gpu, &got, &sums)?;
        let total: f64 = sums.to_vec()?.iter().map(|s| f64::from(*s)).sum();
        tally.exact("length", &[total.sqrt()], &[length(&p)]);
    }
    Ok(())
}
