//! info
/// info
#[derive(clap::Args, Default)]
pub(crate) struct Info {}
impl Info { pub(crate) fn run(&self) -> anyhow::Result<()> { Ok(()) } }
