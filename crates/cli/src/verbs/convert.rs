//! convert
/// convert
#[derive(clap::Args, Default)]
pub(crate) struct Convert {}
impl Convert { pub(crate) fn run(&self) -> anyhow::Result<()> { Ok(()) } }
