use std::path::PathBuf;
use std::time::Duration;

use driblet::{DiffOptions, diff_file};
use indicatif::{HumanBytes, ProgressBar};

use crate::codec::CodecArgs;
use crate::failure::Failure;
use crate::paths::{inputs, output};
use crate::print;

/// Write the delta between two files
///
/// A receiver that holds OLD applies the delta as it applies those of `driblet serve`. Use /dev/null as OLD for a receiver that holds
/// nothing. Files above 256 MiB are mapped into memory: if another program cuts one short meanwhile, the command ends
/// with a signal and writes nothing.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  driblet diff app-1.js app-2.js -o app.delta\n  driblet diff app-1.js <(make-app) -o - | ssh host 'driblet patch app.js - -o app.js'"
)]
pub(crate) struct Args {
    /// The basis: the file that the receiver holds; - is standard input
    old: PathBuf,
    /// The target: the file that the receiver will get; - is standard input
    new: PathBuf,
    /// Where to write the delta; - is standard output
    #[arg(short, long, value_name = "DELTA")]
    output: PathBuf,
    #[command(flatten)]
    codec: CodecArgs,
    /// Working memory in MiB, besides the files themselves
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: usize,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (old, new) = inputs(&args.old, &args.new)?;
    let output = output(&args.output)?;
    let spinner = ProgressBar::new_spinner().with_message("encoding");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let options = DiffOptions::default().codec(args.codec.codec()).memory(args.memory << 20);
    let diffed = diff_file(&old, &new, &output, &options);
    spinner.finish_and_clear();
    let diffed = diffed.map_err(|error| Failure::file(&error))?;
    if !spinner.is_hidden() {
        let (delta, target) = (HumanBytes(diffed.delta_len), HumanBytes(diffed.target_len));
        print::error(format_args!("{delta} for a file of {target}"));
    }
    Ok(())
}
