//! The loaders on files that somebody broke on purpose: model directories (config.json, safetensors), PEFT directories and
//! attribution indexes. Known defects are refused by file, tensor and limit. A mutator with a seed changes good files, too;
//! whatever comes, a loader answers with a model or an error, never with a panic. OPENLEDGER_FUZZ is the number of
//! files of each kind (default 400). The coverage-guided fuzzer is `../fuzz`.

use openledger_core::attribution::{AttributionIndex, IndexConfig, build_index};
use openledger_core::gradients::{LoraGradients, Sample};
use openledger_core::lora::Adapter;
use openledger_core::math::philox::{Stream, word};
use openledger_core::model::config::{LlamaConfig, Target};
use openledger_core::model::testing::{random_adapter, random_weights, tiny_config, tokens};
use openledger_core::model::{Model, Text, save};
use openledger_core::tensors::{FILE_BYTES_MAX, Store};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What breaks parsers: edges of number ranges, and words of the formats in places where they do not belong.
const WORDS: [&[u8]; 22] = [
    b"0",
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"[]",
    b"{}",
    b"\"\"",
    b"true",
    b"65536",
    b"4294967296",
    b"9223372036854775807",
    b"18446744073709551615",
    b"1.5",
    b"\xff\xfe",
    b"\0",
    b"\"F32\"",
    b"\"I64\"",
    b"\"data_offsets\":[0,0]",
    b"\"shape\":[]",
    b"[18446744073709551615,2]",
    b",",
];
const NUMBERS: [u64; 8] = [0, 1, 127, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];

struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.drawn += 1;
        (word(self.seed, Stream::LoraInit, 0, self.drawn) as usize) % n.max(1)
    }
}

/// One to four changes.
fn mutate(good: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = good.to_vec();
    // Headers are small beside the numbers: half of the changes aim at them.
    let reach = if random.below(2) == 0 { 2048 } else { usize::MAX };
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len().min(reach));
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at),
            2 => {
                let word = WORDS[random.below(WORDS.len())];
                let end = (at + random.below(12)).min(bytes.len());
                bytes.splice(at..end, word.iter().copied());
            }
            3 if at + 8 <= bytes.len() => {
                let number = NUMBERS[random.below(NUMBERS.len())];
                bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
            }
            4 => {
                let end = (at + random.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => {
                let end = (at + random.below(64)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            // A number in a text becomes another one.
            _ => {
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit).map(|i| at + i)
                {
                    let word = WORDS[random.below(WORDS.len())];
                    bytes.splice(digit..digit + 1, word.iter().copied());
                }
            }
        }
    }
    bytes
}

struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("openledger-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        Self(dir)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn rounds() -> u64 {
    std::env::var("OPENLEDGER_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
}

/// Breaks one of the files at a time and loads; puts the file back.
fn attack(dir: &Path, files: &[&str], load: impl Fn() -> bool) {
    let good: Vec<Vec<u8>> =
        files.iter().map(|f| std::fs::read(dir.join(f)).expect("it is there")).collect();
    assert!(load(), "the files are good before they are broken");
    let mut refused = 0;
    for round in 0..rounds() {
        let mut random = Random { seed: round, drawn: 0 };
        let at = random.below(files.len());
        let path = dir.join(files[at]);
        std::fs::write(&path, mutate(&good[at], &mut random)).expect("written");
        let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&load));
        refused += u64::from(!*end.as_ref().unwrap_or(&true));
        assert!(end.is_ok(), "round {round} with {} made the loader panic", files[at]);
        std::fs::write(&path, &good[at]).expect("put back");
    }
    assert!(refused > rounds() / 3, "only {refused} of {} were refused", rounds());
}

const NORM: &str = "model.norm.weight";
const GATE: &str = "model.layers.0.mlp.gate_proj.weight";

/// A safetensors file with its header changed.
fn with_header(good: &[u8], edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(good[..8].try_into().expect("8 bytes")) as usize;
    let mut header = serde_json::from_slice(&good[8..8 + length]).expect("JSON");
    edit(&mut header);
    let text = header.to_string();
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &good[8 + length..]].concat()
}

/// A safetensors file with the first number of a tensor changed.
fn with_number(good: &[u8], tensor: &str, number: f32) -> Vec<u8> {
    let length = u64::from_le_bytes(good[..8].try_into().expect("8 bytes")) as usize;
    let header: Value = serde_json::from_slice(&good[8..8 + length]).expect("JSON");
    let offset = header[tensor]["data_offsets"][0].as_u64().expect("an offset") as usize;
    let mut bytes = good.to_vec();
    bytes[8 + length + offset..][..4].copy_from_slice(&number.to_le_bytes());
    bytes
}

type Spoil<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// Writes the spoiled file, expects all of `says` in the error, puts the file back.
fn refused(path: &Path, spoil: Spoil, says: &[&str], load: &dyn Fn() -> Option<String>) {
    let good = std::fs::read(path).expect("it is there");
    std::fs::write(path, spoil(&good)).expect("written");
    let error = load().unwrap_or_else(|| panic!("loaded, though {says:?}"));
    assert!(says.iter().all(|part| error.contains(part)), "{error:?} should say {says:?}");
    std::fs::write(path, good).expect("put back");
}

#[test]
fn a_defect_of_a_model_directory_is_named_by_file_tensor_and_limit() {
    let dir = Temporary::new("defects-model");
    save::save(&random_weights(tiny_config(), 1), &dir.0, Store::F32).expect("saved");
    let load = || Model::load(&dir.0).err().map(|e| e.to_string());
    let tensors = dir.0.join("model.safetensors");
    let name = "model.safetensors";
    let cases: &[(Spoil, &[&str])] = &[
        (&|good| good[..good.len() / 2].to_vec(), &[name, "not a safetensors file"]),
        (&|_| vec![], &[name, "not a safetensors file"]),
        (&|good| [&[0xff; 8], &good[8..]].concat(), &[name, "header too large"]),
        (&|good| [&(1u64 << 40).to_le_bytes(), &good[8..]].concat(), &[name, "header too large"]),
        (
            &|good| {
                with_header(good, |h| h[GATE]["data_offsets"] = h[NORM]["data_offsets"].clone())
            },
            &[name, "not a safetensors file"],
        ),
        (
            &|good| with_header(good, |h| h[GATE]["data_offsets"] = json!([0, 1u64 << 50])),
            &[name, "not a safetensors file"],
        ),
        (
            &|good| with_header(good, |h| h[GATE]["shape"] = json!([24, 40])),
            &[GATE, "[24, 40]", "[40, 24]"],
        ),
        (&|good| with_header(good, |h| h[GATE]["dtype"] = json!("I32")), &[name, GATE, "I32"]),
        (&|good| with_number(good, GATE, f32::NAN), &[name, GATE, "holds NaN at index 0"]),
        (&|good| with_number(good, NORM, f32::INFINITY), &[name, NORM, "holds inf at index 0"]),
        (
            &|good| with_number(good, GATE, f32::NEG_INFINITY),
            &[name, GATE, "holds -inf at index 0"],
        ),
    ];
    for (spoil, says) in cases {
        refused(&tensors, spoil, says, &load);
    }
    let config = dir.0.join("config.json");
    let utf8: Spoil = &|good| [good, b"\xff"].concat();
    refused(&config, utf8, &["config.json is not valid UTF-8 at byte"], &load);
    let layers = |n: &'static str| {
        move |good: &[u8]| {
            let mut config: Value = serde_json::from_slice(good).expect("JSON");
            config["num_hidden_layers"] = serde_json::from_str(n).expect("a number");
            config.to_string().into_bytes()
        }
    };
    refused(&config, &layers("257"), &["num_hidden_layers is 257", "256"], &load);
    refused(&config, &layers("1e30"), &["config.json", "num_hidden_layers"], &load);
    #[cfg(target_os = "linux")]
    refused(
        &config,
        &|_| {
            let (hidden, heads, head_dim, ffn) = (16_384, 64, 256, 65_536);
            let huge = LlamaConfig { hidden, heads, head_dim, ffn, layers: 256, ..tiny_config() };
            huge.to_json().to_string().into_bytes()
        },
        &[name, "a model of 966376865792 parameters in f32 needs", "bytes, this machine has"],
        &load,
    );
    assert!(load().is_none(), "all was put back");
    // A hole: it takes no room on the disk.
    let file = std::fs::OpenOptions::new().write(true).open(&tensors).expect("it is there");
    file.set_len(FILE_BYTES_MAX + 1).expect("a hole");
    let error = load().expect("refused");
    assert!(error.contains("4294967297 bytes, at most 4294967296"), "{error}");
}

#[test]
fn a_defect_of_an_adapter_is_named_by_file_tensor_and_limit() {
    let dir = Temporary::new("defects-adapter");
    let base = tiny_config();
    random_adapter(&base, &[Target::Q, Target::Down], 2, 1).save(&dir.0, "").expect("saved");
    let load = || Adapter::load(&dir.0, &base).err().map(|e| e.to_string());
    let tensors = dir.0.join("adapter_model.safetensors");
    let a = "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight";
    let name = "adapter_model.safetensors";
    let cases: &[(Spoil, &[&str])] = &[
        (&|good| good[..100].to_vec(), &[name, "not a safetensors file"]),
        (&|good| [&[0xff; 8], &good[8..]].concat(), &[name, "header too large"]),
        (&|good| with_header(good, |h| h[a]["dtype"] = json!("I32")), &[name, a, "I32"]),
        (&|good| with_number(good, a, f32::NAN), &[name, a, "holds NaN at index 0"]),
        (&|good| with_number(good, a, f32::INFINITY), &[name, a, "holds inf at index 0"]),
    ];
    for (spoil, says) in cases {
        refused(&tensors, spoil, says, &load);
    }
    let config = dir.0.join("adapter_config.json");
    let utf8: Spoil = &|good| [good, b"\xff"].concat();
    refused(&config, utf8, &["adapter_config.json is not valid UTF-8 at byte"], &load);
    let other = LlamaConfig { ffn: 48, ..tiny_config() };
    let error = Adapter::load(&dir.0, &other).expect_err("it is for another base").to_string();
    assert!(error.contains(&a.replace("layers.1", "layers.0")), "{error}");
    assert!(error.contains("[2, 40], expected [2, 48]"), "{error}");
}

#[test]
fn a_tokenizer_that_its_parser_panics_at_is_refused_by_name() {
    let found = br#"{"version": "1.0", "decoder": {"type": "ByteLevel", 5}}"#;
    let error = Text::from_bytes(found).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("tokenizer.json cannot be read: its parser panicked"), "{error}");
}

#[test]
fn a_broken_model_directory_is_loaded_or_refused_and_never_panics() {
    let dir = Temporary::new("hostile-model");
    save::save(&random_weights(tiny_config(), 1), &dir.0, Store::F32).expect("saved");
    attack(&dir.0, &["config.json", "model.safetensors"], || Model::load(&dir.0).is_ok());
}

#[test]
fn a_broken_adapter_directory_is_loaded_or_refused_and_never_panics() {
    let dir = Temporary::new("hostile-adapter");
    let config = tiny_config();
    random_adapter(&config, &[Target::Q, Target::Down], 2, 1).save(&dir.0, "").expect("saved");
    let files = ["adapter_config.json", "adapter_model.safetensors"];
    attack(&dir.0, &files, || Adapter::load(&dir.0, &config).is_ok());
}

#[test]
fn a_broken_index_is_loaded_or_refused_and_never_panics() {
    let weights = random_weights(tiny_config(), 1);
    let adapter = random_adapter(&weights.config, &[Target::V], 2, 1);
    let samples: Vec<Sample> =
        (0..4).map(|i| Sample { tokens: tokens(i, 8, 50), loss_from: 1 }).collect();
    let source = LoraGradients::new(&weights, &adapter, &samples).expect("it fits");
    let config = IndexConfig {
        contributors: &[0, 1, 0, 1],
        contributor_count: 2,
        k: 3,
        damping: 0.1,
        label_draws: 1,
        seed: 1,
    };
    let built = build_index(&source, &config, &mut |_, _, _| true).expect("built");
    let dir = Temporary::new("hostile-index");
    let path = dir.0.join("index");
    std::fs::write(&path, built.index.to_bytes()).expect("written");
    attack(&dir.0, &["index"], || {
        AttributionIndex::from_bytes(&std::fs::read(&path).expect("read")).is_ok()
    });
}
