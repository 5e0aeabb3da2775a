//! What a step of training changes.

use crate::{Model, PackedWeights, Parameters};

/// The parameters that are trained, and operands that are to follow them.
#[derive(Debug)]
pub struct Trainable<'a> {
    /// To be changed.
    pub parameters: &'a mut Parameters,
    /// [To be kept up](PackedWeights::follow) with them, if they are used.
    pub packed: Option<&'a mut PackedWeights>,
}

impl<'a> From<&'a mut Parameters> for Trainable<'a> {
    /// Parameters of which nothing is laid out.
    fn from(parameters: &'a mut Parameters) -> Self {
        Self {
            parameters,
            packed: None,
        }
    }
}

impl<'a> From<&'a mut Model> for Trainable<'a> {
    /// All of a model, or its adapter if it has one: then what is packed stays as it is. Else packed weights that do not
    /// follow are dropped.
    fn from(model: &'a mut Model) -> Self {
        if model.parameters.adapter().is_some() {
            return model.parameters.trained_mut().into();
        }
        let packed = model.packed.take();
        model.packed = packed.filter(PackedWeights::is_for_training);
        Self {
            parameters: &mut model.parameters,
            packed: model.packed.as_mut(),
        }
    }
}
