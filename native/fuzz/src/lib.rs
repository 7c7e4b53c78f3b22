//! What the targets share: a folder with good files of which one is replaced, and the good file as the first seed.

use openledger_core::lora::Adapter;
use openledger_core::model::config::Target;
use openledger_core::model::testing::{random_adapter, random_weights, tiny_config};
use openledger_core::model::{Model, save};
use openledger_core::tensors::Store;
use std::path::{Path, PathBuf};

/// A folder of files that load, one of which every input replaces. In memory where the system has such a place.
pub struct Folder {
    dir: PathBuf,
    file: &'static str,
}

impl Folder {
    /// Makes the folder with `write`; its `file` becomes the first seed of `target`.
    pub fn new(target: &str, file: &'static str, write: impl FnOnce(&Path)) -> Self {
        let memory = PathBuf::from("/dev/shm");
        let root = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let dir = root.join(format!("openledger-fuzz-{target}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        write(&dir);
        seed(target, &std::fs::read(dir.join(file)).expect("the good file"));
        Self { dir, file }
    }

    /// The folder with `data` in the place of the file.
    pub fn with(&self, data: &[u8]) -> &Path {
        std::fs::write(self.path(), data).expect("written");
        &self.dir
    }

    pub fn path(&self) -> PathBuf {
        self.dir.join(self.file)
    }
}

/// Puts a good input where `cargo fuzz run TARGET` looks for its first ones.
pub fn seed(target: &str, data: &[u8]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&corpus).expect("the corpus");
    std::fs::write(corpus.join("good"), data).expect("the seed");
}

/// A model directory of which `file` is replaced.
pub fn model(target: &str, file: &'static str) -> Folder {
    let folder = Folder::new(target, file, |dir| {
        save::save(&random_weights(tiny_config(), 1), dir, Store::F32).expect("saved");
    });
    assert!(Model::load(&folder.dir).is_ok(), "the seed is good");
    folder
}

/// A PEFT directory of which `file` is replaced.
pub fn adapter(target: &str, file: &'static str) -> Folder {
    let config = tiny_config();
    let folder = Folder::new(target, file, |dir| {
        random_adapter(&config, &[Target::Q, Target::Down], 2, 1).save(dir, "").expect("saved");
    });
    assert!(Adapter::load(&folder.dir, &config).is_ok(), "the seed is good");
    folder
}
