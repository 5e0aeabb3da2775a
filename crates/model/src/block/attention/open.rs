//! Attention step by step, with scores and pattern in full, for whoever looks.

use glassformer_kernels::attention::{Input, Sequences, Shape, open};

use super::cached::Floats;
use super::heads::Mix;
use super::scoring::as_bias;
use crate::{Lengths, Pass, Site, Value};

/// Whether a hook watches scores or pattern.
pub(super) fn is_watched(pass: &Pass<'_>, sites: [Site; 2]) -> bool {
    sites.into_iter().any(|site| pass.watched(site))
}

/// What gives the inputs of one call to a function: they may lie in the cache of the pass.
pub(super) type Given<'a> = &'a dyn Fn(&mut Pass<'_>, &mut dyn FnMut(Input<'_>));

/// Scores and pattern in full, shown to the hook at these `sites`; z `[B·T,H·E]`.
pub(super) fn mix(
    pass: &mut Pass<'_>,
    shape: Shape<'_>,
    given: Given<'_>,
    sites: [Site; 2],
) -> Value {
    let run = pass.run();
    let Sequences::Equal {
        batch,
        queries,
        keys,
    } = shape.sequences
    else {
        panic!("patterns are shown of sequences of equal length");
    };
    let [scores_site, pattern_site] = sites;
    let mut scores = run.tensor(&[batch * shape.heads * queries, keys]);
    given(pass, &mut |input| {
        open::scores(run.pool, shape, input, scores.data_mut());
    });
    let mut scores = pass.constant(scores);
    pass.tap_pattern(scores_site, &mut scores, shape.heads);
    let mut pattern = scores.tensor().copy(run.buffers);
    open::pattern(run.pool, pattern.data_mut(), keys);
    let mut pattern = pass.constant(pattern);
    pass.tap_pattern(pattern_site, &mut pattern, shape.heads);
    let mut z = run.tensor(&[batch * queries, shape.heads * shape.d_head]);
    let pattern = pattern.tensor().data();
    given(pass, &mut |input| {
        open::weighted_values(run.pool, shape, pattern, input, z.data_mut());
    });
    pass.constant(z)
}

impl Mix {
    /// Self-attention in the open, from fused rows q·k·v and what a cache has of earlier positions.
    pub(super) fn in_the_open(
        &self,
        pass: &mut Pass<'_>,
        qkv: &Value,
        layer: usize,
        sites: [Site; 2],
    ) -> Value {
        let &Lengths::Equal {
            batch,
            positions: queries,
        } = pass.lengths()
        else {
            panic!("patterns are shown of sequences of equal length");
        };
        let (run, keys) = (pass.run(), pass.first_position() + queries);
        let shape = self.shape(Sequences::Equal {
            batch,
            queries,
            keys,
        });
        let bias = self.bias(run, keys);
        let bias = bias.as_ref().map(as_bias);
        let (heads, qkv) = (self.heads, qkv.tensor());
        let given = |pass: &mut Pass<'_>, f: &mut dyn FnMut(Input<'_>)| match pass.cache() {
            Some(cache) => {
                assert_eq!(batch, 1, "a cached pass is watched of one sequence");
                let kept = heads.cached(cache, layer, qkv);
                let all = kept.of(0).map(|kept| Floats::of(run, kept));
                f(Input {
                    bias,
                    ..heads.cached_input(qkv, &all)
                });
            }
            None => f(Input {
                bias,
                ..heads.input(qkv)
            }),
        };
        mix(pass, shape, &given, sites)
    }
}
