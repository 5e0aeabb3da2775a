//! What a log-probability is divided by, so that long and short targets can be compared.

/// A hypothesis of n ids, its end among them, has the score ln P divided by it. Without it short ones win, as each id
/// makes P smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LengthPenalty {
    /// n^α, as transformers and CTranslate2 have it: 0 sums, 1 takes the mean, more asks for long ones.
    Power(f64),
    /// ((5 + n) / 6)^α (Wu et al. 2016, equation 14); the paper of the Transformer has α = 0.6.
    Gnmt(f64),
}

impl LengthPenalty {
    /// For n ids.
    pub fn of(self, n: usize) -> f64 {
        match self {
            Self::Power(alpha) => (n as f64).powf(alpha),
            Self::Gnmt(alpha) => ((5.0 + n as f64) / 6.0).powf(alpha),
        }
    }

    /// α.
    pub fn alpha(self) -> f64 {
        let (Self::Power(alpha) | Self::Gnmt(alpha)) = self;
        alpha
    }
}
