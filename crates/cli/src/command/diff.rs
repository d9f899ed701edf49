use std::path::PathBuf;
use std::time::{Duration, Instant};

use driblet::output::Output;
use driblet::{DiffOptions, DiffedDirectory, diff_directory, diff_file};
use indicatif::{HumanBytes, ProgressBar};
use serde_json::{Value, json};

use crate::codec::CodecArgs;
use crate::failure::Failure;
use crate::folders::{self, FolderArgs, are_folders};
use crate::paths::{inputs, output};
use crate::print;
use crate::stats::{self, StatsFormat};

/// How many files that are left out are named.
const NAMED: usize = 10;

/// Write the delta between two files, or between two folders
///
/// A receiver that holds OLD applies the delta as it applies those of `driblet serve`. Use /dev/null as OLD for a receiver that holds
/// nothing, or an empty folder. Files above 256 MiB are mapped into memory: if another program cuts one short meanwhile,
/// the command ends with a signal and writes nothing.
///
/// The delta between two folders has the files that `driblet serve` would publish of NEW: those that no .dribletignore
/// names. Links to files stand for their content, unless they lead out of the folder. A file that was renamed or moved
/// costs its name.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  driblet diff app-1.js app-2.js -o app.delta\n  driblet diff app-1/ app-2/ -o app.delta\n  driblet diff app-1.js <(make-app) -o - | ssh host 'driblet patch app.js - -o app.js'"
)]
pub(crate) struct Args {
    /// The basis: the file or folder that the receiver holds; - is standard input
    old: PathBuf,
    /// The target: the file or folder that the receiver will get; - is standard input
    new: PathBuf,
    /// Where to write the delta; - is standard output
    #[arg(short, long, value_name = "DELTA")]
    output: PathBuf,
    #[command(flatten)]
    codec: CodecArgs,
    /// Working memory in MiB, besides the files themselves
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: usize,
    /// Print the length of the delta and what it makes, on stdout; on stderr if the delta is written to stdout
    #[arg(long, value_name = "FORMAT")]
    stats: Option<StatsFormat>,
    #[command(flatten)]
    folders: FolderArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let start = Instant::now();
    let are_folders = are_folders(&args.old, &args.new)?;
    let spinner = ProgressBar::new_spinner().with_message("encoding");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let options = DiffOptions::default().codec(args.codec.codec()).memory(args.memory << 20);
    let made = if are_folders { of_folders(&args, &options) } else { of_files(&args, &options) };
    spinner.finish_and_clear();
    let Made { stats, summary, output } = made?;
    if !spinner.is_hidden() {
        print::error(summary);
    }
    if args.stats.is_some() {
        stats::print_timed(stats, start, output.is_stdout())?;
    }
    Ok(())
}

/// A delta that was written, as JSON and as a sentence.
struct Made {
    stats: Value,
    summary: String,
    output: Output,
}

fn of_files(args: &Args, options: &DiffOptions) -> Result<Made, Failure> {
    args.folders.for_files()?;
    let (old, new) = inputs(&args.old, &args.new)?;
    let output = output(&args.output)?;
    let diffed = diff_file(&old, &new, &output, options).map_err(|error| Failure::file(&error))?;
    let stats = json!({ "delta_len": diffed.delta_len, "len": diffed.target_len });
    let (delta, target) = (HumanBytes(diffed.delta_len), HumanBytes(diffed.target_len));
    Ok(Made { stats, summary: format!("{delta} for a file of {target}"), output })
}

fn of_folders(args: &Args, options: &DiffOptions) -> Result<Made, Failure> {
    let output = output(&args.output)?;
    let diffed = diff_directory(&args.old, &args.new, &output, options, &args.folders.options());
    let DiffedDirectory { version, files, len, new_files, new_len, parts, delta_len, left_out, .. } =
        diffed.map_err(|error| folders::failure(&error))?;
    for left_out in left_out.iter().take(NAMED) {
        // One line, whatever the name contains.
        let path = left_out.path.to_string_lossy();
        print::error(format_args!("left out {}: {}", path.escape_debug(), left_out.reason));
    }
    if NAMED < left_out.len() {
        print::error(format_args!("left out {} more files", left_out.len() - NAMED));
    }
    let stats = json!({
        "version": version.to_string(),
        "files": files,
        "len": len,
        "new_files": new_files,
        "new_len": new_len,
        "parts": parts,
        "delta_len": delta_len,
        "left_out": left_out.len(),
    });
    let (delta, new) = (HumanBytes(delta_len), HumanBytes(new_len));
    Ok(Made {
        stats,
        summary: format!("{delta} for a folder of {files} files, {new_files} of them new, {new}"),
        output,
    })
}
