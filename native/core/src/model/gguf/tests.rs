use super::blocks::Kind;
use super::writer::{Raw, Stored, encode, file, float, int, ints, metadata, stored, text, texts};
use super::*;
use crate::math::philox::{Stream, uniform};
use crate::model::testing::{random_weights, tiny_config, tokens};
use crate::model::{KvCache, Weights};
use std::io::Cursor;

fn open(bytes: &[u8]) -> Result<Gguf<Cursor<&[u8]>>> {
    Gguf::parse("m.gguf", Cursor::new(bytes), bytes.len() as u64)
}

fn model(bytes: &[u8]) -> Result<Model> {
    open(bytes)?.model()
}

/// The tiny model with widths that quantised blocks fit.
fn config() -> LlamaConfig {
    LlamaConfig { hidden: 32, heads: 4, kv_heads: 2, head_dim: 8, ffn: 64, ..tiny_config() }
}

fn logits(weights: &Weights) -> Vec<u32> {
    let tokens = tokens(3, 17, weights.config.vocab);
    let mut cache = KvCache::new(weights, tokens.len());
    let hidden = weights.forward(None, &tokens, &mut cache, None);
    weights.logits(&hidden).iter().map(|x| x.to_bits()).collect()
}

fn bytes(n: usize, seed: u64) -> Vec<u8> {
    (0..n as u64).map(|i| (256.0 * uniform(seed, Stream::BaseInit, 1, i)) as u8).collect()
}

/// A slow twin of the decoder, one number at a time, in f64 with one rounding at the end.
fn slow(kind: Kind, data: &[u8], i: usize) -> f32 {
    let (numbers, size) = kind.block();
    let block = &data[i / numbers * size..][..size];
    let j = i % numbers;
    let f16 = |at: usize| f64::from(half_value(u16::from_le_bytes([block[at], block[at + 1]])));
    let nibble = |from: usize| {
        let byte = block[from + j % 16];
        f64::from(if j < 16 { byte % 16 } else { byte / 16 })
    };
    let value = match kind {
        Kind::F32 => {
            return f32::from_bits(u32::from_le_bytes([block[0], block[1], block[2], block[3]]));
        }
        Kind::Bf16 => {
            return f32::from_bits(u32::from(u16::from_le_bytes([block[0], block[1]])) << 16);
        }
        Kind::F16 => f16(0),
        Kind::Q8_0 => f16(0) * f64::from(i8::from_le_bytes([block[2 + j]])),
        Kind::Q4_0 => f16(0) * (nibble(2) - 8.0),
        Kind::Q4_1 => f16(0) * nibble(4) + f16(2),
    };
    value as f32
}

/// IEEE binary16 from its fields.
fn half_value(bits: u16) -> f32 {
    let (sign, exponent, fraction) =
        (bits >> 15, i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1024.0 + fraction) * 2f32.powi(e - 25),
    };
    if sign == 1 { -size } else { size }
}

#[test]
fn every_stored_kind_is_decoded_to_the_bits_of_its_slow_twin() {
    for kind in Kind::ALL {
        let (numbers, size) = kind.block();
        let data = bytes(size * 500, 11 + u64::from(kind.id()));
        let fast = kind.decode(&data);
        assert_eq!(fast.len(), 500 * numbers);
        for (i, x) in fast.iter().enumerate() {
            let y = slow(kind, &data, i);
            assert!(
                x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()),
                "{kind:?} {i}: {x} {y}"
            );
        }
    }
}

#[test]
fn a_file_of_f32_gives_the_bits_of_the_model_it_was_made_from() {
    for tied in [true, false] {
        let weights = random_weights(LlamaConfig { tied, ..config() }, 5);
        let read = model(&file(&metadata(&weights.config), &stored(&weights, Kind::F32))).unwrap();
        assert_eq!(read.weights.config, weights.config);
        assert_eq!(read.weights.tensors(), weights.tensors());
        assert_eq!(logits(&read.weights), logits(&weights));
        assert!(read.text.is_none() && read.chat_template.is_none());
    }
}

#[test]
fn quantised_files_are_near_the_weights_they_were_made_from() {
    let weights = random_weights(config(), 5);
    for (kind, error) in [
        (Kind::F16, 2e-4),
        (Kind::Bf16, 2e-3),
        (Kind::Q8_0, 2e-3),
        (Kind::Q4_0, 3e-2),
        (Kind::Q4_1, 3e-2),
    ] {
        let read = model(&file(&metadata(&weights.config), &stored(&weights, kind))).unwrap();
        for ((name, _, a), (_, _, b)) in read.weights.tensors().iter().zip(weights.tensors()) {
            let worst = a.iter().zip(&b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            assert!(worst <= error, "{kind:?} {name}: {worst}");
        }
    }
}

fn with_tokenizer(config: &LlamaConfig) -> Vec<(&'static str, Raw)> {
    let mut all: Vec<String> =
        ["<|end|>", "a", "b", "1", "2", "ab", "12", "\u{120}"].map(String::from).into();
    all.extend((all.len()..config.vocab).map(|i| format!("unused{i}")));
    let mut kinds = vec![1; all.len()];
    kinds[0] = 3;
    let mut metadata = metadata(config);
    metadata.extend([
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("smollm")),
        ("tokenizer.ggml.tokens", texts(&all)),
        ("tokenizer.ggml.token_type", ints(&kinds)),
        ("tokenizer.ggml.merges", texts(&["a b".into(), "1 2".into()])),
        ("tokenizer.chat_template", text("{{ messages }}")),
    ]);
    metadata
}

#[test]
fn the_tokenizer_and_the_chat_template_come_out_of_the_file() {
    let weights = random_weights(config(), 5);
    let read =
        model(&file(&with_tokenizer(&weights.config), &stored(&weights, Kind::F16))).unwrap();
    let text = read.text.expect("a tokenizer");
    // Merges apply to letters, never over digits; a special token is one id.
    assert_eq!(text.encode("ab 12<|end|>").unwrap(), [5, 7, 3, 4, 0]);
    assert_eq!(text.decode(&[5, 7, 3, 4, 0], false).unwrap(), "ab 12");
    assert_eq!(read.chat_template.as_deref(), Some("{{ messages }}"));
}

type Spoil<'a> = &'a dyn Fn(&mut Vec<(&str, Raw)>, &mut Vec<Stored>);

#[test]
fn a_defect_is_refused_by_file_tensor_and_limit() {
    let weights = random_weights(config(), 5);
    let good = || (with_tokenizer(&weights.config), stored(&weights, Kind::Q8_0));
    let refused = |spoil: Spoil, code, says: &str| {
        let (mut metadata, mut tensors) = good();
        spoil(&mut metadata, &mut tensors);
        let error = model(&file(&metadata, &tensors)).err().expect(says);
        assert!(error.message.contains(says), "{} should say: {says}", error.message);
        assert!(error.message.starts_with("m.gguf"), "{}", error.message);
        assert_eq!(error.code, code, "{}", error.message);
    };
    use ErrorCode::{BadModel, Unsupported};
    let set = |key: &'static str, value: fn() -> Raw| {
        move |m: &mut Vec<(&str, Raw)>, _: &mut Vec<Stored>| {
            m.retain(|(k, _)| *k != key);
            m.push((key, value()));
        }
    };
    refused(&|_, t| t[3].kind = 12, Unsupported, "blk.0.attn_v.weight has the type 12");
    refused(&|_, t| t[3].dims[0] = 33, BadModel, "rows of 33, not a multiple of 32");
    refused(&|_, t| t[3].dims = vec![], BadModel, "0 dimensions");
    refused(&|_, t| t[3].dims = vec![32; 5], BadModel, "5 dimensions");
    refused(
        &|_, t| t[3].dims[1] = u64::MAX,
        BadModel,
        "a dimension of tensor blk.0.attn_v.weight is",
    );
    refused(&|_, t| t[3].dims = vec![4096; 4], BadModel, "is larger than the file");
    refused(&|_, t| t[3].dims = vec![16, 32], BadModel, "not a multiple of 32");
    refused(&|_, t| t[3].dims = vec![32, 8], BadModel, "has shape [8, 32], expected [16, 32]");
    refused(&|_, t| t[3].at = Some(0), BadModel, "overlaps");
    refused(&|_, t| t[3].at = Some(7), BadModel, "not a multiple of 32");
    refused(&|_, t| t[3].at = Some(1 << 40), BadModel, "bytes at 1099511627776 of the data");
    refused(&|_, t| t[3].at = Some(u64::MAX - 31), BadModel, "the file has");
    refused(
        &|_, t| t[3].name = "blk.0.attn_q.bias".into(),
        Unsupported,
        "not part of a plain llama",
    );
    refused(&|_, t| t[3].name = "blk.9.attn_v.weight".into(), Unsupported, "blk.9.attn_v.weight");
    refused(&|_, t| t[3].name = t[4].name.clone(), BadModel, "there twice");
    refused(&|_, t| drop(t.remove(3)), BadModel, "tensor blk.0.attn_v.weight is missing");
    refused(&|_, t| t[3].bytes[1] = 0x7c, BadModel, "attn_v.weight holds");
    let nan = |_: &mut Vec<(&str, Raw)>, t: &mut Vec<Stored>| {
        let norm = t.iter_mut().find(|t| t.name == "output_norm.weight").unwrap();
        norm.bytes = encode(Kind::F32, &[f32::NAN; 32]);
    };
    refused(&nan, BadModel, "output_norm.weight holds NaN at index 0");
    refused(&set("general.architecture", || text("mamba")), Unsupported, "only llama");
    refused(&set("llama.block_count", || int(0)), BadModel, "block_count is 0, must be 1..=256");
    refused(&set("llama.block_count", || float(2.0)), BadModel, "not an integer");
    refused(&set("llama.attention.head_count_kv", || int(3)), BadModel, "not a multiple of");
    refused(&set("llama.rope.dimension_count", || int(4)), Unsupported, "only the head size 8");
    refused(&set("llama.rope.scaling.type", || text("yarn")), Unsupported, "rope scaling");
    refused(&set("llama.rope.freq_base", || float(f32::NAN)), BadModel, "rope_theta NaN");
    refused(&set("llama.expert_count", || int(8)), Unsupported, "llama.expert_count");
    refused(&set("llama.vocab_size", || int(49)), BadModel, "llama.vocab_size differs");
    refused(&set("general.alignment", || int(0)), BadModel, "general.alignment is Int(0)");
    refused(&set("x", || Raw(77, vec![])), BadModel, "x has the unknown type 77");
    refused(
        &set("x", || Raw(9, [9u32.to_le_bytes(), [0; 4], [0; 4]].concat())),
        BadModel,
        "array of the unknown type 9",
    );
    refused(&set("x", || Raw(7, vec![2])), BadModel, "x is a truth value of 2");
    refused(
        &set("x", || Raw(8, [&2u64.to_le_bytes()[..], &[0xff, 0xfe]].concat())),
        BadModel,
        "not UTF-8",
    );
    refused(&set("x", || Raw(8, u64::MAX.to_le_bytes().to_vec())), BadModel, "the length of x is");
    let huge = || Raw(9, [&4u32.to_le_bytes()[..], &(1u64 << 20).to_le_bytes()].concat());
    refused(&set("x", huge), BadModel, "is truncated: x takes 4 bytes");
    refused(
        &|m, _| m.push(("llama.block_count", int(2))),
        BadModel,
        "llama.block_count is there twice",
    );
    refused(
        &set("tokenizer.ggml.model", || text("llama")),
        Unsupported,
        "tokenizer llama is not supported",
    );
    refused(&set("tokenizer.ggml.pre", || text("other")), Unsupported, "tokenizer.ggml.pre other");
    refused(
        &set("tokenizer.ggml.merges", || texts(&["q z".into()])),
        BadModel,
        "makes no tokenizer",
    );
    refused(&set("tokenizer.ggml.merges", || int(1)), BadModel, "merges is missing or no list");
    refused(&set("tokenizer.ggml.token_type", || ints(&[1])), BadModel, "one integer per token");
    refused(
        &set("tokenizer.ggml.tokens", || texts(&["a".into(), "a".into()])),
        BadModel,
        "tokens 0 and 1 are both",
    );
}

#[test]
fn a_file_cut_anywhere_is_refused_and_a_flipped_bit_never_panics() {
    let weights = random_weights(LlamaConfig { layers: 1, ..config() }, 5);
    let whole = file(&with_tokenizer(&weights.config), &stored(&weights, Kind::Q4_1));
    for length in (0..whole.len()).step_by(13) {
        let error = model(&whole[..length]).err().expect("a cut file is refused");
        assert!(error.message.starts_with("m.gguf"), "{}", error.message);
    }
    for i in 0..3000u64 {
        let mut spoilt = whole.clone();
        let at = (uniform(1, Stream::BaseInit, 2, i) * 4000.0) as usize;
        spoilt[at] ^= 1 << (i % 8);
        // Read or refused: both are fine.
        let _ = model(&spoilt);
    }
}

#[test]
fn what_is_no_gguf_is_refused() {
    for (bytes, says) in [
        (&b"GGU"[..], "is truncated: the magic number"),
        (b"PK\x03\x04....", "is not a GGUF file"),
        (b"GGUF\x00\x00\x00\x03", "big-endian"),
        (b"GGUF\x01\x00\x00\x00", "version 1"),
        (
            b"GGUF\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff",
            "the number of tensors is 18446744073709551615, at most 4096",
        ),
    ] {
        let error = model(bytes).err().expect(says);
        assert!(error.message.contains(says), "{}", error.message);
    }
}
