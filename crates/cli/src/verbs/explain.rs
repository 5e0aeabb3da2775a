//! explain
/// explain
#[derive(clap::Args, Default)]
pub(crate) struct Explain {}
impl Explain { pub(crate) fn run(&self) -> anyhow::Result<()> { Ok(()) } }
