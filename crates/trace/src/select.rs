//! Which sites are meant by globs such as `blocks.*.pattern`.

use globset::{Glob, GlobSet, GlobSetBuilder};

use glassformer_model::{Network, Site};

/// What can be wrong with a request for values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// A glob that cannot be read.
    #[error("{glob:?} is not a pattern of sites: {reason}")]
    Glob {
        /// As given.
        glob: String,
        /// Why.
        reason: String,
    },
    /// A pattern without any site.
    #[error(
        "no site of this model matches {0:?}; sites look like embed, blocks.0.pattern, ln_final, logits"
    )]
    NoSite(String),
    /// An edit that cannot be read.
    #[error("{edit:?} is no edit: {reason}")]
    Edit {
        /// As given.
        edit: String,
        /// Why, and what edits look like.
        reason: String,
    },
    /// A site that was not recorded.
    #[error("{0} was not recorded")]
    NotRecorded(String),
    /// A cell outside its tensor.
    #[error("{site} has shape {shape:?}; there is no element {index:?}")]
    OutOfRange {
        /// Which site.
        site: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What was asked for.
        index: Vec<usize>,
    },
    /// Something that this network does not have.
    #[error("{0}")]
    Missing(String),
}

/// A set of sites.
#[derive(Clone, Debug)]
pub struct Selection {
    globs: GlobSet,
}

impl Selection {
    /// Every site.
    pub fn everything() -> Self {
        Self::parse("*").expect("a valid glob")
    }

    /// Comma-separated globs over the names of sites; `*` also matches dots.
    pub fn parse(globs: &str) -> Result<Self, TraceError> {
        let mut builder = GlobSetBuilder::new();
        for glob in globs
            .split(',')
            .map(str::trim)
            .filter(|glob| !glob.is_empty())
        {
            let error = |e: globset::Error| TraceError::Glob {
                glob: glob.to_owned(),
                reason: e.kind().to_string(),
            };
            builder.add(Glob::new(glob).map_err(error)?);
        }
        let error = |e: globset::Error| TraceError::Glob {
            glob: globs.to_owned(),
            reason: e.kind().to_string(),
        };
        Ok(Self {
            globs: builder.build().map_err(error)?,
        })
    }

    /// As [`Selection::parse`]; every glob must match at least one of the network's sites.
    pub fn for_network(globs: &str, network: &dyn Network) -> Result<Self, TraceError> {
        let sites = network.sites();
        for glob in globs.split(',').map(str::trim) {
            let one = Self::parse(glob)?;
            if !sites.iter().any(|&site| one.has(site)) {
                return Err(TraceError::NoSite(glob.to_owned()));
            }
        }
        Self::parse(globs)
    }

    /// Whether `site` is in the set.
    pub fn has(&self, site: Site) -> bool {
        self.globs.is_match(site.to_string())
    }
}
