//! generate
/// generate
#[derive(clap::Args, Default)]
pub(crate) struct Generate {}
impl Generate { pub(crate) fn run(&self) -> anyhow::Result<()> { Ok(()) } }
