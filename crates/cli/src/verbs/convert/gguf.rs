//! One file in llama.cpp's format.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use glassformer_kernels::quantised::blocks::Kind;
use glassformer_model::export::{GgufForm, Mix, Role};
use glassformer_tensor::Pool;
use glassformer_weights::DataType;
use glassformer_weights::gguf::{self, Array, Metadata, Value};

use super::progress::Progress;
use crate::source::{Loaded, Said, write_vocabulary};

/// Keys that are about a file, not about its model.
const OF_THE_FILE: [&str; 4] = [
    "general.architecture",
    "general.alignment",
    "general.file_type",
    "general.quantization_version",
];

/// Version of ggml's blocks.
const QUANTISATION_VERSION: u32 = 2;

/// Writes it; gives remarks for the user.
pub(super) fn write(
    loaded: &Loaded,
    out: &Path,
    wanted: Option<DataType>,
    pool: &Pool,
) -> Result<Vec<String>> {
    let form = loaded
        .model
        .network
        .gguf()
        .map_err(|why| anyhow!("{} {why}", loaded.name))?;
    let mix = wanted.map_or(Mix::Kept, Mix::Mostly);
    let (mut remarks, mut others) = (form.remarks.clone(), BTreeMap::new());
    let tensors = loaded.model.as_gguf(&form);
    let role = Role {
        n_layers: loaded.model.dimensions().n_layers,
        tied: !tensors.iter().any(|tensor| tensor.name == "output.weight"),
    };
    let numbers = tensors.iter().map(|t| t.shape.iter().product::<usize>());
    let progress = Progress::new(numbers.sum());
    let mut count_of: BTreeMap<String, (DataType, usize)> = BTreeMap::new();
    let mut made = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let data_type = mix.choose(role, &tensor.name, &tensor.shape, tensor.stored);
        if mix.falls_back(role, &tensor.name, &tensor.shape) {
            *others.entry(data_type.to_string()).or_insert(0) += 1;
        }
        let count = count_of
            .entry(data_type.to_string())
            .or_insert((data_type, 0));
        count.1 += tensor.shape.iter().product::<usize>();
        made.push(progress.watch(tensor.into_tensor(data_type)));
    }
    for (name, count) in others {
        remarks.push(format!(
            "{count} matrices became {name}: their rows are no whole blocks of what was asked for"
        ));
    }
    let most = count_of.into_values().max_by_key(|(_, count)| *count);
    let most = wanted
        .or(most.map(|(data_type, _)| data_type))
        .unwrap_or(DataType::F32);
    let metadata = metadata(loaded, &form, most)?;
    gguf::write(out, &metadata, made, pool)?;
    Ok(remarks)
}

fn metadata(loaded: &Loaded, form: &GgufForm, most: DataType) -> Result<Metadata> {
    let mut metadata = Metadata::new(Path::new("the new file"));
    match &loaded.about.gguf {
        // Of another GGUF file all goes along that is about the model.
        Some(file) => {
            for (key, value) in file.metadata().iter() {
                if !OF_THE_FILE.contains(&key) && !key.starts_with("split.") {
                    metadata.insert(key, value.clone());
                }
            }
        }
        None => describe(loaded, &mut metadata)?,
    }
    let architecture = form.architecture.to_owned();
    metadata.insert("general.architecture", Value::String(architecture));
    metadata.insert("general.file_type", Value::U32(file_type(most)));
    if matches!(most, DataType::Block(_)) {
        metadata.insert(
            "general.quantization_version",
            Value::U32(QUANTISATION_VERSION),
        );
    }
    for (key, value) in &form.metadata {
        metadata.insert(key.as_str(), value.clone());
    }
    if let Some(pooling) = Said::of(loaded.about.found.as_ref())?.pooling
        && let Some(number) = pooling.to_gguf()
    {
        let key = format!("{}.pooling_type", form.architecture);
        metadata.insert(key, Value::U32(number));
    }
    Ok(metadata)
}

/// Name, licence, tokenizer and chat templates.
fn describe(loaded: &Loaded, metadata: &mut Metadata) -> Result<()> {
    let name = Path::new(&loaded.name).file_stem();
    let name = name.map_or_else(|| loaded.name.clone(), |n| n.to_string_lossy().into_owned());
    metadata.insert("general.name", Value::String(name));
    if let Some(license) = &loaded.about.license {
        metadata.insert("general.license", Value::String(license.clone()));
    }
    let vocabulary = match &loaded.about.vocabulary {
        Some(vocabulary) => vocabulary.clone(),
        None => loaded
            .tokenizer
            .to_gguf(&loaded.about.tokenizer, loaded.model.dimensions().vocab)?,
    };
    write_vocabulary(&vocabulary, metadata);
    let templates = &loaded.about.tokenizer.chat_templates;
    let mut others = Vec::new();
    for (name, template) in templates {
        let key = if name == "default" || templates.len() == 1 {
            "tokenizer.chat_template".to_owned()
        } else {
            others.push(name.clone());
            format!("tokenizer.chat_template.{name}")
        };
        metadata.insert(key, Value::String(template.clone()));
    }
    if !others.is_empty() {
        let list = Value::Array(Array::String(others));
        metadata.insert("tokenizer.chat_templates", list);
    }
    Ok(())
}

/// llama.cpp's number for what most of a file is (`llama_ftype` in `llama.h`).
fn file_type(most: DataType) -> u32 {
    match most {
        DataType::F16 => 1,
        DataType::Bf16 => 32,
        DataType::Block(kind) => match kind {
            Kind::Q4_0 => 2,
            Kind::Q4_1 => 3,
            Kind::Q8_0 => 7,
            Kind::Q5_0 => 8,
            Kind::Q5_1 => 9,
            Kind::Q2_K => 10,
            Kind::Q3_K => 12,
            Kind::Q4_K => 15,
            Kind::Q5_K => 17,
            Kind::Q6_K => 18,
        },
        _ => 0,
    }
}
