use std::path::PathBuf;

use driblet::patch_file;

use crate::failure::Failure;
use crate::paths::{inputs, output};

/// Apply a delta to a file
///
/// NEW is written after every byte is verified. A delta from another file than OLD is refused. An existing file is
/// replaced in one step and keeps its permissions, owner and attributes; links are followed; devices, pipes and the
/// like are written into.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  driblet patch app-1.js app.delta -o app-2.js\n  curl -s https://example.com/app.delta | driblet patch app.js - -o app.js"
)]
pub(crate) struct Args {
    /// The basis: the file that the delta was made from; - is standard input
    old: PathBuf,
    /// The delta; - is standard input
    delta: PathBuf,
    /// Where to write the target; - is standard output
    #[arg(short, long, value_name = "NEW")]
    output: PathBuf,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (old, delta) = inputs(&args.old, &args.delta)?;
    let output = output(&args.output)?;
    patch_file(&old, &delta, &output).map(drop).map_err(|error| Failure::file(&error))
}
