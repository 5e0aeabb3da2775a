//! A model's parameters as another file holds them: under that file's names and in its order, one tensor at a time.
//!
//! ```text
//! parameter ─► its Place in the file ─► Export (name, shape, stored type) ─► NewTensor of the type that is asked for
//! ```

mod quantise;

use std::borrow::Cow;

use glassformer_weights::gguf::Value;
use glassformer_weights::{DataType, NewTensor, Values};

use crate::{Model, Order, ParamSpec, Place};
pub use quantise::{Mix, Role};

/// From a parameter's name to its tensor, if there is one.
pub type Find = Box<dyn Fn(&str) -> Option<Place>>;

/// What a GGUF file says of a network, and how it holds the parameters.
pub struct GgufForm {
    /// `general.architecture`.
    pub architecture: &'static str,
    /// Keys with the architecture's sizes, and their values.
    pub metadata: Vec<(String, Value)>,
    /// From a parameter's name to its tensor; none for what such files have no room for.
    pub find: Find,
    /// Vectors that are no parameters here.
    pub vectors: Vec<(String, Vec<f32>)>,
    /// What is lost, or read in another way by llama.cpp.
    pub remarks: Vec<String>,
}

/// A tensor of a file to be written.
pub struct Export<'a> {
    /// Its name there.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// How its numbers are kept now.
    pub stored: DataType,
    from: From<'a>,
}

/// What a tensor is made of.
enum From<'a> {
    Parameter {
        model: &'a Model,
        spec: &'a ParamSpec,
        order: Order,
    },
    Vector(Vec<f32>),
}

impl Model {
    /// The parameters as the family's checkpoints on Hugging Face hold them.
    pub fn as_hugging_face(&self) -> Vec<Export<'_>> {
        let specs = self.parameters.layout().specs().iter();
        specs
            .map(|spec| self.export(spec, self.network.hugging_face(&spec.name)))
            .collect()
    }

    /// The parameters as llama.cpp's files hold them, in the order of `form`, which is [`gguf`](crate::Network::gguf)'s.
    pub fn as_gguf<'a>(&'a self, form: &GgufForm) -> Vec<Export<'a>> {
        let vectors = form.vectors.iter().map(|(name, values)| Export {
            name: name.clone(),
            shape: vec![values.len()],
            stored: DataType::F32,
            from: From::Vector(values.clone()),
        });
        let specs = self.parameters.layout().specs().iter();
        let parameters = specs.filter_map(|spec| Some(self.export(spec, (form.find)(&spec.name)?)));
        vectors.chain(parameters).collect()
    }

    fn export<'a>(&'a self, spec: &'a ParamSpec, place: Place) -> Export<'a> {
        Export {
            name: place.name,
            shape: place.order.shape(&spec.shape),
            stored: self.parameters.data_type(spec.id),
            from: From::Parameter {
                model: self,
                spec,
                order: place.order,
            },
        }
    }
}

impl<'a> Export<'a> {
    /// As `data_type`, made when its turn comes. Where that is the type it is kept in now, its bytes stay as they are.
    pub fn into_tensor(self, data_type: DataType) -> NewTensor<'a> {
        let Self {
            name, shape, from, ..
        } = self;
        NewTensor::new(name, &shape, data_type, move || {
            Ok(match from {
                From::Vector(values) => Values::F32(Cow::Owned(values)),
                From::Parameter { model, spec, order } => {
                    let bytes = model.parameters.encoded(spec, order, data_type);
                    match bytes {
                        Some(bytes) => Values::Encoded(Cow::Owned(bytes)),
                        None => Values::F32(values(model, spec, order)),
                    }
                }
            })
        })
    }
}

/// The parameter's values in the order of the file.
fn values<'a>(model: &'a Model, spec: &ParamSpec, order: Order) -> Cow<'a, [f32]> {
    let values = model.parameters.values(spec.id);
    match order {
        Order::Same | Order::Absent => values,
        _ => Cow::Owned(order.arrange(&spec.shape, &values)),
    }
}
