//! How much work a model's passes are, counted from its sizes: operations (a product and a sum are two) and bytes.

use glassformer_model::{Model, WeightName};

use super::work::Precision;

/// The sizes that decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Count {
    /// Elements of all matrices that every token is multiplied with, the unembedding among them. Tables in which rows
    /// are only looked up (positions; the embedding, unless it is also the unembedding) are left out.
    matrices: f64,
    /// Elements of the unembedding, D·V.
    unembed: f64,
    /// Elements of all parameters that every token needs: the matrices, biases and gains.
    read: f64,
    /// L·H·E: the width of attention in all layers.
    attention: f64,
    /// Whether a position sees the earlier ones only, half of all pairs.
    is_causal: bool,
}

impl Count {
    pub(super) fn of(model: &Model) -> Self {
        let size = |name| {
            let view = model.network.weight(name);
            view.map_or(0.0, |view| (view.rows * view.cols) as f64)
        };
        let (embed, head) = (
            model.network.weight(WeightName::Embed),
            model.network.unembed(),
        );
        let tied = head.is_some_and(|head| head.is_tied_to(embed));
        let embed = if tied { 0.0 } else { size(WeightName::Embed) };
        let looked_up = size(WeightName::PosEmbed) + embed;
        let linears = model.network.linears();
        let matrices: usize = linears.iter().map(|l| l.d_in * l.d_out).sum();
        let d = model.dimensions();
        Self {
            matrices: matrices as f64,
            unembed: head.map_or(0.0, |head| (head.linear.d_in * head.linear.d_out) as f64),
            is_causal: !model.network.is_encoder(),
            read: model.parameters.layout().len() as f64 - looked_up,
            attention: (d.n_layers * d.n_heads * d.d_head) as f64,
        }
    }

    /// Operations of one optimiser step over `batch` sequences of `positions` tokens:
    ///
    /// 6·matrices·tokens (2 forward, 2 for each of the two gradients) + 7·T²·L·H·E·batch (causal attention has two
    /// products forward and five backward, each 2·T²/2·H·E per layer and sequence). Norms, activations, the softmaxes
    /// and the optimiser are not counted.
    pub(super) fn training(&self, batch: usize, positions: usize) -> f64 {
        let (batch, t) = (batch as f64, positions as f64);
        6.0 * self.matrices * batch * t + attention_pass(t, self.attention) * batch
    }

    /// Operations of reading `tokens` tokens at once, with logits after the last one only:
    ///
    /// 2·(matrices − unembedding)·T + 2·unembedding + 2·T²·L·H·E.
    pub(super) fn prefill(&self, tokens: usize) -> f64 {
        let t = tokens as f64;
        2.0 * ((self.matrices - self.unembed) * t + self.unembed + t * t * self.attention)
    }

    /// Operations of reading texts of these lengths, which ends before the unembedding:
    ///
    /// 2·(matrices − unembedding)·ΣT + 4·ΣT²·L·H·E, of the last term half in a decoder.
    pub(super) fn embedding(&self, lengths: &[usize]) -> f64 {
        let lengths = || lengths.iter().map(|&t| t as f64);
        let tokens: f64 = lengths().sum();
        let pairs: f64 = lengths().map(|t| t * t).sum();
        let seen = if self.is_causal { 0.5 } else { 1.0 };
        2.0 * (self.matrices - self.unembed) * tokens + 4.0 * pairs * seen * self.attention
    }

    /// Operations of one token, on average over `tokens` tokens that follow `depth` others:
    ///
    /// 2·matrices + 4·S·L·H·E, where S is the mean number of positions that attention looks at.
    pub(super) fn decode(&self, depth: usize, tokens: usize) -> f64 {
        let mean = depth as f64 + (tokens + 1) as f64 / 2.0;
        2.0 * self.matrices + 4.0 * mean * self.attention
    }

    /// Bytes of weights that one decoded token needs; keys and values are not counted.
    pub(super) fn weight_bytes(&self, precision: Precision) -> f64 {
        self.read * precision.bytes() as f64
    }
}

/// Operations of causal attention, forward and backward, over `t` positions of `width` = H·E numbers: 7·T²·H·E.
pub(super) fn attention_pass(t: f64, width: f64) -> f64 {
    7.0 * t * t * width
}

#[cfg(test)]
mod tests {
    use glassformer_model::families::gpt2;
    use glassformer_tensor::Pool;
    use glassformer_train::Options;

    use super::{Count, Precision};

    #[test]
    fn counts_are_those_made_by_hand() {
        let nano = Options::preset("nano").expect("a preset");
        let count = Count::of(&gpt2::new(&nano.config(65), 1, &Pool::single()));
        // Per layer 3·D² + D² + 4·D² + 4·D², and the unembedding.
        let (layers, unembed) = (4.0 * 12.0 * 128.0 * 128.0, 128.0 * 65.0);
        assert_eq!(count.matrices, layers + unembed);
        // Per layer the biases 3·D + D + 4·D + D and two norms of 2·D; the last norm.
        let vectors = 4.0 * 13.0 * 128.0 + 2.0 * 128.0;
        let bytes = 4.0 * (layers + unembed + vectors);
        assert_eq!(count.weight_bytes(Precision::F32), bytes);
        let attention = 4.0 * 128.0;
        let products = 6.0 * (layers + unembed) * 12.0 * 64.0;
        let expected = products + 7.0 * 64.0 * 64.0 * attention * 12.0;
        assert_eq!(count.training(12, 64), expected);
        let expected = 2.0 * (layers * 64.0 + unembed + 64.0 * 64.0 * attention);
        assert_eq!(count.prefill(64), expected);
        let expected = 2.0 * layers * 7.0 + 2.0 * (9.0 + 16.0) * attention;
        assert_eq!(count.embedding(&[3, 4]), expected);
        let expected = 2.0 * (layers + unembed) + 4.0 * 9.0 * attention;
        assert_eq!(count.decode(8, 1), expected);
    }
}
