//! A network together with its parameters.

use glassformer_kernels::attention::Number;
use glassformer_kernels::product::Precision;
use glassformer_tensor::{Buffers, Pool, Tensor};
use glassformer_weights::WeightsError;

use crate::block::attention::Attention;
use crate::block::mlp::Activation;
use crate::block::{Half, Linear};
use crate::export::GgufForm;
use crate::unembed::Unembed;
use crate::{
    Adapter, KvCache, Lengths, Mode, PackedWeights, PairCache, Parameters, Pass, Place, Run, Site,
    Value, WeightName, WeightView,
};

/// The sizes that every network has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    /// L.
    pub n_layers: usize,
    /// H.
    pub n_heads: usize,
    /// K.
    pub n_kv_heads: usize,
    /// D.
    pub d_model: usize,
    /// E.
    pub d_head: usize,
    /// F.
    pub d_ff: usize,
    /// Longest sequence.
    pub n_ctx: usize,
    /// V.
    pub vocab: usize,
}

/// A composition of layers: what a file in [`crate::families`] provides.
pub trait Network: Send + Sync {
    /// Its family's name, as in `config.json`'s `model_type`.
    fn family(&self) -> &'static str;

    /// Its sizes.
    fn dimensions(&self) -> Dimensions;

    /// Facts for people: (name, value).
    fn facts(&self) -> Vec<(&'static str, String)>;

    /// The MLP's activation function.
    fn activation(&self) -> Activation;

    /// ε under the root of the norms.
    fn norm_eps(&self) -> f32;

    /// The sites that a pass shows, in the order in which they are computed.
    fn sites(&self) -> Vec<Site>;

    /// The attention of a block.
    fn attention(&self, layer: usize) -> &Attention;

    /// Ids `[B·T]` to the residual stream after the last block `[B·T,D]`. A network that reads a source first needs a pass
    /// that has it ([`Pass::with_source`], or [`Mode::CachedPair`](crate::Mode)).
    fn residual(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value;

    /// The residual stream `[B·T,D]` through one half of one block.
    fn half_block(&self, pass: &mut Pass<'_>, x: Value, layer: usize, half: Half) -> Value;

    /// The last stage; a bare encoder has none and ends at vectors.
    fn unembed(&self) -> Option<&Unembed>;

    /// Whether each position sees those behind it too: such a network reads texts and cannot continue them.
    fn is_encoder(&self) -> bool {
        false
    }

    /// Whether norms stand behind the parts of a block, on the residual stream itself.
    fn is_post_norm(&self) -> bool {
        false
    }

    /// Its two stacks, if it reads a source and writes a target.
    fn pair(&self) -> Option<&dyn EncoderDecoder> {
        None
    }

    /// All linear layers, the unembedding among them.
    fn linears(&self) -> Vec<Linear>;

    /// Where a parameter lies, if this network has it.
    fn weight(&self, name: WeightName) -> Option<WeightView>;

    /// `config.json` in the family's own field names.
    fn config_json(&self) -> String;

    /// The tensor that the family's checkpoints on Hugging Face hold for the parameter `name`.
    fn hugging_face(&self, name: &str) -> Place {
        Place::named(name)
    }

    /// How llama.cpp's files hold such a network. Errors: they cannot, in words that follow "the model".
    fn gguf(&self) -> Result<GgufForm, String>;
}

/// What a network has that reads a source and writes a target (Vaswani et al. 2017, §3.1).
pub trait EncoderDecoder {
    /// The sizes of the stack that reads the source.
    fn encoder(&self) -> Dimensions;

    /// The ids with which targets begin and end.
    fn marks(&self) -> Marks;

    /// The sources of a pass, `ids [ΣS]`, to what the decoder looks at `[ΣS,D]`.
    fn encode(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value;

    /// Targets, `ids [ΣT]`, to the residual stream after the last block `[ΣT,D]`; `memory [ΣS,D]` is what the encoder made
    /// of their sources, unless the pass has a cache of them.
    fn decode(&self, pass: &mut Pass<'_>, ids: &[u32], memory: Option<&Value>) -> Value;

    /// The keys and values of all cross-attention, made of `memory [ΣS,D]`, into an empty cache.
    fn remember(&self, pass: &mut Pass<'_>, memory: &Value, cache: &mut KvCache);
}

/// Ids with a meaning for whoever writes targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Stands before the first id of a target.
    pub start: Option<u32>,
    /// Ends a source and a target.
    pub end: Option<u32>,
    /// Fills up batches elsewhere; never written.
    pub pad: Option<u32>,
}

/// A network and the parameters bound to it.
pub struct Model {
    /// The composition.
    pub network: Box<dyn Network>,
    /// The numbers.
    pub parameters: Parameters,
    /// What operands of products are rounded to when the model runs.
    pub precision: Precision,
    /// Weights laid out beforehand by [`Model::pack`] or [`Model::pack_trained`]. Whoever changes the parameters afterwards
    /// must drop them, or have them follow.
    pub packed: Option<PackedWeights>,
}

impl Model {
    /// A network bound to parameters of its layout; runs in `f32` until told otherwise.
    pub fn new(network: Box<dyn Network>, parameters: Parameters) -> Self {
        Self {
            network,
            parameters,
            precision: Precision::F32,
            packed: None,
        }
    }

    /// What layer calls need, from this model and the caller's threads and memory.
    pub fn run<'a>(&'a self, pool: &'a Pool, buffers: &'a Buffers) -> Run<'a> {
        Run {
            packed: self.packed.as_ref(),
            precision: self.precision,
            ..Run::new(&self.parameters, pool, buffers)
        }
    }

    /// Lays the weights out for products in `precision`, once, for a model that is only run from now on.
    pub fn pack(&mut self, pool: &Pool, precision: Precision) {
        let adapter = self.parameters.adapter().into_iter();
        let mut linears = self.network.linears();
        linears.extend(adapter.flat_map(Adapter::linears));
        self.pack_only(pool, precision, &linears);
    }

    /// As [`Model::pack`], of a model whose adapter alone will be trained: all that stays as it is.
    pub fn pack_frozen(&mut self, pool: &Pool, precision: Precision) {
        self.pack_only(pool, precision, &self.network.linears());
    }

    /// Lays the weights of a model that will be trained as a whole out for products in `precision`: training's steps keep
    /// them up. It costs two operands of each matrix in memory, and saves laying them out for each pass.
    pub fn pack_trained(&mut self, pool: &Pool, precision: Precision) {
        let linears = self.network.linears();
        let packed = PackedWeights::for_training(pool, &self.parameters, precision, &linears);
        self.precision = precision;
        self.packed = Some(packed);
    }

    fn pack_only(&mut self, pool: &Pool, precision: Precision, linears: &[Linear]) {
        let packed = PackedWeights::new(pool, &self.parameters, precision, linears);
        self.precision = precision;
        self.packed = Some(packed);
    }

    /// The name in its file of a parameter with a NaN or an infinity, if one was met so far: when the model was loaded,
    /// and when it was [packed](Model::pack). Such a model answers with nonsense.
    pub fn not_finite(&self) -> Option<&str> {
        let packed = self.packed.as_ref().and_then(PackedWeights::not_finite);
        self.parameters.not_finite().or(packed)
    }

    /// An empty cache for one sequence: as exact as the model's products.
    pub fn cache(&self) -> KvCache {
        let number = match self.precision {
            Precision::F32 => Number::F32,
            Precision::Bf16 => Number::F16,
        };
        KvCache::of(&self.network.dimensions(), number)
    }

    /// Reads sources, `ids [ΣS]` one behind the other, once, for targets to be written: caches with one hypothesis for each.
    ///
    /// # Panics
    /// When the network reads no source.
    pub fn encode(&self, run: Run<'_>, ids: &[u32], lengths: Lengths) -> PairCache {
        let pair = self.network.pair().expect("an encoder–decoder");
        let mut cache = PairCache::new(self.cache(), self.cache(), &lengths);
        let mut pass = Pass::over(run, lengths.clone(), Mode::Inference);
        pass = pass.with_source(ids, lengths);
        let memory = pair.encode(&mut pass, ids);
        pair.remember(&mut pass, &memory, cache.cross());
        cache.cross().advance(memory.tensor().rows());
        cache
    }

    /// The last stage.
    ///
    /// # Panics
    /// When the network is a bare encoder, which has none.
    pub fn head(&self) -> &Unembed {
        let head = self.network.unembed();
        head.expect("a network that ends at logits")
    }

    /// Ids `[B·T]` to logits `[B·T,V]`. Panics as [`Model::head`].
    pub fn logits(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value {
        let x = self.network.residual(pass, ids);
        let normed = self.head().normed(pass, &x);
        self.head().logits(pass, &normed)
    }

    /// Ids `[B·T]` as far as the network goes: to logits, or to the vectors at which a bare encoder ends.
    pub fn forward(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value {
        match self.network.unembed() {
            Some(_) => self.logits(pass, ids),
            None => self.network.residual(pass, ids),
        }
    }

    /// Ids `[B·T]` to the vectors `[B·T,D]` that stand for the positions: those that an encoder's last block leaves, or
    /// a decoder's after its final norm.
    pub fn vectors(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value {
        let x = self.network.residual(pass, ids);
        match self.network.unembed() {
            Some(head) if !self.network.is_encoder() => head.normed(pass, &x),
            _ => x,
        }
    }

    /// Logits `[1,V]` after the last of `ids` only: the other rows are not unembedded. Panics as [`Model::head`].
    pub fn last_logits(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Tensor {
        let x = self.network.residual(pass, ids);
        let normed = self.head().normed(pass, &x);
        let rows = normed.tensor().rows();
        let mut last = pass.run().tensor(&[1, normed.tensor().width()]);
        last.data_mut()
            .copy_from_slice(normed.tensor().row(rows - 1));
        let last = pass.constant(last);
        self.head().logits(pass, &last).tensor
    }

    /// Any residual stream `[T,D]` through the final norm and the unembedding, to logits `[T,V]`. Panics as
    /// [`Model::head`].
    pub fn unembed(&self, pass: &mut Pass<'_>, residual: Tensor) -> Tensor {
        let x = pass.constant(residual);
        let normed = self.head().normed(pass, &x);
        let logits = self.head().logits(pass, &normed);
        logits.tensor().copy(pass.run().buffers)
    }

    /// Its sizes.
    pub fn dimensions(&self) -> Dimensions {
        self.network.dimensions()
    }

    /// Refuses an encoder, for whoever wants a text continued; `origin` names the model in the message.
    pub fn check_continues(&self, origin: &str) -> Result<(), ModelError> {
        if self.network.is_encoder() {
            return Err(ModelError::Encoder {
                origin: origin.to_owned(),
                family: self.network.family(),
            });
        }
        self.check_reads_alone(origin)
    }

    /// Refuses an encoder–decoder, for whoever has one text alone; `origin` names the model in the message.
    pub fn check_reads_alone(&self, origin: &str) -> Result<(), ModelError> {
        if self.network.pair().is_some() {
            return Err(ModelError::Pair {
                origin: origin.to_owned(),
                family: self.network.family(),
            });
        }
        Ok(())
    }
}

/// What can be wrong with a model's files.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// `config.json` cannot be understood.
    #[error("{origin}: config.json {reason}")]
    Config {
        /// Which model.
        origin: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The metadata of a GGUF file cannot be understood.
    #[error("{origin} {reason}")]
    Metadata {
        /// Which file.
        origin: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The model reads texts and cannot continue them.
    #[error(
        "{origin} is an encoder ({family}): it turns texts into vectors and cannot continue one; give a decoder, such as gpt2 or llama"
    )]
    Encoder {
        /// Which model.
        origin: String,
        /// As in [`Network::family`].
        family: &'static str,
    },
    /// The model makes one text of another.
    #[error(
        "{origin} is an encoder–decoder ({family}): it makes one text of another (`translate` runs it), and this needs a model of one stack, such as gpt2, llama or bert"
    )]
    Pair {
        /// Which model.
        origin: String,
        /// As in [`Network::family`].
        family: &'static str,
    },
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}
