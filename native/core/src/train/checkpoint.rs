//! Checkpoints of a fine-tuning run: a PEFT directory `checkpoint-<step>` that anybody can load, with the optimiser's
//! state beside it, so that a run that was cut short goes on and ends with the same bytes. A checkpoint appears as
//! a whole (written beside, then renamed); only the newest keeps its state, the older ones stay as adapters.

use super::lora::TrainConfig;
use crate::gradients::Sample;
use crate::hash::{finish, hex};
use crate::lora::Adapter;
use crate::model::config::LlamaConfig;
use crate::model::weights::Weights;
use crate::tensors::{Store, TensorFile, read, write, write_file};
use crate::{EngineError, ErrorCode, KERNEL_SET, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tiny_keccak::{Hasher, Keccak};

const STATE: &str = "training_state.json";
const MOMENTS: &str = "training_state.safetensors";

/// Everything a run needs to go on after `step`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Steps done.
    pub step: usize,
    pub flat: Vec<f32>,
    /// The optimiser's moments; empty for SGD.
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    pub best: Option<Best>,
    /// Evaluations since the best one.
    pub waited: usize,
}

/// The parameters of the lowest evaluation loss so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Best {
    pub step: usize,
    /// Mean cross-entropy per target token of the evaluation samples.
    pub loss: f64,
    pub flat: Vec<f32>,
}

/// Where checkpoints lie, and which run they belong to.
pub struct Folder {
    pub dir: PathBuf,
    pub base_name: String,
    /// Hex; see `fingerprint`.
    pub run: String,
}

/// Names a run: everything its bytes depend on. Of the base only a part is read: it tells one base from another,
/// it does not stand for its hash.
pub fn fingerprint(
    weights: &Weights,
    samples: &[Sample],
    evaluation: &[Sample],
    config: &TrainConfig,
    schedule: &str,
) -> String {
    let mut hash = Keccak::v256();
    let about = json!([KERNEL_SET, weights.config.to_json(), format!("{config:?}"), schedule]);
    hash.update(about.to_string().as_bytes());
    for values in [&weights.final_norm, &weights.layers[0].attention_norm] {
        values.iter().for_each(|x| hash.update(&x.to_le_bytes()));
    }
    let mut row = vec![0.0; weights.config.hidden];
    for token in [0, weights.config.vocab / 2, weights.config.vocab - 1] {
        weights.embedding.row(token, &mut row);
        row.iter().for_each(|x| hash.update(&x.to_le_bytes()));
    }
    for sample in samples.iter().chain(evaluation) {
        hash.update(&(sample.tokens.len() as u64).to_le_bytes());
        hash.update(&(sample.loss_from as u64).to_le_bytes());
        sample.tokens.iter().for_each(|t| hash.update(&t.to_le_bytes()));
    }
    hash.update(&(samples.len() as u64).to_le_bytes());
    hex(&finish(hash))
}

/// keccak256 of parameters, in hex.
pub fn digest(values: &[f32]) -> String {
    let mut hash = Keccak::v256();
    values.iter().for_each(|x| hash.update(&x.to_le_bytes()));
    hex(&finish(hash))
}

impl Folder {
    fn of(&self, step: usize) -> PathBuf {
        self.dir.join(format!("checkpoint-{step}"))
    }

    pub fn save(&self, model: &LlamaConfig, config: &TrainConfig, state: &State) -> Result<()> {
        let (to, partial) = (self.of(state.step), self.dir.join("checkpoint.partial"));
        remove(&partial)?;
        let adapter = Adapter::from_parameters(model, &config.lora, &state.flat);
        adapter.save(&partial, &self.base_name)?;
        let best = state.best.as_ref();
        let text = json!({
            "run": self.run,
            "step": state.step,
            "waited": state.waited,
            "best_step": best.map(|b| b.step),
            // As bits, so that it comes back as it was.
            "best_loss_bits": best.map(|b| b.loss.to_bits().to_string()),
        });
        write_file(&partial.join(STATE), text.to_string().as_bytes())?;
        let mut tensors = vec![
            ("m".to_string(), vec![state.m.len()], state.m.clone()),
            ("v".to_string(), vec![state.v.len()], state.v.clone()),
        ];
        if let Some(best) = best {
            tensors.push(("best".to_string(), vec![best.flat.len()], best.flat.clone()));
        }
        write(&partial.join(MOMENTS), &tensors, Store::F32)?;
        remove(&to)?;
        std::fs::rename(&partial, &to).map_err(|e| io("cannot write", &to, e))?;
        for step in self.steps()?.into_iter().filter(|step| *step != state.step) {
            for file in [STATE, MOMENTS] {
                let path = self.of(step).join(file);
                if path.exists() {
                    std::fs::remove_file(&path).map_err(|e| io("cannot remove", &path, e))?;
                }
            }
        }
        Ok(())
    }

    /// The newest state of this run; None when there is no checkpoint. Errors: another run's.
    pub fn load(&self, model: &LlamaConfig, config: &TrainConfig) -> Result<Option<State>> {
        let with_state = |step: &usize| self.of(*step).join(STATE).exists();
        let Some(step) = self.steps()?.into_iter().rev().find(with_state) else { return Ok(None) };
        let dir = self.of(step);
        let bad = |what: String| {
            EngineError::new(ErrorCode::BadInput, format!("{}: {what}", dir.display()))
        };
        let text = read(&dir.join(STATE), ErrorCode::BadInput)?;
        let json: Value =
            serde_json::from_slice(&text).map_err(|e| bad(format!("{STATE} is not JSON: {e}")))?;
        if json["run"].as_str() != Some(&self.run) {
            bail!(
                BadInput,
                "{} belongs to another run (base, rows or settings differ); train into another folder",
                dir.display()
            );
        }
        let adapter = Adapter::load(&dir, model)?;
        if adapter.config != config.lora {
            return Err(bad("its adapter has another shape".into()));
        }
        let number = |name: &str| json[name].as_u64().map(|x| x as usize);
        let file = TensorFile::open(&dir.join(MOMENTS), ErrorCode::BadInput)?;
        let tensors = file.parsed()?;
        let flat = adapter.to_parameters();
        let tensor = |name: &str| {
            let shape = tensors.shape(name).unwrap_or_default();
            if shape != [0] && shape != [flat.len()] {
                return Err(bad(format!("{MOMENTS}: {name} has the shape {shape:?}")));
            }
            tensors.f32(name, &shape)
        };
        let best = match (number("best_step"), json["best_loss_bits"].as_str()) {
            (Some(step), Some(bits)) => {
                let bits = bits.parse().map_err(|_| bad("best_loss_bits is no number".into()))?;
                Some(Best { step, loss: f64::from_bits(bits), flat: tensor("best")? })
            }
            _ => None,
        };
        let (m, v) = (tensor("m")?, tensor("v")?);
        let waited = number("waited").unwrap_or(0);
        Ok(Some(State { step, flat, m, v, best, waited }))
    }

    /// Steps of the checkpoints there are, ascending.
    fn steps(&self) -> Result<Vec<usize>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Err(io("cannot read", &self.dir, e)),
        };
        let mut steps: Vec<usize> = entries
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.strip_prefix("checkpoint-")?.parse().ok())
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }
}

fn io(what: &str, path: &Path, e: std::io::Error) -> EngineError {
    EngineError::new(ErrorCode::Io, format!("{what} {}: {e}", path.display()))
}

fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io("cannot remove", dir, e)),
        _ => Ok(()),
    }
}
