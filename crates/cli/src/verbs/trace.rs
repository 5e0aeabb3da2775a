//! `trace`: writes every activation of one run to a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use glassformer_model::{Dimensions, Keep, Network};
use glassformer_tensor::Pool;
use glassformer_trace::{Change, Cut, Edit, Recorded, Recording, Selection, record, record_pair};
use glassformer_weights::{TensorFile, atomic};
use serde_json::json;

use crate::source::{Loaded, ModelFlag};
use crate::terminal::{note, thousands, write};

/// Run a text through the model once and write its activations to a safetensors file, by name.
///
/// Sites: tokens, embed, pos_embed, blocks.{l}.{resid_pre, ln1, q, k, v, scores, pattern, z, attn_out, resid_mid, ln2,
/// mlp_pre, mlp_post, mlp_out, resid_post}, ln_final, logits, probs. Where queries and keys are normed or turned before they
/// meet: q_pre, k_pre, q_norm, k_norm. Of gated MLPs: mlp_up. Of encoders: token_types, type_embed, embed_sum, unembed_pre,
/// unembed_post. Encoder–decoders have these once as encoder.… and once as decoder.…, and in the decoder's blocks ln_cross,
/// cross_{q, k, v, scores, pattern, z, out}, resid_cross; only logits and probs stand alone. All are f32, computed in f32 whatever
/// the file stores.
#[derive(Args)]
#[command(after_help = "\
Examples:
  glassformer trace --text \"The cat sat\" --out cat.safetensors
  glassformer trace --text \"The cat sat\" --sites 'blocks.*.pattern,logits' --out heads.safetensors
  glassformer trace --text \"The cat sat\" --ablate blocks.2.head.3 --out without.safetensors
  glassformer trace -m opus --text \"The cat sat\" --decoder-ids 58100,7,12 --out pair.safetensors
  glassformer trace --text \"The dog sat\" --replace blocks.1.resid_post=cat.safetensors --out patched.safetensors")]
pub(crate) struct Trace {
    #[command(flatten)]
    model: ModelFlag,
    /// The text.
    #[arg(long, required_unless_present = "ids", conflicts_with = "ids")]
    text: Option<String>,
    /// Token ids instead of a text.
    #[arg(long, value_delimiter = ',')]
    ids: Option<Vec<u32>>,
    /// Of an encoder–decoder, the target's token ids as if it had written them, from the one on that targets begin with;
    /// without it that one alone.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    decoder_ids: Option<Vec<u32>>,
    /// The file to write.
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    /// Which sites to write: comma-separated globs.
    #[arg(long, value_name = "GLOBS", default_value = "*")]
    sites: String,
    /// Set a value to zero on the way: a site (blocks.0.mlp_out), a head (blocks.2.head.3), blocks.L.attn, blocks.L.mlp,
    /// or one position (blocks.1.resid_post[5]). May be given several times.
    #[arg(long, value_name = "SITE")]
    ablate: Vec<String>,
    /// Multiply a value on the way.
    #[arg(long, value_name = "SITE=FACTOR")]
    scale: Vec<String>,
    /// Put in the value that the same site has in another trace (activation patching).
    #[arg(long, value_name = "SITE=FILE")]
    replace: Vec<String>,
    /// Tell what was written as JSON.
    #[arg(long)]
    json: bool,
    /// Threads; 0 for all cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl Trace {
    pub(crate) fn run(&self) -> Result<()> {
        let loaded = match self.ids {
            Some(_) => self.model.read_for_ids(Keep::InMemory)?,
            None => self.model.load()?,
        };
        let network = &*loaded.model.network;
        let selection = Selection::for_network(&self.sites, network)?;
        let pool = Pool::new(self.threads);
        if let Some(pair) = network.pair() {
            let read = pair.encoder();
            let mut ids = self.ids(&loaded, &read)?;
            if let Some(end) = pair.marks().end.filter(|end| ids.last() != Some(end))
                && self.ids.is_none()
            {
                ids.truncate(read.n_ctx - 1);
                ids.push(end);
            }
            let target = self.target(&loaded)?;
            let recording = record_pair(&loaded.model, &pool, [&ids, &target], &selection);
            return self.write(&loaded, [&ids, &target], &selection, &recording);
        }
        if self.decoder_ids.is_some() {
            bail!(
                "{} has no decoder beside its stack: --decoder-ids is for encoder–decoders",
                loaded.name
            );
        }
        let ids = self.ids(&loaded, &loaded.model.dimensions())?;
        let edits = self.edits(network, ids.len())?;
        for edit in &edits {
            edit.check(network, ids.len())?;
        }
        let recording = record(&loaded.model, &pool, &ids, &selection, &edits);
        self.write(&loaded, [&ids, &[]], &selection, &recording)
    }

    /// What an encoder–decoder is to have written.
    fn target(&self, loaded: &Loaded) -> Result<Vec<u32>> {
        if [&self.ablate, &self.scale, &self.replace]
            .iter()
            .any(|edits| !edits.is_empty())
        {
            bail!(
                "values of encoder–decoders cannot be changed on the way yet; leave out --ablate, --scale and --replace"
            );
        }
        let start = loaded
            .model
            .network
            .pair()
            .and_then(|pair| pair.marks().start);
        let ids = match (&self.decoder_ids, start) {
            (Some(ids), _) => ids.clone(),
            (None, Some(start)) => vec![start],
            (None, None) => bail!(
                "{} does not say with which id a target begins; give --decoder-ids",
                loaded.name
            ),
        };
        let dimensions = loaded.model.dimensions();
        check_ids(&ids, &dimensions)?;
        if ids.len() > dimensions.n_ctx {
            bail!(
                "{} ids of a target are too many: the model writes up to {}",
                ids.len(),
                dimensions.n_ctx
            );
        }
        Ok(ids)
    }

    fn ids(&self, loaded: &Loaded, dimensions: &Dimensions) -> Result<Vec<u32>> {
        let mut ids = match (&self.ids, &self.text) {
            (Some(ids), _) => ids.clone(),
            (None, text) => {
                let encoding = loaded
                    .tokenizer
                    .encode_prompt(text.as_deref().unwrap_or_default())?;
                if !encoding.unknown.is_empty() {
                    let some: String = encoding.unknown.iter().take(10).collect();
                    note(&format!(
                        "this model does not know these characters and leaves them out: {some}"
                    ));
                }
                encoding.ids
            }
        };
        check_ids(&ids, dimensions)?;
        if ids.len() > dimensions.n_ctx {
            note(&format!(
                "the text has {} tokens; the model reads the last {}",
                ids.len(),
                dimensions.n_ctx
            ));
            ids.drain(..ids.len() - dimensions.n_ctx);
        }
        Ok(ids)
    }

    fn edits(&self, network: &dyn Network, positions: usize) -> Result<Vec<Edit>> {
        let mut edits = Vec::new();
        for text in &self.ablate {
            edits.push(Edit::parse(text, Change::Scale(0.0))?);
        }
        for text in &self.scale {
            let (site, factor) = pair(text, "SITE=FACTOR")?;
            let factor = factor
                .parse()
                .with_context(|| format!("{factor:?} is no number (in --scale {text})"))?;
            edits.push(Edit::parse(site, Change::Scale(factor))?);
        }
        for text in &self.replace {
            let (site, file) = pair(text, "SITE=FILE")?;
            // The name of the tensor is the site's, without head or position.
            let named = Edit::parse(site, Change::Scale(0.0))?.site.to_string();
            let (shape, data) = TensorFile::open(Path::new(file))?.load_f32(&named)?;
            edits.push(Edit::patch(
                site,
                &Recorded {
                    shape,
                    data: data.into(),
                },
                network,
                positions,
            )?);
        }
        Ok(edits)
    }

    fn write(
        &self,
        loaded: &Loaded,
        [ids, target]: [&[u32]; 2],
        selection: &Selection,
        recording: &Recording,
    ) -> Result<()> {
        let metadata = BTreeMap::from([
            ("model".to_owned(), loaded.name.clone()),
            ("text".to_owned(), loaded.tokenizer.decode(ids)),
            ("ablate".to_owned(), self.ablate.join(",")),
        ]);
        let bytes = recording.to_safetensors(selection, &Cut::default(), &metadata)?;
        atomic::write_file(&self.out, &bytes)
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        let sites: Vec<_> = recording
            .iter()
            .map(|(site, r)| json!({"name": site.to_string(), "shape": r.shape}))
            .collect();
        if self.json {
            let mut told =
                json!({"file": self.out, "tokens": ids, "bytes": bytes.len(), "sites": sites});
            if !target.is_empty() {
                told["decoder_tokens"] = json!(target);
            }
            write(&format!("{told}\n"))?;
        } else {
            eprintln!(
                "Wrote {} sites of {} tokens to {} ({} bytes).",
                sites.len(),
                ids.len() + target.len(),
                self.out.display(),
                thousands(bytes.len() as u64)
            );
        }
        Ok(())
    }
}

/// Refuses no ids at all, and ids that are none.
fn check_ids(ids: &[u32], dimensions: &Dimensions) -> Result<()> {
    if ids.is_empty() {
        bail!(
            "there is no token to run: the text is empty, or the model knows none of its characters"
        );
    }
    if let Some(id) = ids.iter().find(|&&id| id as usize >= dimensions.vocab) {
        bail!(
            "there is no token {id}: the vocabulary has ids 0 to {}",
            dimensions.vocab - 1
        );
    }
    Ok(())
}

fn pair<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str)> {
    text.split_once('=')
        .with_context(|| format!("{text:?} is not of the form {form}"))
}
