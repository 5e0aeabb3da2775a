//! One run of a model and the values it went through.

use std::collections::BTreeMap;

use glassformer_model::{Hook, Mode, Model, Pass, Site, View, ViewMut};
use glassformer_tensor::{Buffers, Pool};
use glassformer_weights::safetensors::{self, NamedTensor};
use glassformer_weights::{FloatType, WeightsError};

use crate::{Edit, Numbers, Selection, TraceError};

/// A recorded value.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// As the site's documentation gives it.
    pub shape: Vec<usize>,
    /// Row-major.
    pub data: Numbers,
}

impl Recorded {
    /// One element; `None` outside.
    pub fn at(&self, index: &[usize]) -> Option<f32> {
        if index.len() != self.shape.len() || index.iter().zip(&self.shape).any(|(i, n)| i >= n) {
            return None;
        }
        let place = index
            .iter()
            .zip(&self.shape)
            .fold(0, |place, (i, n)| place * n + i);
        Some(self.data[place])
    }
}

/// The recorded sites of one run over one text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    sites: BTreeMap<Site, Recorded>,
}

impl Recording {
    /// The value at `site`.
    pub fn get(&self, site: Site) -> Result<&Recorded, TraceError> {
        self.sites
            .get(&site)
            .ok_or_else(|| TraceError::NotRecorded(site.to_string()))
    }

    /// One number.
    pub fn at(&self, site: Site, index: &[usize]) -> Result<f32, TraceError> {
        let recorded = self.get(site)?;
        recorded.at(index).ok_or_else(|| TraceError::OutOfRange {
            site: site.to_string(),
            shape: recorded.shape.clone(),
            index: index.to_vec(),
        })
    }

    /// All recorded sites in the order of computation.
    pub fn iter(&self) -> impl Iterator<Item = (Site, &Recorded)> {
        self.sites.iter().map(|(&site, recorded)| (site, recorded))
    }

    /// Memory taken, in bytes.
    pub fn bytes(&self) -> usize {
        self.sites
            .values()
            .map(|recorded| recorded.data.len() * size_of::<f32>())
            .sum()
    }

    /// The chosen sites as the bytes of a safetensors file; `rows` keeps only these positions.
    pub fn to_safetensors(
        &self,
        selection: &Selection,
        rows: Option<&std::ops::Range<usize>>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, WeightsError> {
        let cut: Vec<(String, Recorded)> = self
            .iter()
            .filter(|&(site, _)| selection.has(site))
            .map(|(site, recorded)| {
                let part =
                    rows.map_or_else(|| recorded.clone(), |rows| positions(site, recorded, rows));
                (site.to_string(), part)
            })
            .collect();
        let tensors: Vec<NamedTensor<'_>> = cut
            .iter()
            .map(|(name, part)| NamedTensor {
                name: name.clone(),
                shape: part.shape.clone(),
                data: &part.data,
            })
            .collect();
        safetensors::to_bytes(&tensors, FloatType::F32, metadata)
    }
}

/// Only the positions `rows`: the first axis, or of scores and pattern the query axis.
fn positions(site: Site, recorded: &Recorded, rows: &std::ops::Range<usize>) -> Recorded {
    let mut shape = recorded.shape.clone();
    let axis = usize::from(crate::cell::is_plane(site));
    let length = shape[axis];
    let end = rows.end.min(length);
    let rows = rows.start.min(end)..end;
    let inner: usize = shape[axis + 1..].iter().product();
    shape[axis] = rows.len();
    let data = recorded
        .data
        .chunks_exact((length * inner).max(1))
        .flat_map(|outer| outer[rows.start * inner..rows.end * inner].iter().copied())
        .collect();
    Recorded { shape, data }
}

/// Runs `model` over `ids` once, as far as it goes. `ids` must not be empty, nor longer than the context; edits must have been checked.
pub fn record(
    model: &Model,
    pool: &Pool,
    ids: &[u32],
    selection: &Selection,
    edits: &[Edit],
) -> Recording {
    let mut recorder = Recorder {
        selection,
        edits,
        recording: Recording::default(),
    };
    let buffers = Buffers::new();
    let mut pass = Pass::new(model.run(pool, &buffers), 1, ids.len(), Mode::Inference)
        .with_hook(&mut recorder);
    model.forward(&mut pass, ids);
    recorder.recording
}

struct Recorder<'a> {
    selection: &'a Selection,
    edits: &'a [Edit],
    recording: Recording,
}

impl Hook for Recorder<'_> {
    fn wants(&self, site: Site) -> bool {
        self.selection.has(site)
    }

    fn edits(&self, site: Site) -> bool {
        self.edits.iter().any(|edit| edit.site == site)
    }

    fn record(&mut self, site: Site, value: View<'_>) {
        let recorded = Recorded {
            data: value
                .share()
                .map_or_else(|| value.to_vec().into(), Numbers::Shared),
            shape: value.shape,
        };
        self.recording.sites.insert(site, recorded);
    }

    fn edit(&mut self, site: Site, mut value: ViewMut<'_>) {
        for edit in self.edits.iter().filter(|edit| edit.site == site) {
            edit.apply(value.reborrow());
        }
    }
}
