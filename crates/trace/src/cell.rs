//! Where one number comes from: the terms it is the sum (or the formula) of, each naming the cells it was made of.

use glassformer_model::{BlockSite, BlockWeight, Dimensions, Model, Site, WeightName};

use crate::weight::Weight;
use crate::{Recording, TraceError};

/// A factor of a term: a recorded value, or a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A cell that can be opened in turn.
    Site {
        /// Where.
        site: Site,
        /// Which element.
        index: Vec<usize>,
        /// Its value.
        value: f32,
    },
    /// A parameter.
    Weight {
        /// Which.
        weight: WeightName,
        /// Which element: [row, column], or [i] of a vector.
        index: Vec<usize>,
        /// Its value.
        value: f32,
    },
}

impl Source {
    /// Its value.
    pub fn value(&self) -> f32 {
        match self {
            Self::Site { value, .. } | Self::Weight { value, .. } => *value,
        }
    }
}

/// One addend.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// What it adds.
    pub value: f64,
    /// First factor.
    pub left: Source,
    /// Second factor; none where the term is the first alone.
    pub right: Option<Source>,
}

/// How a number was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Where it is.
    pub site: Site,
    /// Which element.
    pub index: Vec<usize>,
    /// As the engine computed it.
    pub value: f32,
    /// The kind of operation, as in the API's documentation.
    pub op: &'static str,
    /// The equation, in the page's notation.
    pub formula: &'static str,
    /// All terms, the largest in absolute value first.
    pub terms: Vec<Term>,
    /// Further numbers of the formula, by name: scale, max, sum, mean, std, gain, bias.
    pub extra: Vec<(&'static str, f64)>,
    /// The value put together again from the terms, in f64.
    pub recomputed: f64,
}

pub(crate) fn is_plane(site: Site) -> bool {
    matches!(
        site,
        Site::Block {
            site: BlockSite::Scores | BlockSite::Pattern,
            ..
        }
    )
}

/// Explains element `index` of `site` in a recording of every site.
pub fn explain(
    model: &Model,
    recording: &Recording,
    site: Site,
    index: &[usize],
) -> Result<Cell, TraceError> {
    let value = recording.at(site, index)?;
    let at = Explainer {
        model,
        recording,
        dimensions: model.dimensions(),
        index,
    };
    let mut cell = match site {
        Site::Tokens => at.lookup_token()?,
        Site::Embed => at.row_of(WeightName::Embed, at.token(index[0])?)?,
        Site::PosEmbed => at.row_of(WeightName::PosEmbed, index[0])?,
        Site::Block { layer, site } => at.block(layer, site)?,
        Site::LnFinal => {
            let last = Site::block(at.dimensions.n_layers - 1, BlockSite::ResidPost);
            at.norm(last, WeightName::LnFinalGain, WeightName::LnFinalBias)?
        }
        Site::Logits => at.linear(
            "Σᵢ ln_final[t,i] · W_U[i,v]",
            Site::LnFinal,
            WeightName::Unembed,
            None,
        )?,
        Site::Probs => at.softmax(
            Site::Logits,
            "exp(logits[t,v] − max) / Σ exp(logits[t,·] − max)",
        )?,
    };
    cell.terms
        .sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    Ok(Cell {
        site,
        index: index.to_vec(),
        value,
        ..cell
    })
}

struct Explainer<'a> {
    model: &'a Model,
    recording: &'a Recording,
    dimensions: Dimensions,
    index: &'a [usize],
}

/// A cell whose place and value are filled in by [`explain`].
fn cell(op: &'static str, formula: &'static str, terms: Vec<Term>, recomputed: f64) -> Cell {
    Cell {
        site: Site::Tokens,
        index: Vec::new(),
        value: 0.0,
        op,
        formula,
        terms,
        extra: Vec::new(),
        recomputed,
    }
}

impl Explainer<'_> {
    fn block(&self, layer: usize, site: BlockSite) -> Result<Cell, TraceError> {
        let at = |site| Site::block(layer, site);
        let weight = |weight| WeightName::block(layer, weight);
        match site {
            BlockSite::ResidPre if layer == 0 => self.sum(
                "embed[t,i] + pos_embed[t,i]",
                &[Site::Embed, Site::PosEmbed],
            ),
            BlockSite::ResidPre => self.sum(
                "the stream as the block before left it",
                &[Site::block(layer - 1, BlockSite::ResidPost)],
            ),
            BlockSite::Ln1 => self.norm(
                at(BlockSite::ResidPre),
                weight(BlockWeight::Ln1Gain),
                weight(BlockWeight::Ln1Bias),
            ),
            BlockSite::Q => self.projection(
                layer,
                "Σᵢ ln1[t,i] · W_Q[i,j] + b_Q[j]",
                BlockWeight::Query,
                BlockWeight::QueryBias,
            ),
            BlockSite::K => self.projection(
                layer,
                "Σᵢ ln1[t,i] · W_K[i,j] + b_K[j]",
                BlockWeight::Key,
                BlockWeight::KeyBias,
            ),
            BlockSite::V => self.projection(
                layer,
                "Σᵢ ln1[t,i] · W_V[i,j] + b_V[j]",
                BlockWeight::Value,
                BlockWeight::ValueBias,
            ),
            BlockSite::Scores => self.score(layer),
            BlockSite::Pattern => self.softmax(
                at(BlockSite::Scores),
                "exp(scores[t,s] − max) / Σ exp(scores[t,·] − max)",
            ),
            BlockSite::Z => self.weighted_sum(layer),
            BlockSite::AttnOut => {
                let bias = Some(weight(BlockWeight::OutBias));
                self.linear(
                    "Σⱼ z[t,j] · W_O[j,i] + b_O[i]",
                    at(BlockSite::Z),
                    weight(BlockWeight::Out),
                    bias,
                )
            }
            BlockSite::ResidMid => self.sum(
                "resid_pre[t,i] + attn_out[t,i]",
                &[at(BlockSite::ResidPre), at(BlockSite::AttnOut)],
            ),
            BlockSite::Ln2 => self.norm(
                at(BlockSite::ResidMid),
                weight(BlockWeight::Ln2Gain),
                weight(BlockWeight::Ln2Bias),
            ),
            BlockSite::MlpPre => {
                let bias = Some(weight(BlockWeight::UpBias));
                self.linear(
                    "Σᵢ ln2[t,i] · W_up[i,n] + b_up[n]",
                    at(BlockSite::Ln2),
                    weight(BlockWeight::Up),
                    bias,
                )
            }
            BlockSite::MlpPost => self.activation(at(BlockSite::MlpPre)),
            BlockSite::MlpOut => {
                let bias = Some(weight(BlockWeight::DownBias));
                self.linear(
                    "Σₙ mlp_post[t,n] · W_down[n,i] + b_down[i]",
                    at(BlockSite::MlpPost),
                    weight(BlockWeight::Down),
                    bias,
                )
            }
            BlockSite::ResidPost => self.sum(
                "resid_mid[t,i] + mlp_out[t,i]",
                &[at(BlockSite::ResidMid), at(BlockSite::MlpOut)],
            ),
        }
    }

    fn site(&self, site: Site, index: &[usize]) -> Result<Source, TraceError> {
        Ok(Source::Site {
            site,
            index: index.to_vec(),
            value: self.recording.at(site, index)?,
        })
    }

    fn token(&self, position: usize) -> Result<usize, TraceError> {
        Ok(self.recording.at(Site::Tokens, &[position])? as usize)
    }

    fn lookup_token(&self) -> Result<Cell, TraceError> {
        let value = self.token(self.index[0])? as f64;
        Ok(cell("lookup", "the tokenizer's id", Vec::new(), value))
    }

    /// A row of a table.
    fn row_of(&self, table: WeightName, row: usize) -> Result<Cell, TraceError> {
        let index = [row, self.index[1]];
        let value = Weight::of(self.model, table)?.at(index[0], index[1]);
        let left = Source::Weight {
            weight: table,
            index: index.to_vec(),
            value,
        };
        let formula = if table == WeightName::Embed {
            "W_E[id,i]"
        } else {
            "W_pos[t,i]"
        };
        let value = f64::from(value);
        Ok(cell(
            "lookup",
            formula,
            vec![Term {
                value,
                left,
                right: None,
            }],
            value,
        ))
    }

    /// The same element of several sites, added.
    fn sum(&self, formula: &'static str, sites: &[Site]) -> Result<Cell, TraceError> {
        let mut terms = Vec::new();
        for &site in sites {
            let left = self.site(site, self.index)?;
            terms.push(Term {
                value: f64::from(left.value()),
                left,
                right: None,
            });
        }
        let total = terms.iter().map(|term| term.value).sum();
        Ok(cell("sum", formula, terms, total))
    }

    /// Element (t, h, e) of q, k or v.
    fn projection(
        &self,
        layer: usize,
        formula: &'static str,
        matrix: BlockWeight,
        bias: BlockWeight,
    ) -> Result<Cell, TraceError> {
        let column = self.index[1] * self.dimensions.d_head + self.index[2];
        let [matrix, bias] = [matrix, bias].map(|weight| WeightName::block(layer, weight));
        self.products(
            formula,
            Site::block(layer, BlockSite::Ln1),
            matrix,
            Some(bias),
            column,
        )
    }

    fn linear(
        &self,
        formula: &'static str,
        input: Site,
        matrix: WeightName,
        bias: Option<WeightName>,
    ) -> Result<Cell, TraceError> {
        self.products(formula, input, matrix, bias, self.index[1])
    }

    /// Σ input[t,·]·matrix[·,column] + bias[column].
    fn products(
        &self,
        formula: &'static str,
        input: Site,
        matrix: WeightName,
        bias: Option<WeightName>,
        column: usize,
    ) -> Result<Cell, TraceError> {
        let weights = Weight::of(self.model, matrix)?;
        let inner = self.recording.get(input)?.shape[1..].to_vec();
        let mut terms = Vec::new();
        for row in 0..weights.shape()[0] {
            let mut index = vec![self.index[0]];
            // A row of heads [H,E] is read as one vector.
            match inner.as_slice() {
                [_, d_head] => index.extend([row / d_head, row % d_head]),
                _ => index.push(row),
            }
            let left = self.site(input, &index)?;
            let weight = weights.at(row, column);
            let right = Source::Weight {
                weight: matrix,
                index: vec![row, column],
                value: weight,
            };
            terms.push(Term {
                value: f64::from(left.value()) * f64::from(weight),
                left,
                right: Some(right),
            });
        }
        if let Some(name) = bias {
            let value = Weight::of(self.model, name)?.at(0, column);
            let left = Source::Weight {
                weight: name,
                index: vec![column],
                value,
            };
            terms.push(Term {
                value: f64::from(value),
                left,
                right: None,
            });
        }
        let total = terms.iter().map(|term| term.value).sum();
        Ok(cell("linear", formula, terms, total))
    }

    fn norm(&self, input: Site, gain: WeightName, bias: WeightName) -> Result<Cell, TraceError> {
        let &[t, i] = self.index else {
            return Err(TraceError::NotRecorded(input.to_string()));
        };
        let d = self.dimensions.d_model;
        let row: Vec<f64> = (0..d)
            .map(|i| self.recording.at(input, &[t, i]).map(f64::from))
            .collect::<Result<_, _>>()?;
        let mean = row.iter().sum::<f64>() / d as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d as f64;
        let std = (variance + f64::from(self.model.network.norm_eps())).sqrt();
        let [gain, bias] =
            [gain, bias].map(|name| Weight::of(self.model, name).map(|w| f64::from(w.at(0, i))));
        let (gain, bias) = (gain?, bias?);
        let left = self.site(input, self.index)?;
        let scaled = (f64::from(left.value()) - mean) / std * gain;
        let mut cell = cell(
            "norm",
            "(x[t,i] − mean) / std · gain[i] + bias[i]",
            vec![Term {
                value: scaled,
                left,
                right: None,
            }],
            scaled + bias,
        );
        cell.extra = vec![("mean", mean), ("std", std), ("gain", gain), ("bias", bias)];
        Ok(cell)
    }

    fn score(&self, layer: usize) -> Result<Cell, TraceError> {
        let &[h, t, s] = self.index else {
            unreachable!("a score has three indices")
        };
        let Dimensions {
            d_head,
            n_heads,
            n_kv_heads,
            ..
        } = self.dimensions;
        if s > t {
            let formula = "−∞: a later token must not tell an earlier one";
            return Ok(cell("masked", formula, Vec::new(), f64::NEG_INFINITY));
        }
        let kv = h * n_kv_heads / n_heads;
        let mut terms = Vec::new();
        for e in 0..d_head {
            let left = self.site(Site::block(layer, BlockSite::Q), &[t, h, e])?;
            let right = self.site(Site::block(layer, BlockSite::K), &[s, kv, e])?;
            terms.push(Term {
                value: f64::from(left.value()) * f64::from(right.value()),
                left,
                right: Some(right),
            });
        }
        let scale = 1.0 / (d_head as f64).sqrt();
        let total = terms.iter().map(|term| term.value).sum::<f64>() * scale;
        let mut cell = cell("dot", "Σₑ q[t,e] · k[s,e] · 1/√d_head", terms, total);
        cell.extra = vec![("scale", scale)];
        Ok(cell)
    }

    /// Element of a row of softmax; the terms are exp(x − max) of the whole row.
    fn softmax(&self, input: Site, formula: &'static str) -> Result<Cell, TraceError> {
        let (&own, row) = self.index.split_last().expect("a row and a column");
        let columns = *self.recording.get(input)?.shape.last().expect("a row");
        let mut max = f32::NEG_INFINITY;
        let mut sources = Vec::new();
        for column in 0..columns {
            let index: Vec<usize> = row.iter().copied().chain([column]).collect();
            let source = self.site(input, &index)?;
            max = max.max(source.value());
            // The masked ones contribute exactly nothing.
            if source.value() > f32::NEG_INFINITY {
                sources.push((column, source));
            }
        }
        let exp = |x: f32| f64::from(x - max).exp();
        let sum: f64 = sources.iter().map(|(_, source)| exp(source.value())).sum();
        let own_exp = sources
            .iter()
            .find(|(column, _)| *column == own)
            .map_or(0.0, |(_, s)| exp(s.value()));
        let terms = sources
            .into_iter()
            .map(|(_, left)| Term {
                value: exp(left.value()),
                left,
                right: None,
            })
            .collect();
        let mut cell = cell("softmax", formula, terms, own_exp / sum);
        cell.extra = vec![("max", f64::from(max)), ("sum", sum), ("own", own_exp)];
        Ok(cell)
    }

    fn weighted_sum(&self, layer: usize) -> Result<Cell, TraceError> {
        let &[t, h, e] = self.index else {
            unreachable!("z has three indices")
        };
        let kv = h * self.dimensions.n_kv_heads / self.dimensions.n_heads;
        let mut terms = Vec::new();
        for s in 0..=t {
            let left = self.site(Site::block(layer, BlockSite::Pattern), &[h, t, s])?;
            let right = self.site(Site::block(layer, BlockSite::V), &[s, kv, e])?;
            terms.push(Term {
                value: f64::from(left.value()) * f64::from(right.value()),
                left,
                right: Some(right),
            });
        }
        let total = terms.iter().map(|term| term.value).sum();
        Ok(cell(
            "weighted_sum",
            "Σₛ pattern[t,s] · v[s,e]",
            terms,
            total,
        ))
    }

    fn activation(&self, input: Site) -> Result<Cell, TraceError> {
        let left = self.site(input, self.index)?;
        let x = f64::from(left.value());
        let (formula, value) = match self.model.network.activation() {
            "relu" => ("max(0, x)", x.max(0.0)),
            _ => {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
                (
                    "gelu(x) = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))",
                    0.5 * x * (1.0 + u.tanh()),
                )
            }
        };
        Ok(cell(
            "activation",
            formula,
            vec![Term {
                value: x,
                left,
                right: None,
            }],
            value,
        ))
    }
}
