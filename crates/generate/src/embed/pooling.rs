//! Many vectors to one.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use glassformer_kernels::rows;
use glassformer_tensor::Tensor;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::EmbedError;

/// How the vectors of a text's positions become one (Reimers & Gurevych 2019, §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first one: that of the token [CLS].
    Cls,
    /// The last one, which in a decoder has seen all others.
    Last,
    /// The largest of each column.
    Max,
}

impl Pooling {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mean, Self::Cls, Self::Last, Self::Max];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Last => "last",
            Self::Max => "max",
        }
    }

    /// Of rows `range` of `x [ΣT,D]`, a vector [D].
    pub fn of(self, x: &Tensor, range: Range<usize>) -> Vec<f32> {
        assert!(!range.is_empty(), "a text has positions");
        let (width, count) = (x.width(), range.len() as f32);
        let own = &x.data()[range.start * width..range.end * width];
        match self {
            Self::Cls => own[..width].to_vec(),
            Self::Last => own[own.len() - width..].to_vec(),
            Self::Mean => {
                let mut mean = vec![0.0; width];
                rows::sum_rows(&mut mean, own);
                for x in &mut mean {
                    *x /= count;
                }
                mean
            }
            Self::Max => {
                let mut most = own[..width].to_vec();
                for row in own.chunks_exact(width) {
                    for (most, x) in most.iter_mut().zip(row) {
                        *most = most.max(*x);
                    }
                }
                most
            }
        }
    }

    /// What sentence-transformers' `1_Pooling/config.json` asks for. Errors: it cannot be read, or asks for another way.
    pub fn from_json(text: &str) -> Result<Self, EmbedError> {
        let error = |reason: String| EmbedError::Config {
            file: "the pooling's config.json",
            reason,
        };
        let config: Config =
            serde_json::from_str(text).map_err(|e| error(format!("cannot be read: {e}")))?;
        let chosen = config.chosen();
        match chosen.as_slice() {
            ["mean" | "mean_tokens"] => Ok(Self::Mean),
            ["cls" | "cls_token"] => Ok(Self::Cls),
            ["lasttoken"] => Ok(Self::Last),
            ["max" | "max_tokens"] => Ok(Self::Max),
            [] => Err(error("says no pooling_mode".to_owned())),
            others => Err(error(format!(
                "asks for pooling by {}; {} can be computed",
                others.join(" and "),
                names()
            ))),
        }
    }

    /// What the key `ARCHITECTURE.pooling_type` of a GGUF file asks for; `None` for what cannot be computed.
    pub fn from_gguf(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Mean),
            2 => Some(Self::Cls),
            3 => Some(Self::Last),
            _ => None,
        }
    }

    /// The number of that key; `None` for what such files cannot ask for.
    pub fn to_gguf(self) -> Option<u32> {
        match self {
            Self::Mean => Some(1),
            Self::Cls => Some(2),
            Self::Last => Some(3),
            Self::Max => None,
        }
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Pooling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|way| way.name() == text);
        found.ok_or_else(|| format!("{text:?} is no pooling; there are {}", names()))
    }
}

/// Those of all, as a message lists them.
fn names() -> String {
    Pooling::ALL.map(Pooling::name).join(", ")
}

/// The pooling's `config.json`: a name, or in older files a truth value for each way.
#[derive(Deserialize)]
struct Config {
    pooling_mode: Option<String>,
    #[serde(flatten)]
    flags: Map<String, Value>,
}

impl Config {
    fn chosen(&self) -> Vec<&str> {
        if let Some(mode) = &self.pooling_mode {
            return vec![mode];
        }
        let on = self.flags.iter().filter(|(_, value)| **value == true);
        on.filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
            .collect()
    }
}

/// x ← x/‖x‖; what is 0 stays so.
pub(super) fn normalise(x: &mut [f32]) {
    let length = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let scale = (1.0 / length.max(1e-12)) as f32;
    for x in x.iter_mut() {
        *x *= scale;
    }
}
