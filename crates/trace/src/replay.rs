//! A run that can be asked about long after, in little memory: the residual stream is kept, and half a block is run again from
//! the stream before it when somebody looks inside.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use glassformer_model::block::Half;
use glassformer_model::{BlockSite, Hook, Mode, Model, Pass, Site, Stack, View, ViewMut};
use glassformer_tensor::{Buffers, Pool, Tensor};

use crate::edit::Editor;
use crate::heads::{CORNER, Heads};
use crate::recording::{Cut, Recorder, record_pair};
use crate::{Edits, Recorded, Recording, Selection, TraceError};

/// Numbers of a run that is kept whole: what is larger is replayed.
const WHOLE: usize = 24 << 20;

/// Numbers of blocks that stay open.
const OPEN: usize = 64 << 20;

/// Of a longer run of an encoder–decoder: all but the neurons and the probabilities.
const OF_PAIR: &str =
    "*tokens,*embed*,*resid_*,*ln*,*.q,*.k,*.v,*.z,*cross_*,*_out,*pattern,*scores,logits";

/// A run over one text, or over two.
pub struct Replay {
    ids: Vec<u32>,
    /// What an encoder–decoder read first.
    source: Option<Vec<u32>>,
    edits: Arc<Edits>,
    kept: Recording,
    is_whole: bool,
    heads: Heads,
    /// The halves of blocks that were looked into last, newest last.
    open: Mutex<VecDeque<(Place, Arc<Recording>)>>,
}

/// Which half of which block.
type Place = (usize, Half);

/// The half of a block that makes this value.
fn half_of(site: BlockSite) -> Half {
    use BlockSite::{Ln2, MlpOut, MlpPost, MlpPre, MlpUp, ResidPost};
    match site {
        Ln2 | MlpPre | MlpUp | MlpPost | MlpOut | ResidPost => Half::Mlp,
        _ => Half::Attention,
    }
}

/// All sites of a model, each with its shape in a run over `positions` tokens, behind a source of `sources` where the model
/// reads one first.
pub fn shapes(model: &Model, [positions, sources]: [usize; 2]) -> Vec<(Site, Vec<usize>)> {
    let network = &*model.network;
    let own = network.dimensions();
    let shape = |site: Site| match (network.pair(), site.alone().0) {
        (Some(pair), Some(Stack::Encoder)) => site.shape(&pair.encoder(), sources),
        (Some(_), _) => site.shape_across(&own, [positions, sources]),
        (None, _) => site.shape(&own, positions),
    };
    let sites = network.sites().into_iter();
    sites.map(|site| (site, shape(site))).collect()
}

impl Replay {
    /// Runs `model` over `ids` with these edits. `ids` must not be empty, nor longer than the context; edits must have been
    /// checked.
    pub fn run(model: &Model, pool: &Pool, ids: Vec<u32>, edits: impl Into<Edits>) -> Self {
        Self::within(WHOLE, model, pool, ids, edits)
    }

    /// As [`Replay::run`], keeping all sites of a run of at most so many numbers.
    pub fn within(
        whole: usize,
        model: &Model,
        pool: &Pool,
        ids: Vec<u32>,
        edits: impl Into<Edits>,
    ) -> Self {
        let edits = Arc::new(edits.into());
        let dimensions = model.dimensions();
        let size = |site: &Site| site.shape(&dimensions, ids.len()).iter().product::<usize>();
        let numbers: usize = model.network.sites().iter().map(size).sum();
        let mut watcher = Watcher {
            keeps_all: numbers <= whole,
            is_post_norm: model.network.is_post_norm(),
            ids: &ids,
            editor: Editor::new(model, &edits),
            kept: Recording::of(Arc::clone(&edits)),
            heads: Heads::new(ids.len(), dimensions.n_layers * dimensions.n_heads),
        };
        let buffers = Buffers::new();
        let run = model.run(pool, &buffers);
        let mut pass = Pass::new(run, 1, ids.len(), Mode::Inference).with_hook(&mut watcher);
        model.forward(&mut pass, &ids);
        let Watcher {
            keeps_all,
            kept,
            heads,
            ..
        } = watcher;
        Self {
            kept,
            heads,
            is_whole: keeps_all,
            open: Mutex::default(),
            ids,
            source: None,
            edits,
        }
    }

    /// Runs an encoder–decoder over `source` and, as if it had written them, the ids of `target`. Neither must be empty, nor
    /// longer than the context.
    pub fn of_pair(model: &Model, pool: &Pool, [source, target]: [Vec<u32>; 2]) -> Self {
        let shapes = shapes(model, [target.len(), source.len()]);
        let numbers: usize = shapes
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        let selection = if numbers <= WHOLE {
            Selection::everything()
        } else {
            Selection::parse(OF_PAIR).expect("valid globs")
        };
        Self {
            kept: record_pair(model, pool, [&source, &target], &selection),
            heads: Heads::default(),
            // Blocks of two stacks are not run again: what was not kept is not there.
            is_whole: true,
            open: Mutex::default(),
            ids: target,
            source: Some(source),
            edits: Arc::default(),
        }
    }

    /// The tokens of the text; of two, those of the target.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// What an encoder–decoder read first.
    pub fn source(&self) -> Option<&[u32]> {
        self.source.as_deref()
    }

    /// Positions of the longer text: no site has more rows.
    pub fn positions(&self) -> usize {
        self.ids.len().max(self.source.as_ref().map_or(0, Vec::len))
    }

    /// What was changed in the run.
    pub fn edits(&self) -> &Arc<Edits> {
        &self.edits
    }

    /// All heads in little.
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// What is kept whatever is asked: outside of blocks everything but probabilities (which [`Recording::at`] makes from
    /// logits), of each block the residual stream and what is added to it; of a short run all.
    pub fn kept(&self) -> &Recording {
        &self.kept
    }

    /// Memory taken, in bytes, without the blocks that are open.
    pub fn bytes(&self) -> usize {
        self.kept.bytes()
    }

    /// A recording that has `site` and everything that it is made from.
    pub fn around(&self, model: &Model, pool: &Pool, site: Site) -> Recording {
        match site {
            Site::Block { layer, site }
                if !self.is_whole && layer < model.dimensions().n_layers =>
            {
                let place = (layer, half_of(site));
                self.kept.and(&self.opened(model, pool, place))
            }
            _ => self.kept.clone(),
        }
    }

    /// The chosen sites, cut to some positions.
    pub fn cut(
        &self,
        model: &Model,
        pool: &Pool,
        selection: &Selection,
        cut: &Cut,
    ) -> Result<Vec<(Site, Recorded)>, TraceError> {
        let mut out = Vec::new();
        let sites = model.network.sites();
        for site in sites.into_iter().filter(|&site| selection.has(site)) {
            let part = match self.in_corner(site, cut) {
                Some(part) => part,
                None if self.kept.has(site) => self.kept.cut(site, cut)?,
                None => self.around(model, pool, site).cut(site, cut)?,
            };
            out.push((site, part));
        }
        Ok(out)
    }

    /// A part of a pattern at the end of the text, without opening its block.
    fn in_corner(&self, site: Site, cut: &Cut) -> Option<Recorded> {
        let Site::Block {
            layer,
            site: BlockSite::Pattern,
        } = site
        else {
            return None;
        };
        let length = self.ids.len();
        let (side, first) = (length.min(CORNER), length - length.min(CORNER));
        let (rows, cols) = (cut.rows.as_ref()?, cut.cols.as_ref()?);
        let inside = |at: &usize| (first..length).contains(at);
        let is_inside = !self.is_whole && rows.iter().chain(cols).all(inside);
        let heads = self.heads.views.get(layer).filter(|_| is_inside)?;
        let data = heads.iter().flat_map(|head| {
            let row = move |q: &usize| &head.corner[(q - first) * side..][..side];
            let keys = move |q| cols.iter().map(move |k| row(q)[k - first]);
            rows.iter().flat_map(keys)
        });
        Some(Recorded {
            data: data.collect(),
            shape: vec![heads.len(), rows.len(), cols.len()],
        })
    }

    /// Everything inside of half a block: as kept open, or run again from the stream before it.
    fn opened(&self, model: &Model, pool: &Pool, place: Place) -> Arc<Recording> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(own, _)| *own == place) {
            let entry = open.remove(at).expect("it was just found");
            let block = Arc::clone(&entry.1);
            open.push_back(entry);
            return block;
        }
        let block = Arc::new(self.again(model, pool, place));
        open.push_back((place, Arc::clone(&block)));
        let numbers = |open: &VecDeque<(Place, Arc<Recording>)>| -> usize {
            open.iter().map(|(_, block)| block.bytes() / 4).sum()
        };
        while open.len() > 1 && numbers(&open) > OPEN {
            open.pop_front();
        }
        block
    }

    /// Runs half a block again: the same layers on the same numbers give the same bits.
    fn again(&self, model: &Model, pool: &Pool, (layer, half): Place) -> Recording {
        let entry = match half {
            Half::Attention => BlockSite::ResidPre,
            Half::Mlp if model.network.is_post_norm() => BlockSite::Ln1,
            Half::Mlp => BlockSite::ResidMid,
        };
        let entry = Site::block(layer, entry);
        let stream = self.kept.get(entry).expect("the stream is kept");
        let selection = Selection::everything();
        // What was done to the stream on its way in is done.
        let mut editor = Editor::new(model, &self.edits).from(entry);
        editor.give(entry, model.dimensions().d_model, &stream.data);
        let mut recorder = Recorder::new(&selection, editor, Arc::clone(&self.edits));
        let buffers = Buffers::new();
        let x = Tensor::from_slice(&buffers, &stream.shape, &stream.data);
        let run = model.run(pool, &buffers);
        let mut pass = Pass::new(run, 1, self.ids.len(), Mode::Inference).with_hook(&mut recorder);
        let x = pass.given(x);
        model.network.half_block(&mut pass, x, layer, half);
        recorder.recording
    }
}

/// Keeps the stream, or everything, and looks at the heads in passing.
struct Watcher<'a> {
    keeps_all: bool,
    is_post_norm: bool,
    ids: &'a [u32],
    editor: Editor<'a>,
    kept: Recording,
    heads: Heads,
}

impl Watcher<'_> {
    fn keeps(&self, site: Site) -> bool {
        use BlockSite::{AttnOut, Ln1, Ln2, MlpOut, ResidMid, ResidPost, ResidPre};
        match site {
            _ if self.keeps_all => true,
            Site::Block { site, .. } => match site {
                ResidPre | AttnOut | ResidMid | MlpOut | ResidPost => true,
                Ln1 | Ln2 => self.is_post_norm,
                _ => false,
            },
            _ => site != Site::Probs,
        }
    }
}

impl Hook for Watcher<'_> {
    // Also what is not kept is watched: a block that is run again computes in the same way.
    fn wants(&self, site: Site) -> bool {
        self.keeps(site) || site != Site::Probs
    }

    fn edits(&self, site: Site) -> bool {
        self.editor.edits(site)
    }

    fn record(&mut self, site: Site, value: View<'_>) {
        if let Site::Block {
            site: BlockSite::Pattern,
            ..
        } = site
        {
            self.heads.note(self.ids, value.rows());
        }
        if self.editor.needs(site) {
            self.editor.note(site, &value);
        }
        if self.keeps(site) {
            self.kept.put(site, value);
        }
    }

    fn edit(&mut self, site: Site, value: ViewMut<'_>) {
        self.editor.apply(site, value);
    }
}
