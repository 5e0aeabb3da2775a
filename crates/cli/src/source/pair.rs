//! What the files of an encoder–decoder say beside weights: its tokenizers, and how it is to be searched
//! (`generation_config.json`, or, of older models, `config.json`).

use anyhow::{Context, Result, bail};
use glassformer_generate::translate::{BATCH, Ids, LengthPenalty, Longest, Search, Stopping, Way};
use glassformer_model::{Marks, Model};
use glassformer_tokens::Tokenizer;
use serde::Deserialize;

use super::{Found, Loaded};

/// Hypotheses side by side, where nobody says how many.
const BEAMS: usize = 4;

/// Ids that a translation may have more than its source (Vaswani et al. 2017, §6.1).
const BEYOND_SOURCE: usize = 50;

impl Loaded {
    /// How an encoder–decoder is searched when nobody asks for anything else: as its files say.
    pub(crate) fn usual_search(&self) -> Result<Search> {
        let (model, settings) = (&self.model, &self.about.pair);
        if model.network.pair().is_none() {
            bail!(
                "{} is a {} model, which has no encoder and decoder; `generate` continues texts, and translating takes a folder of `train` on pairs, Marian, BART or T5",
                self.name,
                model.network.family()
            );
        }
        let ids = settings.ids(model).with_context(|| {
            format!(
                "{} does not say with which id translations begin: decoder_start_token_id is missing in its config.json",
                self.name
            )
        })?;
        let usual = settings.num_beams.filter(|n| *n > 1).unwrap_or(BEAMS);
        Ok(Search {
            way: Way::Beams {
                width: usual.min(model.dimensions().vocab),
                stopping: settings.stopping(),
            },
            penalty: LengthPenalty::Power(settings.length_penalty.unwrap_or(1.0)),
            n_best: 1,
            batch: BATCH,
            longest: Longest::BeyondSource(BEYOND_SOURCE),
            ids,
        })
    }
}

/// The tokenizers of a model, each with the vocabulary that it must fit.
pub(super) fn tokenizers(loaded: &Loaded) -> Vec<(&Tokenizer, usize)> {
    let vocab = loaded.model.dimensions().vocab;
    let source = match loaded.model.network.pair() {
        Some(pair) => pair.encoder().vocab,
        None => vocab,
    };
    let target = loaded.about.target.as_ref();
    let of_target = target.map(|target| (target, vocab));
    std::iter::once((&loaded.tokenizer, source))
        .chain(of_target)
        .collect()
}

/// What lies in the folder in place of a tokenizer that can be read, in words that follow "is missing".
pub(super) fn beside(loaded: &Loaded) -> String {
    let folder = loaded.about.found.as_ref().map(Found::path);
    let names = ["source.spm", "spiece.model", "sentencepiece.bpe.model"];
    let found = folder.and_then(|folder| names.iter().find(|name| folder.join(name).is_file()));
    match found {
        Some(name) => format!(
            " (SentencePiece's {name} cannot be read; Marian's two of them must become tokenizer.json and target_tokenizer.json)"
        ),
        None => String::new(),
    }
}

/// The fields that matter here. What cannot be read as such is as if it were not there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PairSettings {
    decoder_start_token_id: Option<u32>,
    eos_token_id: Option<OneOrMore>,
    pad_token_id: Option<u32>,
    forced_bos_token_id: Option<u32>,
    forced_eos_token_id: Option<OneOrMore>,
    bad_words_ids: Option<Vec<Vec<u32>>>,
    pub(crate) num_beams: Option<usize>,
    pub(crate) length_penalty: Option<f64>,
    early_stopping: Option<Early>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(u32),
    More(Vec<u32>),
}

impl OneOrMore {
    fn list(&self) -> &[u32] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::More(ids) => ids,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Early {
    Known(bool),
    /// "never".
    Named(String),
}

impl PairSettings {
    /// Of a file.
    pub(crate) fn read(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap_or_default()
    }

    /// This, and where it says nothing `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            decoder_start_token_id: self.decoder_start_token_id.or(other.decoder_start_token_id),
            eos_token_id: self.eos_token_id.or(other.eos_token_id),
            pad_token_id: self.pad_token_id.or(other.pad_token_id),
            forced_bos_token_id: self.forced_bos_token_id.or(other.forced_bos_token_id),
            forced_eos_token_id: self.forced_eos_token_id.or(other.forced_eos_token_id),
            bad_words_ids: self.bad_words_ids.or(other.bad_words_ids),
            num_beams: self.num_beams.or(other.num_beams),
            length_penalty: self.length_penalty.or(other.length_penalty),
            early_stopping: self.early_stopping.or(other.early_stopping),
        }
    }

    /// The ids with a meaning, if it is said with which one targets begin. Of bad words those of one id are kept.
    pub(crate) fn ids(&self, model: &Model) -> Option<Ids> {
        let marks: Marks = model.network.pair()?.marks();
        let of_model = marks.end.into_iter().collect();
        let ends = self.eos_token_id.as_ref();
        let ends: Vec<u32> = ends.map_or(of_model, |ids| ids.list().to_vec());
        let mut never: Vec<u32> = self.pad_token_id.or(marks.pad).into_iter().collect();
        let words = self.bad_words_ids.iter().flatten();
        never.extend(words.filter_map(|word| match word[..] {
            [id] => Some(id),
            _ => None,
        }));
        never.retain(|id| !ends.contains(id));
        never.sort_unstable();
        never.dedup();
        let last = self.forced_eos_token_id.as_ref();
        Some(Ids {
            start: self.decoder_start_token_id.or(marks.start)?,
            ends,
            never,
            forced_first: self.forced_bos_token_id,
            forced_last: last.and_then(|ids| ids.list().first().copied()),
        })
    }

    /// When to stop.
    pub(crate) fn stopping(&self) -> Stopping {
        match &self.early_stopping {
            Some(Early::Known(true)) => Stopping::WhenFull,
            Some(Early::Named(name)) if name == "never" => Stopping::WhenSure,
            _ => Stopping::WhenUnlikely,
        }
    }
}
