//! trace
/// trace
#[derive(clap::Args, Default)]
pub(crate) struct Trace {}
impl Trace { pub(crate) fn run(&self) -> anyhow::Result<()> { Ok(()) } }
