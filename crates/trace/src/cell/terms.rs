//! The recipes carried out: each term with the cells it was made of.

use glassformer_kernels::activation::{self, Activation};
use glassformer_model::{BlockSite, Dimensions, Model, Site, WeightName};

use super::recipe::Recipe;
use super::{Cell, Source, Term};
use crate::weight::Weight;
use crate::{Recording, TraceError};

/// One element of a recording, to be explained.
pub(super) struct Explainer<'a> {
    pub(super) model: &'a Model,
    pub(super) recording: &'a Recording,
    pub(super) dimensions: Dimensions,
    pub(super) index: &'a [usize],
}

/// A cell whose place and value are filled in by [`super::explain`].
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
    /// The cell, made as the recipe says.
    pub(super) fn make(&self, recipe: &Recipe) -> Result<Cell, TraceError> {
        match *recipe {
            Recipe::Token => self.lookup_token(),
            Recipe::Row(WeightName::Embed) => {
                self.row_of(WeightName::Embed, self.token(self.index[0])?)
            }
            Recipe::Row(table) => self.row_of(table, self.index[0]),
            Recipe::Sum(formula, ref sites) => self.sum(formula, sites),
            Recipe::Norm(input, gain, bias) => self.norm(input, gain, bias),
            Recipe::Linear(formula, input, matrix, bias) => {
                self.linear(formula, input, matrix, bias)
            }
            Recipe::Score(layer) => self.score(layer),
            Recipe::Softmax(formula, input) => self.softmax(input, formula),
            Recipe::WeightedSum(layer) => self.weighted_sum(layer),
            Recipe::Activation(input) => self.activation(input),
        }
    }

    /// Whether the model has this parameter.
    fn has(&self, name: WeightName) -> bool {
        self.model.network.weight(name).is_some()
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
        // A model that turns queries and keys instead adds no positions.
        let adds = |site: &&Site| **site != Site::PosEmbed || self.has(WeightName::PosEmbed);
        for &site in sites.iter().filter(adds) {
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

    /// Σ input[t,·]·matrix[·,column] + bias[column].
    fn linear(
        &self,
        formula: &'static str,
        input: Site,
        matrix: WeightName,
        bias: Option<WeightName>,
    ) -> Result<Cell, TraceError> {
        // Element (t, h, e) of a site of heads is column h·E + e of the matrix.
        let column = match *self.index {
            [_, head, e] => head * self.dimensions.d_head + e,
            [_, column] => column,
            _ => unreachable!("sites made by a matrix have two or three axes"),
        };
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
        if let Some(name) = bias.filter(|&name| self.has(name)) {
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
        let eps = f64::from(self.model.network.norm_eps());
        let gain = f64::from(Weight::of(self.model, gain)?.at(0, i));
        if !self.has(bias) {
            let square = row.iter().map(|x| x * x).sum::<f64>() / d as f64;
            let root = (square + eps).sqrt();
            let left = self.site(input, self.index)?;
            let value = f64::from(left.value()) / root * gain;
            let term = Term {
                value,
                left,
                right: None,
            };
            let formula = "x[t,i] / √(mean(x²) + ε) · gain[i]";
            let mut cell = cell("norm", formula, vec![term], value);
            cell.extra = vec![("rms", root), ("gain", gain)];
            return Ok(cell);
        }
        let bias = f64::from(Weight::of(self.model, bias)?.at(0, i));
        let mean = row.iter().sum::<f64>() / d as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d as f64;
        let std = (variance + eps).sqrt();
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
            Activation::Relu => ("max(0, x)", x.max(0.0)),
            Activation::Silu => ("x / (1 + exp(−x))", x / (1.0 + (-x).exp())),
            Activation::GeluTanh => {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
                let formula = "½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))";
                (formula, 0.5 * x * (1.0 + u.tanh()))
            }
            Activation::Gelu => {
                // There is no error function here but the engine's own.
                let mut value = [0.0];
                activation::forward(Activation::Gelu, &mut value, &[left.value()]);
                ("½ x (1 + erf(x/√2))", f64::from(value[0]))
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
