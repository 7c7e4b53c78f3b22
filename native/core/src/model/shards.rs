//! Weights split over several safetensors files, which `model.safetensors.index.json` lists by tensor.
//! One file is held at a time; models are written in the order in which we read them.

use crate::tensors::{TensorFile, read};
use crate::{ErrorCode, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

pub const INDEX: &str = "model.safetensors.index.json";

pub struct Shards {
    dir: PathBuf,
    /// Tensor -> file name.
    files: BTreeMap<String, String>,
    held: Option<(String, TensorFile)>,
}

impl Shards {
    pub fn open(dir: &Path) -> Result<Self> {
        let index: Value =
            match serde_json::from_slice(&read(&dir.join(INDEX), ErrorCode::BadModel)?) {
                Ok(index) => index,
                Err(e) => bail!(BadModel, "{INDEX} is not JSON: {e}"),
            };
        let Some(map) = index.get("weight_map").and_then(Value::as_object) else {
            bail!(BadModel, "{INDEX} has no weight_map");
        };
        let mut files = BTreeMap::new();
        for (tensor, file) in map {
            match file.as_str() {
                Some(name) if is_plain(name) => files.insert(tensor.clone(), name.to_string()),
                _ => bail!(BadModel, "{INDEX}: {tensor} is in {file}, expected a file name"),
            };
        }
        Ok(Self { dir: dir.to_path_buf(), files, held: None })
    }

    pub fn f32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let Some(file) = self.files.get(name) else {
            bail!(BadModel, "{INDEX}: tensor {name} is missing (expected shape {shape:?})");
        };
        let held = match self.held.take() {
            Some((held, tensors)) if held == *file => tensors,
            _ => TensorFile::open(&self.dir.join(file), ErrorCode::BadModel)?,
        };
        let values = held.parsed()?.f32(name, shape);
        self.held = Some((file.clone(), held));
        values
    }
}

/// A name without folders: an index cannot reach outside its own.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::model::testing::{random_weights, tiny_config};
    use crate::tensors::{Store, write};
    use std::fs;

    /// A directory of two shards; the index may be spoilt.
    fn load(name: &str, spoil: impl Fn(&mut Value)) -> Result<Model> {
        let dir = std::env::temp_dir().join(format!("shards-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let weights = random_weights(tiny_config(), 3);
        let tensors = weights.tensors();
        let (first, second) = tensors.split_at(7);
        let mut index = serde_json::json!({ "weight_map": {} });
        for (file, part) in [("a.safetensors", first), ("b.safetensors", second)] {
            write(&dir.join(file), part, Store::F32).unwrap();
            part.iter().for_each(|(name, ..)| index["weight_map"][name] = file.into());
        }
        spoil(&mut index);
        fs::write(dir.join(INDEX), index.to_string()).unwrap();
        fs::write(dir.join("config.json"), weights.config.to_json().to_string()).unwrap();
        let model = Model::load(&dir);
        fs::remove_dir_all(&dir).unwrap();
        model
    }

    #[test]
    fn shards_give_the_weights_they_were_split_from() {
        let model = load("good", |_| {}).unwrap();
        assert_eq!(model.weights.tensors(), random_weights(tiny_config(), 3).tensors());
    }

    #[test]
    fn a_defect_of_the_index_is_refused_by_name() {
        const NORM: &str = "model.norm.weight";
        let refused = |name: &str, spoil: &dyn Fn(&mut Value), says: &str| {
            let error = load(name, spoil).err().expect(says);
            assert_eq!(error.code, ErrorCode::BadModel);
            assert!(error.message.contains(says), "{} should say: {says}", error.message);
        };
        refused("map", &|i| i["weight_map"] = 1.into(), "has no weight_map");
        refused("out", &|i| i["weight_map"][NORM] = "../x".into(), "expected a file name");
        refused("gone", &|i| i["weight_map"][NORM] = "c".into(), "cannot read");
        refused(
            "wrong",
            &|i| i["weight_map"][NORM] = "a.safetensors".into(),
            "norm.weight is missing",
        );
        let forget = |i: &mut Value| drop(i["weight_map"].as_object_mut().unwrap().remove(NORM));
        refused("less", &forget, "tensor model.norm.weight is missing");
    }
}
