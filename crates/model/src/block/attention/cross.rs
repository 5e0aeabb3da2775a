//! Cross-attention: each position of the target asks the positions of the source (Vaswani et al. 2017, §3.2.3).

use glassformer_kernels::attention::backward::OutputRows;
use glassformer_kernels::attention::{Input, Sees, Sequences, decode};
use glassformer_kernels::product::Precision;
use glassformer_tensor::Tensor;

use super::heads::{Heads, Mix};
use super::open;
use super::scoring::Scoring;
use crate::block::{Linear, Norm, RoundedLinear};
use crate::{Backward, BlockSite, Gradients, KvCache, Layer, Lengths, Pass, Run, Site, Value};

/// cross_out = concat_h(softmax(q_h·k_hᵀ/√E)·v_h)·W_O + b_O, where q is made from the target, k and v from what the encoder
/// made of the source.
#[derive(Clone, Copy, Debug)]
pub struct CrossAttention {
    /// D → H·E: queries of all heads.
    pub q: Linear,
    /// D → 2K·E: keys and values of all heads side by side.
    pub kv: Linear,
    /// The heads' sizes.
    pub heads: Heads,
    /// By what products of queries and keys are multiplied.
    pub scale: f32,
    /// H·E → D.
    pub out: Linear,
}

impl CrossAttention {
    /// `x [ΣT,D]` (after the norm) to what cross-attention adds, `[ΣT,D]`, step by step for whoever looks. `memory [ΣS,D]`
    /// is what the encoder made of the sources, unless the pass has a cache of them.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        x: &Value,
        memory: Option<&Value>,
        layer: usize,
    ) -> Value {
        let Heads {
            heads,
            kv_heads,
            d_head,
        } = self.heads;
        let at = |site| Site::block(layer, site);
        let mut q = self.q.call(pass, x);
        pass.tap(at(BlockSite::CrossQ), &mut q, &[heads, d_head]);
        let kv = memory.map(|memory| {
            let mut kv = self.kv.call(pass, memory);
            let sources = sources(pass);
            for (i, site) in [BlockSite::CrossK, BlockSite::CrossV]
                .into_iter()
                .enumerate()
            {
                let width = self.heads.kv_width();
                let (columns, axes) = (i * width..(i + 1) * width, [kv_heads, d_head]);
                pass.tap_columns_of(&sources, at(site), &mut kv, columns, &axes);
            }
            kv
        });
        let mut z = self.mix(pass, &q, kv.as_ref(), layer);
        pass.tap(at(BlockSite::CrossZ), &mut z, &[heads, d_head]);
        self.out.call(pass, &z)
    }

    /// `x [ΣT,D]` (before the norm, if one comes first) to the weighted sums z `[ΣT,H·E]`, in few layers; z may be rounded.
    pub(crate) fn fused(
        &self,
        pass: &mut Pass<'_>,
        norm: Option<Norm>,
        x: &Value,
        memory: Option<&Value>,
        layer: usize,
    ) -> Value {
        let kept = match memory {
            Some(_) => self.heads.kept(pass.run().precision),
            // The cache is read by queries in f32.
            None => Precision::F32,
        };
        let rounded = |linear| RoundedLinear { linear, kept };
        let q = rounded(self.q).behind(pass, norm, x);
        let kv = memory.map(|memory| rounded(self.kv).behind(pass, None, memory));
        self.mix(pass, &q, kv.as_ref(), layer)
    }

    /// The sites that it shows, in the order in which they are computed.
    pub(crate) fn sites() -> [BlockSite; 6] {
        use BlockSite::{CrossK, CrossPattern, CrossQ, CrossScores, CrossV, CrossZ};
        [CrossQ, CrossK, CrossV, CrossScores, CrossPattern, CrossZ]
    }

    /// All its linear layers.
    pub(crate) fn linears(&self) -> [Linear; 3] {
        [self.q, self.kv, self.out]
    }

    /// Keys and values of the sources, made of `memory [ΣS,D]`, into the cache of block `layer`.
    pub(crate) fn remember(
        &self,
        pass: &mut Pass<'_>,
        memory: &Value,
        cache: &mut KvCache,
        layer: usize,
    ) {
        let kv = self.kv.call(pass, memory);
        let rows = kv.tensor().data().chunks_exact(2 * self.heads.kv_width());
        cache.write(
            layer,
            rows.map(|row| row.split_at(self.heads.kv_width()).into()),
        );
    }

    fn mix(&self, pass: &mut Pass<'_>, q: &Value, kv: Option<&Value>, layer: usize) -> Value {
        let mix = Mix {
            heads: self.heads,
            sees: Sees::All,
            scoring: Scoring {
                scale: self.scale,
                bias: None,
            },
            dropout: None,
        };
        let Some(kv) = kv else {
            return mix_cached(&mix, pass, q, layer);
        };
        let (targets, sources) = (pass.lengths().clone(), sources(pass));
        let sites = [BlockSite::CrossScores, BlockSite::CrossPattern];
        let sites = sites.map(|site| Site::block(layer, site));
        let seen = open::is_watched(pass, sites).then(|| {
            let input = input(self.heads, q.tensor(), kv.tensor());
            let shape = mix.shape(targets.with_keys_of(&sources));
            open::mix(pass, shape, &|_, f| f(input), sites)
        });
        match seen {
            Some(z) if !pass.is_training() => z,
            _ => {
                let dropout = pass.pattern_mask();
                let call = AcrossHeads {
                    mix: Mix { dropout, ..mix },
                    targets,
                    sources,
                };
                pass.apply(call, [q, kv])
            }
        }
    }
}

/// The lengths of the sources.
fn sources(pass: &Pass<'_>) -> Lengths {
    let (_, lengths) = pass.source().expect("a pass with a source");
    lengths
}

/// Queries `[ΣT,H·E]` and fused rows k·v `[ΣS,2K·E]`.
fn input<'a>(heads: Heads, q: &'a Tensor, kv: &'a Tensor) -> Input<'a> {
    let width = heads.kv_width();
    Input {
        q: q.as_rows(),
        k: kv.as_rows().columns(0, width),
        v: kv.as_rows().columns(width, 2 * width),
        dropout: None,
        bias: None,
    }
}

/// Decoding: the hypotheses' new queries against the keys and values of their sources.
fn mix_cached(mix: &Mix, pass: &mut Pass<'_>, q: &Value, layer: usize) -> Value {
    let (run, rows) = (pass.run(), pass.rows());
    let mut z = run.tensor(&[rows, mix.heads.width()]);
    let cache = pass.pair_cache().expect("a cached pass, or sources");
    let new = rows / cache.hypotheses().max(1);
    let (kept, sequences) = cache.reading(new);
    let kept = kept.read(layer);
    let Sequences::Ragged { keys: starts, .. } = sequences else {
        unreachable!("sources are told one by one");
    };
    let of = |b: usize| {
        let all = kept.of(0);
        all.map(|all| all.range(starts[b], starts[b + 1]))
    };
    let shape = mix.shape(sequences);
    let mut scratch = run.tensor(&[decode::scratch_len(&shape)]);
    let (z_rows, scratch) = (z.data_mut(), scratch.data_mut());
    decode::decode(
        run.pool,
        shape,
        q.tensor().as_rows(),
        None,
        of,
        z_rows,
        scratch,
    );
    pass.constant(z)
}

/// One call over whole sequences: queries `[ΣT,H·E]` and fused rows k·v `[ΣS,2K·E]` to z `[ΣT,H·E]`.
///
/// The equation, what is saved and the derivative are those of [`SelfAttention`](super::SelfAttention).
#[derive(Clone, Debug)]
pub struct AcrossHeads {
    /// Queries, keys and values to weighted sums.
    pub mix: Mix,
    /// Which rows of the queries are one sequence.
    pub targets: Lengths,
    /// Which rows of the keys are.
    pub sources: Lengths,
}

impl Layer<2> for AcrossHeads {
    /// log Σ exp of the scores, [H,T] of each sequence.
    type Saved = Tensor;

    const NEEDS_OUTPUT: bool = true;

    fn forward(&self, run: Run<'_>, [q, kv]: [&Tensor; 2]) -> (Tensor, Tensor) {
        let sequences = self.targets.with_keys_of(&self.sources);
        self.mix
            .forward(run, sequences, input(self.mix.heads, q, kv))
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Tensor, 2>,
        gradients: &mut Gradients,
    ) -> [Tensor; 2] {
        let kept = call.inputs[0].precision();
        let mut d_inputs = call.inputs.map(|x| run.in_precision(kept, x.shape()));
        let rows = OutputRows::Apart(d_inputs.each_mut().map(Tensor::words_mut));
        let sequences = self.targets.with_keys_of(&self.sources);
        let [q, kv] = call.inputs;
        let input = input(self.mix.heads, q, kv);
        self.mix
            .backward(run, sequences, input, &call, rows, gradients);
        d_inputs
    }
}
