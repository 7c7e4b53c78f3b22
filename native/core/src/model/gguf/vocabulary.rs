//! The tokenizer inside a GGUF file, as the text of a tokenizer.json: byte-level BPE (`gpt2`) with the
//! splitting rule that `tokenizer.ggml.pre` names.

use super::{Gguf, Value};
use crate::{Result, bail};
use serde_json::{Map, Value as Json, json};

/// `tokenizer.ggml.token_type`.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// None when the file has no tokenizer.
pub fn tokenizer_json<R>(gguf: &Gguf<R>) -> Result<Option<String>> {
    let file = &gguf.file;
    let get = |key: &str| gguf.metadata.get(&format!("tokenizer.ggml.{key}"));
    let name = |key: &str| match get(key) {
        Some(Value::Text(text)) => Ok(text.as_str()),
        other => bail!(BadModel, "{file}: tokenizer.ggml.{key} is {other:?}, expected a name"),
    };
    if get("model").is_none() && get("tokens").is_none() {
        return Ok(None);
    }
    match name("model")? {
        "gpt2" => {}
        other => {
            bail!(
                Unsupported,
                "{file}: tokenizer {other} is not supported; gpt2 (byte-level BPE) is"
            )
        }
    }
    let splits = match name("pre")? {
        "gpt-2" | "gpt2" | "default" => vec![],
        // Every digit is a token of its own.
        "smollm" | "starcoder" => vec![json!({ "type": "Digits", "individual_digits": true })],
        other => bail!(
            Unsupported,
            "{file}: tokenizer.ggml.pre {other} is not supported; smollm, starcoder and gpt-2 are"
        ),
    };
    let texts = |key: &str| match get(key) {
        Some(Value::Texts(texts)) => Ok(texts),
        _ => bail!(BadModel, "{file}: tokenizer.ggml.{key} is missing or no list of texts"),
    };
    let (tokens, merges) = (texts("tokens")?, texts("merges")?);
    let mut vocabulary = Map::new();
    for (id, token) in tokens.iter().enumerate() {
        if let Some(other) = vocabulary.insert(token.clone(), id.into()) {
            bail!(BadModel, "{file}: tokens {other} and {id} are both {token:?}");
        }
    }
    let added = match get("token_type") {
        None => vec![],
        Some(Value::Ints(kinds)) if kinds.len() == tokens.len() => {
            let all = tokens.iter().zip(kinds).enumerate();
            all.filter(|(_, (_, kind))| [CONTROL, USER_DEFINED].contains(kind))
                .map(|(id, (token, kind))| added_token(id, token, *kind == CONTROL))
                .collect()
        }
        _ => bail!(BadModel, "{file}: tokenizer.ggml.token_type is not one integer per token"),
    };
    Ok(Some(tokenizer(vocabulary, merges, added, splits).to_string()))
}

fn added_token(id: usize, content: &str, special: bool) -> Json {
    json!({
        "id": id,
        "content": content,
        "special": special,
        "single_word": false,
        "lstrip": false,
        "rstrip": false,
        "normalized": false,
    })
}

fn tokenizer(
    vocabulary: Map<String, Json>,
    merges: &[String],
    added: Vec<Json>,
    mut splits: Vec<Json>,
) -> Json {
    let bytes = json!({
        "type": "ByteLevel",
        "add_prefix_space": false,
        "trim_offsets": true,
        "use_regex": true,
    });
    splits.push(bytes.clone());
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": splits },
        "post_processor": null,
        "decoder": bytes,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocabulary,
            "merges": merges,
        },
    })
}
