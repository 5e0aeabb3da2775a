//! The tokenizer's part of a GGUF file's metadata, read and written.

use glassformer_tokens::GgufVocabulary;
use glassformer_weights::WeightsError;
use glassformer_weights::gguf::{Array, Metadata, Value};

/// The tokenizer's part of the metadata.
pub(super) fn read(metadata: &Metadata) -> Result<GgufVocabulary, WeightsError> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let id = |name: &str| -> Result<Option<u32>, WeightsError> {
        let id = metadata.optional(&key(name), Metadata::i64)?;
        // −1 stands for none in some files.
        Ok(id.and_then(|id| u32::try_from(id).ok()))
    };
    let flag = |name: &str| metadata.optional(&key(name), Metadata::bool);
    let text = |name: &str| metadata.optional(&key(name), Metadata::string);
    let strings = |name: &str| metadata.optional(&key(name), Metadata::strings);
    Ok(GgufVocabulary {
        model: metadata.string(&key("model"))?.to_owned(),
        pre: text("pre")?.map(str::to_owned),
        tokens: metadata.strings(&key("tokens"))?.to_vec(),
        scores: metadata
            .optional(&key("scores"), Metadata::f32s)?
            .map(std::borrow::Cow::into_owned)
            .unwrap_or_default(),
        token_types: metadata
            .optional(&key("token_type"), Metadata::i32s)?
            .map(std::borrow::Cow::into_owned)
            .unwrap_or_default(),
        merges: strings("merges")?
            .map(<[String]>::to_vec)
            .unwrap_or_default(),
        bos: id("bos_token_id")?,
        eos: id("eos_token_id")?,
        eot: id("eot_token_id")?,
        eom: id("eom_token_id")?,
        unknown: id("unknown_token_id")?,
        separator: id("seperator_token_id")?,
        padding: id("padding_token_id")?,
        cls: id("cls_token_id")?,
        mask: id("mask_token_id")?,
        add_bos: flag("add_bos_token")?,
        add_eos: flag("add_eos_token")?,
        add_separator: flag("add_sep_token")?,
        add_space_prefix: flag("add_space_prefix")?,
        lowercase: flag("normalizer.lowercase")?,
        strip_accents: flag("normalizer.strip_accents")?,
    })
}

/// The keys under which [`read`] finds it again.
pub(crate) fn write(vocabulary: &GgufVocabulary, metadata: &mut Metadata) {
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            metadata.insert(format!("tokenizer.ggml.{name}"), value);
        }
    };
    let text = |text: &str| Some(Value::String(text.to_owned()));
    let strings =
        |list: &[String]| (!list.is_empty()).then(|| Value::Array(Array::String(list.to_vec())));
    put("model", text(&vocabulary.model));
    put("pre", vocabulary.pre.as_deref().and_then(text));
    put("tokens", strings(&vocabulary.tokens));
    let scores = &vocabulary.scores;
    put(
        "scores",
        (!scores.is_empty()).then(|| Value::Array(Array::F32(scores.clone()))),
    );
    let types = &vocabulary.token_types;
    put(
        "token_type",
        (!types.is_empty()).then(|| Value::Array(Array::I32(types.clone()))),
    );
    put("merges", strings(&vocabulary.merges));
    for (name, id) in [
        ("bos_token_id", vocabulary.bos),
        ("eos_token_id", vocabulary.eos),
        ("eot_token_id", vocabulary.eot),
        ("eom_token_id", vocabulary.eom),
        ("unknown_token_id", vocabulary.unknown),
        ("seperator_token_id", vocabulary.separator),
        ("padding_token_id", vocabulary.padding),
        ("cls_token_id", vocabulary.cls),
        ("mask_token_id", vocabulary.mask),
    ] {
        put(name, id.map(Value::U32));
    }
    for (name, flag) in [
        ("add_bos_token", vocabulary.add_bos),
        ("add_eos_token", vocabulary.add_eos),
        ("add_sep_token", vocabulary.add_separator),
        ("add_space_prefix", vocabulary.add_space_prefix),
        ("normalizer.lowercase", vocabulary.lowercase),
        ("normalizer.strip_accents", vocabulary.strip_accents),
    ] {
        put(name, flag.map(Value::Bool));
    }
}
