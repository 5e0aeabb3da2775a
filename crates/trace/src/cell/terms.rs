//! The recipes carried out: each term with the cells it was made of.

use glassformer_kernels::activation::{self, Activation};
use glassformer_model::block::attention::Sees;
use glassformer_model::{BlockSite, Dimensions, Model, Site, WeightName};

use super::recipe::{Picks, Recipe};
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
fn cell(op: &'static str, formula: impl Into<String>, terms: Vec<Term>, recomputed: f64) -> Cell {
    Cell {
        site: Site::Tokens,
        index: Vec::new(),
        value: 0.0,
        op,
        formula: formula.into(),
        terms,
        extra: Vec::new(),
        recomputed,
        edited: false,
    }
}

/// A cell that is the sum of its terms.
fn total(op: &'static str, formula: impl Into<String>, terms: Vec<Term>) -> Cell {
    let sum = terms.iter().map(|term| term.value).sum();
    cell(op, formula, terms, sum)
}

impl Explainer<'_> {
    /// The cell, made as the recipe says.
    pub(super) fn make(&self, recipe: &Recipe) -> Result<Cell, TraceError> {
        match *recipe {
            Recipe::Given(site, formula) => self.given(site, formula),
            Recipe::Row(formula, table, picks) => self.row_of(formula, table, picks),
            Recipe::Sum(formula, ref sites) => self.sum(formula, sites),
            Recipe::Norm(input, gain, bias) => self.norm(input, gain, bias),
            Recipe::Linear(input, column, matrix, bias) => self.linear(input, column, matrix, bias),
            Recipe::Rotation(input, layer) => self.rotation(input, layer),
            Recipe::Score(layer) => self.score(layer),
            Recipe::Softmax(formula, input) => self.softmax(input, formula),
            Recipe::WeightedSum(layer) => self.weighted_sum(layer),
            Recipe::Activation(input, function) => self.activation(input, function),
            Recipe::Gate(gate, up, function) => self.gate([gate, up], function),
        }
    }

    fn site(&self, site: Site, index: &[usize]) -> Result<Source, TraceError> {
        Ok(Source::Site {
            site,
            index: index.to_vec(),
            value: self.recording.at(site, index)?,
        })
    }

    /// A parameter as it was in this run.
    fn weight(&self, name: WeightName) -> Result<Weight<'_>, TraceError> {
        Ok(Weight::of(self.model, name)?.with(self.model, self.recording.edits()))
    }

    /// What the model was given.
    fn given(&self, site: Site, formula: &'static str) -> Result<Cell, TraceError> {
        let value = f64::from(self.recording.at(site, self.index)?);
        Ok(cell("lookup", formula, Vec::new(), value))
    }

    /// A row of a table.
    fn row_of(
        &self,
        formula: &'static str,
        table: WeightName,
        picks: Picks,
    ) -> Result<Cell, TraceError> {
        let &[t, i] = self.index else {
            unreachable!("sites read from a table have two axes")
        };
        let row = match picks {
            Picks::Value(site) => self.recording.at(site, &[t])? as usize,
            Picks::Position => t,
        };
        let left = Source::Weight {
            weight: table,
            index: vec![row, i],
            value: self.weight(table)?.at(row, i),
        };
        Ok(total("lookup", formula, vec![Term::alone(left)]))
    }

    /// The same element of several sites, added.
    fn sum(&self, formula: &'static str, sites: &[Site]) -> Result<Cell, TraceError> {
        let term = |&site: &Site| Ok(Term::alone(self.site(site, self.index)?));
        let terms = sites.iter().map(term).collect::<Result<_, TraceError>>()?;
        Ok(total("sum", formula, terms))
    }

    /// Σ input[t,·]·matrix[·,column] + bias[column].
    fn linear(
        &self,
        input: Site,
        written: &'static str,
        matrix: WeightName,
        (bias_written, bias): (&'static str, WeightName),
    ) -> Result<Cell, TraceError> {
        // Element (t, h, e) of a site of heads is column h·E + e of the matrix.
        let column = match *self.index {
            [_, head, e] => head * self.dimensions.d_head + e,
            [_, column] => column,
            _ => unreachable!("sites made by a matrix have two or three axes"),
        };
        let weights = self.weight(matrix)?.column(column);
        let inner = self.recording.get(input)?.shape[1..].to_vec();
        let mut terms = Vec::with_capacity(weights.len() + 1);
        for (row, &value) in weights.iter().enumerate() {
            let mut index = vec![self.index[0]];
            // A row of heads [H,E] is read as one vector.
            match inner.as_slice() {
                [_, d_head] => index.extend([row / d_head, row % d_head]),
                _ => index.push(row),
            }
            let right = Source::Weight {
                weight: matrix,
                index: vec![row, column],
                value,
            };
            terms.push(Term::product(self.site(input, &index)?, right));
        }
        let name = input.to_string();
        let name = name.rsplit('.').next().unwrap_or_default();
        let mut formula = format!("Σᵢ {name}[t,i] · {written}");
        if let Ok(weight) = self.weight(bias) {
            terms.push(Term::alone(Source::Weight {
                weight: bias,
                index: vec![column],
                value: weight.at(0, column),
            }));
            formula = format!("{formula} + {bias_written}");
        }
        Ok(total("linear", formula, terms))
    }

    /// The norm of a row, which is the last axis of the input.
    fn norm(
        &self,
        input: Site,
        gain: WeightName,
        bias: Option<WeightName>,
    ) -> Result<Cell, TraceError> {
        let (&i, outer) = self.index.split_last().expect("a row and a column");
        let width = *self.recording.get(input)?.shape.last().expect("a row");
        let mut row = Vec::with_capacity(width);
        for i in 0..width {
            let index: Vec<usize> = outer.iter().copied().chain([i]).collect();
            row.push(f64::from(self.recording.at(input, &index)?));
        }
        let eps = f64::from(self.model.network.norm_eps());
        let gain = f64::from(self.weight(gain)?.at(0, i));
        let left = self.site(input, self.index)?;
        let d = width as f64;
        let (formula, value, bias, extra) = if let Some(bias) = bias {
            let bias = f64::from(self.weight(bias)?.at(0, i));
            let mean = row.iter().sum::<f64>() / d;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d;
            let std = (variance + eps).sqrt();
            let formula = "(x[t,i] − mean) / std · gain[i] + bias[i]";
            let extra = vec![("mean", mean), ("std", std), ("gain", gain), ("bias", bias)];
            (formula, (row[i] - mean) / std * gain, bias, extra)
        } else {
            let root = (row.iter().map(|x| x * x).sum::<f64>() / d + eps).sqrt();
            let formula = "x[t,i] / √(mean(x²) + ε) · gain[i]";
            let extra = vec![("rms", root), ("gain", gain)];
            (formula, row[i] / root * gain, 0.0, extra)
        };
        let term = Term {
            value,
            left,
            right: None,
        };
        let mut cell = cell("norm", formula, vec![term], value + bias);
        cell.extra = extra;
        Ok(cell)
    }

    /// One number of a pair that is turned by its position's angle.
    fn rotation(&self, input: Site, layer: usize) -> Result<Cell, TraceError> {
        let &[t, h, e] = self.index else {
            unreachable!("queries and keys have three indices")
        };
        let rope = self.model.network.attention(layer).rope.as_ref();
        let rope = rope.expect("a block that turns queries and keys");
        let half = self.dimensions.d_head / 2;
        let pair = e % half;
        let (cos, sin) = rope.angle(t, pair);
        let (formula, other, function, sin) = if e < half {
            let formula = "x[t,e] · cos θ − x[t,e + d_head/2] · sin θ";
            (formula, e + half, "-sin", -sin)
        } else {
            let formula = "x[t,e] · cos θ + x[t,e − d_head/2] · sin θ";
            (formula, e - half, "sin", sin)
        };
        let angle = |function, value| Source::Angle {
            function,
            index: vec![t, pair],
            value,
        };
        let terms = vec![
            Term::product(self.site(input, &[t, h, e])?, angle("cos", cos)),
            Term::product(self.site(input, &[t, h, other])?, angle(function, sin)),
        ];
        let mut cell = total("rotation", formula, terms);
        cell.extra = vec![("position", t as f64), ("pair", pair as f64)];
        Ok(cell)
    }

    /// The keys that a query of this block looks at.
    fn seen(&self, layer: usize, t: usize) -> Result<std::ops::Range<usize>, TraceError> {
        let scores = Site::block(layer, BlockSite::Scores);
        let &[_, queries, keys] = self.recording.get(scores)?.shape.as_slice() else {
            unreachable!("scores have three axes")
        };
        let sees = self.model.network.attention(layer).sees;
        Ok(sees.keys(t, queries, keys))
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
        let scores = Site::block(layer, BlockSite::Scores);
        let is_seen = self.seen(layer, t)?.contains(&s);
        if self.recording.at(scores, self.index)? == f32::NEG_INFINITY {
            let formula = match self.model.network.attention(layer).sees {
                _ if is_seen => "−∞: masked by hand".to_owned(),
                Sees::Window(width) if s <= t => {
                    format!("−∞: more than {width} positions back, outside of the window")
                }
                _ => "−∞: a later token must not tell an earlier one".to_owned(),
            };
            return Ok(cell("masked", formula, Vec::new(), f64::NEG_INFINITY));
        }
        let kv = h * n_kv_heads / n_heads;
        let mut terms = Vec::new();
        for e in 0..d_head {
            let left = self.site(Site::block(layer, BlockSite::Q), &[t, h, e])?;
            let right = self.site(Site::block(layer, BlockSite::K), &[s, kv, e])?;
            terms.push(Term::product(left, right));
        }
        let scale = 1.0 / (d_head as f64).sqrt();
        let scaled = terms.iter().map(|term| term.value).sum::<f64>() * scale;
        let mut cell = cell("dot", "Σₑ q[t,e] · k[s,e] · 1/√d_head", terms, scaled);
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
        let pattern = Site::block(layer, BlockSite::Pattern);
        let seen = self.seen(layer, t)?;
        for s in 0..self.recording.get(pattern)?.shape[2] {
            // Keys that the mask hides, unless it was opened for them, have no part in it.
            if !seen.contains(&s) && self.recording.at(pattern, &[h, t, s])? == 0.0 {
                continue;
            }
            let left = self.site(pattern, &[h, t, s])?;
            let right = self.site(Site::block(layer, BlockSite::V), &[s, kv, e])?;
            terms.push(Term::product(left, right));
        }
        Ok(total("weighted_sum", "Σₛ pattern[t,s] · v[s,e]", terms))
    }

    fn activation(&self, input: Site, function: Activation) -> Result<Cell, TraceError> {
        let left = self.site(input, self.index)?;
        let (formula, value) = activated(function, left.value());
        Ok(cell("activation", formula, vec![Term::alone(left)], value))
    }

    /// f(gate)·up.
    fn gate(&self, [gate, up]: [Site; 2], function: Activation) -> Result<Cell, TraceError> {
        let (left, right) = (self.site(gate, self.index)?, self.site(up, self.index)?);
        let (formula, open) = activated(function, left.value());
        let term = Term {
            value: open * f64::from(right.value()),
            left,
            right: Some(right),
        };
        let formula = format!("f(mlp_pre) · mlp_up, f(x) = {formula}");
        let mut cell = total("gate", formula, vec![term]);
        cell.extra = vec![("activated", open)];
        Ok(cell)
    }
}

/// The function as the page writes it, and its value.
fn activated(function: Activation, x: f32) -> (&'static str, f64) {
    let given = x;
    let x = f64::from(x);
    match function {
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
            activation::forward(Activation::Gelu, &mut value, &[given]);
            ("½ x (1 + erf(x/√2))", f64::from(value[0]))
        }
    }
}
