//! How the rotary frequencies of a model were stretched, in Hugging Face's words.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::block::attention::Stretch;

/// `rope_scaling` of a `config.json`; `rope_parameters` in newer ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RopeScaling {
    /// `default`, `linear`, `llama3`, `longrope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_type: Option<String>,
    /// The same in older files; some have both.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub older_type: Option<String>,
    /// Base of the frequencies, where it stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f32>,
    /// By what frequencies are divided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f32>,
    /// See [`Stretch::ByWavelength`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_freq_factor: Option<f32>,
    /// See [`Stretch::ByWavelength`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_freq_factor: Option<f32>,
    /// The context before stretching.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_max_position_embeddings: Option<usize>,
    /// By what each frequency is divided in texts of that context …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_factor: Option<Vec<f32>>,
    /// … and in longer ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_factor: Option<Vec<f32>>,
    /// By what cos and sin are multiplied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_factor: Option<f32>,
}

impl RopeScaling {
    /// That each frequency is divided by a number of its own.
    pub(super) fn each(factors: Vec<f32>, n_ctx: usize) -> Self {
        Self {
            rope_type: Some("longrope".to_owned()),
            original_max_position_embeddings: Some(n_ctx),
            short_factor: Some(factors.clone()),
            long_factor: Some(factors),
            attention_factor: Some(1.0),
            ..Self::default()
        }
    }

    fn name(&self) -> &str {
        let kind = self.rope_type.as_ref().or(self.older_type.as_ref());
        kind.map_or("default", String::as_str)
    }

    /// What it comes to for heads of so many `pairs` and a context of `n_ctx`. Errors: in words that follow
    /// "config.json".
    pub(super) fn stretch(&self, pairs: usize, n_ctx: usize) -> Result<Stretch, String> {
        let name = self.name();
        let need = |field: &str, value: Option<f32>| match value {
            Some(value) if value.is_finite() && value > 0.0 => Ok(value),
            _ => Err(format!(
                "has rope scaling {name:?} without a positive {field}"
            )),
        };
        match name {
            "default" => Ok(Stretch::None),
            "linear" => Ok(Stretch::Linear(need("factor", self.factor)?)),
            "llama3" => Ok(Stretch::ByWavelength {
                factor: need("factor", self.factor)?,
                low: need("low_freq_factor", self.low_freq_factor)?,
                high: need("high_freq_factor", self.high_freq_factor)?,
                context: self.original_max_position_embeddings.unwrap_or(n_ctx) as f32,
            }),
            "longrope" => self.factors(pairs).map(Stretch::Each),
            other => Err(format!(
                "has rope scaling {other:?}; default, linear and llama3 can be computed"
            )),
        }
    }

    /// The factors of `longrope` where they are the same for all texts, as in models from GGUF files.
    fn factors(&self, pairs: usize) -> Result<Arc<[f32]>, String> {
        let factors = self.short_factor.as_deref().unwrap_or_default();
        if self.long_factor != self.short_factor || self.attention_factor != Some(1.0) {
            return Err(
                "has rope scaling \"longrope\" that depends on the length of the text; \
                 only the same long_factor and short_factor, with attention_factor = 1, can be computed"
                    .to_owned(),
            );
        }
        let good = |factor: &f32| factor.is_finite() && *factor > 0.0;
        if factors.len() != pairs || !factors.iter().all(good) {
            return Err(format!(
                "has rope scaling \"longrope\" of {} factors; heads of {} need {pairs} positive ones",
                factors.len(),
                2 * pairs
            ));
        }
        Ok(factors.into())
    }
}
