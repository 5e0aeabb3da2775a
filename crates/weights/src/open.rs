//! Opens whatever lies at a path: the first bytes decide, then the name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bytes::Bytes;
use crate::llama2c::Llama2cFile;
use crate::safetensors::Sharded;
use crate::{GgufFile, TensorFile, TensorSource, WeightsError, detect};

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Weights of any format that is read.
#[derive(Clone, Debug)]
pub enum WeightsFile {
    /// One safetensors file.
    Safetensors(TensorFile),
    /// Several, with their index.
    Sharded(Sharded),
    /// A GGUF file, which also says what the model is.
    Gguf(GgufFile),
    /// llama2.c's format, which also says how large the model is.
    Llama2c(Llama2cFile),
}

impl WeightsFile {
    /// Opens a file, or the weights in a folder as Hugging Face lays it out. Errors: nothing there that is read, or
    /// what the format's own `open` says.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        if path.is_dir() {
            return Self::open_folder(path);
        }
        if path.to_string_lossy().ends_with(".index.json") {
            detect::refuse_name(path)?;
            return Sharded::open(path).map(Self::Sharded);
        }
        let bytes = Bytes::map(path)?;
        if bytes.starts_with(b"GGUF") {
            return GgufFile::checked(bytes, path).map(Self::Gguf);
        }
        if path.extension().is_some_and(|end| end == "bin") {
            return Llama2cFile::checked(bytes, path).map(Self::Llama2c);
        }
        TensorFile::checked(bytes, path).map(Self::Safetensors)
    }

    fn open_folder(folder: &Path) -> Result<Self, WeightsError> {
        let (whole, index) = (folder.join(WHOLE), folder.join(INDEX));
        if whole.exists() {
            return TensorFile::open(&whole).map(Self::Safetensors);
        }
        if index.exists() {
            return Sharded::open(&index).map(Self::Sharded);
        }
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            detect::refuse_name(&entry.path())?;
        }
        Err(WeightsError::Unsupported {
            path: PathBuf::from(folder),
            what: format!("has neither {WHOLE} nor {INDEX}"),
            todo: "name a folder with a model in it, or a .gguf file".to_owned(),
        })
    }

    /// Its tensors, to be kept.
    pub fn into_source(self) -> Arc<dyn TensorSource> {
        match self {
            Self::Safetensors(file) => Arc::new(file),
            Self::Sharded(file) => Arc::new(file),
            Self::Gguf(file) => Arc::new(file),
            Self::Llama2c(file) => Arc::new(file),
        }
    }

    /// Its tensors.
    pub fn source(&self) -> &dyn TensorSource {
        match self {
            Self::Safetensors(file) => file,
            Self::Sharded(file) => file,
            Self::Gguf(file) => file,
            Self::Llama2c(file) => file,
        }
    }
}
