//! tokenize
/// tokenize
#[derive(clap::Args, Default)]
pub(crate) struct Tokenize {}
impl Tokenize { pub(crate) fn run(&self) -> anyhow::Result<()> { Ok(()) } }
