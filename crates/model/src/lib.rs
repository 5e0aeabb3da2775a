//! Ids to logits: embedding → attention → MLP → unembedding.
//!
//! Level 3. # Steps
//!
//! 1. [`families`] composes the layers below as a checkpoint's architecture asks (one file per family).
//! 2. [`embed`] turns ids into vectors: rows of W_E, plus rows of W_pos.
//! 3. [`block`] adds to the residual stream: norm ► attention ► + ► norm ► MLP ► +.
//! 4. [`unembed`] turns the last vectors into logits.
//! 5. [`loss`] compares logits with the true next tokens, without holding all logits at once.
//!
//! Every layer is a pair `forward`/`backward` ([`Layer`]). A family is written once, forward, against a [`Pass`]; in
//! training the pass keeps a tape of the layer calls and replays it backwards. At each named place ([`Site`]) the pass
//! shows the value to a [`Hook`], which may record or change it.
//!
//! Dimension key, used as suffixes of names: B batch, T query position, S key position, D d_model, H heads, K key/value
//! heads, E d_head, F d_ff, V vocab, L layer.

pub mod block;
pub mod embed;
pub mod export;
pub mod families;
pub mod loss;
pub mod unembed;

mod adapter;
mod cache;
mod checkpoint;
mod gradients;
mod hook;
mod layer;
mod layout;
mod lengths;
mod model;
mod packed;
mod pair_cache;
mod parameters;
mod pass;
mod site;
mod tape;
mod trainable;
mod weight_name;

pub use adapter::{Adapter, AdapterError, LoraConfig, Targets};
pub use cache::KvCache;
pub use checkpoint::{Checkpoint, Keep, Order, Place};
pub use gradients::Gradients;
pub use hook::{Hook, View, ViewMut};
pub use layer::{Backward, Layer, Run};
pub use layout::{Init, Layout, ParamId, ParamSpec};
pub use lengths::Lengths;
pub use model::{Dimensions, EncoderDecoder, Marks, Model, ModelError, Network};
pub use packed::PackedWeights;
pub use pair_cache::PairCache;
pub use parameters::Parameters;
pub use pass::{Mode, Pass};
pub use site::{BlockSite, Site, Stack, StackSite};
pub use tape::{Tape, Value};
pub use trainable::Trainable;
pub use weight_name::{BlockWeight, WeightName, WeightView};
