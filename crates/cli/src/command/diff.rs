use std::path::PathBuf;

use driblet_core::{Codec, EncodeOptions, Encoder};
use indicatif::{HumanBytes, ProgressBar};

use crate::command::patch::{commit, output, stage, write};
use crate::failure::Failure;
use crate::input::{Input, check_distinct};
use crate::print;

/// Write the delta between two files
///
/// The delta is what `driblet serve` would send to a receiver of OLD. Use /dev/null as OLD for a first sync. Files above 256 MiB are mapped
/// into memory: if another program cuts one short meanwhile, the command ends with a signal and writes nothing.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  driblet diff app-1.js app-2.js -o app.delta\n  driblet diff app-1.js <(make-app) -o - | ssh host 'driblet patch app.js - -o app.js'"
)]
pub(crate) struct Args {
    /// The basis: the file that the receiver has; - is standard input
    old: PathBuf,
    /// The target: the file it will have; - is standard input
    new: PathBuf,
    /// Where to write the delta; - is standard output
    #[arg(short, long, value_name = "DELTA")]
    output: PathBuf,
    /// What the delta is made of
    #[arg(long, value_enum, default_value_t = CodecChoice::Auto)]
    codec: CodecChoice,
    /// The link, in Mbit/s, over which auto minimises the time until the bytes are verified
    #[arg(long, value_name = "MBITS", default_value_t = 20)]
    link: u32,
    /// Working memory in MiB, besides the files themselves
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: usize,
}

/// What deltas are made of.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CodecChoice {
    /// Copies, renames and zstd: decodes at a hundred megabytes in a second and more
    Fast,
    /// That, or a model of every byte that changed: the smallest, decodes at some megabytes of changes in a second
    Dense,
    /// Whichever is verified sooner over the link
    Auto,
}

impl CodecChoice {
    pub(crate) fn over(self, megabits: u32) -> Codec {
        match self {
            CodecChoice::Fast => Codec::Fast,
            CodecChoice::Dense => Codec::Dense,
            CodecChoice::Auto => Codec::Auto { bits_per_second: megabits.saturating_mul(1_000_000) },
        }
    }
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    check_distinct(&args.old, &args.new)?;
    let output = output(&args.output)?;
    let load = |path| Input::open(path)?.whole()?.loaded();
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    let mut staged = stage(&output)?;
    let spinner = ProgressBar::new_spinner().with_message("encoding");
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    let options = EncodeOptions::new().codec(args.codec.over(args.link)).budget(args.memory << 20).thorough(true);
    let mut encoder = Encoder::new(&old, &new, options);
    let mut len = 0;
    while let Some(bytes) = encoder.poll_output().map_err(|error| Failure::file("encode", &args.new, &error))? {
        write(&mut staged, &bytes, &output)?;
        len += bytes.len() as u64;
    }
    old.check_mapped()?;
    new.check_mapped()?;
    commit(staged, &output)?;
    spinner.finish_and_clear();
    if !spinner.is_hidden() {
        print::error(format_args!("{} for a file of {}", HumanBytes(len), HumanBytes(new.len() as u64)));
    }
    Ok(())
}
