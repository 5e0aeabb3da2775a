//! One run of a model and the values it went through.

use std::collections::BTreeMap;
use std::sync::Arc;

use glassformer_kernels::softmax::softmax;
use glassformer_model::{Hook, Lengths, Mode, Model, Pass, Site, View, ViewMut};
use glassformer_tensor::{Buffers, Pool};
use glassformer_weights::FloatType;
use glassformer_weights::safetensors::{self, NamedTensor};

use crate::edit::Editor;
use crate::{Edit, Edits, Numbers, Selection, TraceError};

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
#[derive(Clone, Debug, Default)]
pub struct Recording {
    sites: BTreeMap<Site, Recorded>,
    edits: Arc<Edits>,
}

/// Whether the same values were recorded, however they came about.
impl PartialEq for Recording {
    fn eq(&self, other: &Self) -> bool {
        self.sites == other.sites
    }
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
        if let (Site::Probs, false, &[t, v]) = (site, self.has(site), index) {
            let row = self.cut(site, &Cut::rows([t]))?;
            let found = row.at(&[0, v]);
            return found.ok_or_else(|| out_of_range(site, &row.shape, index));
        }
        let recorded = self.get(site)?;
        recorded
            .at(index)
            .ok_or_else(|| out_of_range(site, &recorded.shape, index))
    }

    /// Whether `site` was recorded.
    pub fn has(&self, site: Site) -> bool {
        self.sites.contains_key(&site)
    }

    /// The sites of both, of `other` where both have one. Their numbers are shared.
    #[must_use]
    pub(crate) fn and(&self, other: &Self) -> Self {
        let mut sites = self.sites.clone();
        sites.extend(
            other
                .sites
                .iter()
                .map(|(&site, value)| (site, value.clone())),
        );
        Self {
            sites,
            edits: Arc::clone(&self.edits),
        }
    }

    /// Nothing yet of a run with these edits.
    pub(crate) fn of(edits: Arc<Edits>) -> Self {
        Self {
            edits,
            ..Self::default()
        }
    }

    /// What was changed in the run.
    pub fn edits(&self) -> &Edits {
        &self.edits
    }

    /// Notes a value of a pass.
    pub(crate) fn put(&mut self, site: Site, value: View<'_>) {
        let recorded = Recorded {
            data: value
                .share()
                .map_or_else(|| value.to_vec().into(), Numbers::Shared),
            shape: value.shape,
        };
        self.sites.insert(site, recorded);
    }

    /// Some positions of a site: probabilities, where they were not recorded, from the logits.
    pub fn cut(&self, site: Site, cut: &Cut) -> Result<Recorded, TraceError> {
        let is_made = site == Site::Probs && !self.has(site);
        let from = if is_made { Site::Logits } else { site };
        let mut part = positions(site, self.get(from)?, cut)?;
        if is_made {
            let width = part.shape[1].max(1);
            let mut rows = part.data.to_vec();
            for row in rows.chunks_exact_mut(width) {
                softmax(row, 1.0);
            }
            part.data = rows.into();
        }
        Ok(part)
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

    /// The chosen sites as the bytes of a safetensors file, cut to some positions.
    pub fn to_safetensors(
        &self,
        selection: &Selection,
        cut: &Cut,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, TraceError> {
        let chosen = self.sites.keys().filter(|&&site| selection.has(site));
        let parts = chosen.map(|&site| Ok((site, self.cut(site, cut)?)));
        let parts = parts.collect::<Result<Vec<_>, TraceError>>()?;
        to_safetensors(&parts, metadata)
    }
}

/// Values at sites as the bytes of a safetensors file.
pub fn to_safetensors(
    parts: &[(Site, Recorded)],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, TraceError> {
    let tensors: Vec<NamedTensor<'_>> = parts
        .iter()
        .map(|(site, part)| NamedTensor {
            name: site.to_string(),
            shape: part.shape.clone(),
            data: &part.data,
        })
        .collect();
    safetensors::to_bytes(&tensors, FloatType::F32, metadata)
        .map_err(|error| TraceError::Missing(error.to_string()))
}

/// Which positions of a value are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// These along the first axis, or of scores and pattern along the queries; all where there is none.
    pub rows: Option<Vec<usize>>,
    /// These keys of scores and pattern.
    pub cols: Option<Vec<usize>>,
}

impl Cut {
    /// Some rows, whole.
    pub fn rows(rows: impl IntoIterator<Item = usize>) -> Self {
        Self {
            rows: Some(rows.into_iter().collect()),
            cols: None,
        }
    }
}

fn out_of_range(site: Site, shape: &[usize], index: &[usize]) -> TraceError {
    TraceError::OutOfRange {
        site: site.to_string(),
        shape: shape.to_vec(),
        index: index.to_vec(),
    }
}

fn positions(site: Site, recorded: &Recorded, cut: &Cut) -> Result<Recorded, TraceError> {
    let is_plane = crate::cell::is_plane(site);
    let cols = cut.cols.as_ref().filter(|_| is_plane);
    if cut.rows.is_none() && cols.is_none() {
        return Ok(recorded.clone());
    }
    let mut shape = recorded.shape.clone();
    let axis = usize::from(is_plane);
    let (length, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let all: Vec<usize>;
    let rows = if let Some(rows) = &cut.rows {
        rows
    } else {
        all = (0..length).collect();
        &all
    };
    for (wanted, most) in [(rows, length), (cols.unwrap_or(&Vec::new()), inner)] {
        if let Some(&wrong) = wanted.iter().find(|&&at| at >= most) {
            return Err(out_of_range(site, &recorded.shape, &[wrong]));
        }
    }
    let mut data = Vec::new();
    for outer in recorded.data.chunks_exact((length * inner).max(1)) {
        for row in rows {
            let row = &outer[row * inner..][..inner];
            match cols {
                Some(cols) => data.extend(cols.iter().map(|&at| row[at])),
                None => data.extend_from_slice(row),
            }
        }
    }
    shape[axis] = rows.len();
    if let Some(cols) = cols {
        shape[2] = cols.len();
    }
    Ok(Recorded {
        shape,
        data: data.into(),
    })
}

/// Runs `model` over `ids` once, as far as it goes. `ids` must not be empty, nor longer than the context; edits must have been checked.
pub fn record(
    model: &Model,
    pool: &Pool,
    ids: &[u32],
    selection: &Selection,
    edits: &[Edit],
) -> Recording {
    record_edited(
        model,
        pool,
        ids,
        selection,
        &Arc::new(edits.to_vec().into()),
    )
}

/// As [`record`], with changes of values and of parameters.
pub fn record_edited(
    model: &Model,
    pool: &Pool,
    ids: &[u32],
    selection: &Selection,
    edits: &Arc<Edits>,
) -> Recording {
    let editor = Editor::new(model, edits);
    let mut recorder = Recorder::new(selection, editor, Arc::clone(edits));
    let buffers = Buffers::new();
    let mut pass = Pass::new(model.run(pool, &buffers), 1, ids.len(), Mode::Inference)
        .with_hook(&mut recorder);
    model.forward(&mut pass, ids);
    recorder.recording
}

/// Runs an encoder–decoder over `source` and, as if it had written them, the ids of `target`, once. Neither must be empty,
/// nor longer than the context.
pub fn record_pair(
    model: &Model,
    pool: &Pool,
    [source, target]: [&[u32]; 2],
    selection: &Selection,
) -> Recording {
    let edits = Arc::default();
    let mut recorder = Recorder::new(selection, Editor::new(model, &edits), Arc::clone(&edits));
    let buffers = Buffers::new();
    let of = |ids: &[u32]| Lengths::of([ids.len()]);
    let mut pass = Pass::over(model.run(pool, &buffers), of(target), Mode::Inference)
        .with_source(source, of(source))
        .with_hook(&mut recorder);
    model.forward(&mut pass, target);
    recorder.recording
}

/// Records and edits.
pub(crate) struct Recorder<'a> {
    selection: &'a Selection,
    editor: Editor<'a>,
    pub(crate) recording: Recording,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(selection: &'a Selection, editor: Editor<'a>, edits: Arc<Edits>) -> Self {
        Self {
            selection,
            editor,
            recording: Recording::of(edits),
        }
    }
}

impl Hook for Recorder<'_> {
    fn wants(&self, site: Site) -> bool {
        self.selection.has(site) || self.editor.needs(site)
    }

    fn edits(&self, site: Site) -> bool {
        self.editor.edits(site)
    }

    fn record(&mut self, site: Site, value: View<'_>) {
        if self.editor.needs(site) {
            self.editor.note(site, &value);
        }
        if self.selection.has(site) {
            self.recording.put(site, value);
        }
    }

    fn edit(&mut self, site: Site, value: ViewMut<'_>) {
        self.editor.apply(site, value);
    }
}
