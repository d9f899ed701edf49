use std::io::Write;
use std::path::PathBuf;

use driblet_core::{EncodeOptions, Encoder};
use indicatif::{HumanBytes, ProgressBar};

use crate::command::patch::{Mapped, Staged};
use crate::failure::Failure;

/// Write the delta between two files
///
/// The delta is what `driblet serve` would send to a receiver of OLD. Use /dev/null as OLD for a first sync.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  driblet diff app-1.js app-2.js -o app.delta")]
pub(crate) struct Args {
    /// The basis: the file that the receiver has
    old: PathBuf,
    /// The target: the file it will have
    new: PathBuf,
    /// Where to write the delta
    #[arg(short, long, value_name = "DELTA")]
    output: PathBuf,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (old, new) = (Mapped::open(&args.old)?, Mapped::open(&args.new)?);
    let mut staged = Staged::beside(&args.output)?;
    let spinner = ProgressBar::new_spinner().with_message("encoding");
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    let mut encoder = Encoder::new(&old, &new, EncodeOptions::default());
    let mut len = 0;
    while let Some(bytes) = encoder.poll_output().map_err(|error| Failure::file("encode", &args.new, &error))? {
        staged.file().write_all(&bytes).map_err(|error| Failure::file("write", &args.output, &error))?;
        len += bytes.len() as u64;
    }
    staged.commit()?;
    spinner.finish_and_clear();
    if !spinner.is_hidden() {
        eprintln!("{} for a file of {}", HumanBytes(len), HumanBytes(new.len() as u64));
    }
    Ok(())
}
