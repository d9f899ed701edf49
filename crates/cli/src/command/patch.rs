use std::path::{Path, PathBuf};
use std::time::Instant;

use driblet::{
    DecodeError, DirectoryDeltaError, DirectoryError, FileError, PatchedDirectory, patch_directory, patch_file,
};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::folders::{self, FolderArgs};
use crate::paths::{input, inputs, output};
use crate::stats::{self, StatsFormat};

/// The first byte of a delta between folders.
const FOLDERS: u8 = 0xdd;

/// Apply a delta to a file or to a folder
///
/// NEW is written after every byte is verified. A delta from another file than OLD is refused. An existing file is
/// replaced in one step and keeps its permissions, owner and attributes; links are followed; devices, pipes and the
/// like are written into.
///
/// If OLD is a folder, NEW becomes a folder, in one step. It must not exist, or be empty; OLD is not changed. OLD must
/// have the files that the delta was made from, and no others, except those that the command leaves out as `driblet
/// diff` does.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  driblet patch app-1.js app.delta -o app-2.js\n  driblet patch app-1/ app.delta -o app-2/\n  curl -s https://example.com/app.delta | driblet patch app.js - -o app.js"
)]
pub(crate) struct Args {
    /// The basis: the file or folder that the delta was made from; - is standard input
    old: PathBuf,
    /// The delta; - is standard input
    delta: PathBuf,
    /// Where to write the target; - is standard output
    #[arg(short, long, value_name = "NEW")]
    output: PathBuf,
    /// Print what was made, on stdout; on stderr if NEW is stdout
    #[arg(long, value_name = "FORMAT")]
    stats: Option<StatsFormat>,
    #[command(flatten)]
    folders: FolderArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let start = Instant::now();
    let (stats, is_stdout) = if args.old.is_dir() { to_folder(&args)? } else { to_file(&args)? };
    if args.stats.is_some() {
        stats::print_timed(stats, start, is_stdout)?;
    }
    Ok(())
}

fn to_file(args: &Args) -> Result<(Value, bool), Failure> {
    args.folders.for_files()?;
    let (old, delta) = inputs(&args.old, &args.delta)?;
    let output = output(&args.output)?;
    let patched = patch_file(&old, &delta, &output).map_err(|error| match error {
        FileError::Apply { source: DecodeError::BadMagic { first: FOLDERS, .. }, .. } => {
            Failure::said(&format!("cannot apply {delta}: it is a delta between folders; name a folder as OLD"))
        }
        error => Failure::file(&error),
    })?;
    Ok((json!({ "len": patched.len }), output.is_stdout()))
}

fn to_folder(args: &Args) -> Result<(Value, bool), Failure> {
    if args.output.as_path() == Path::new("-") {
        return Err(Failure::usage("a folder cannot be written to standard output"));
    }
    let delta = input(&args.delta)?;
    let patched = patch_directory(&args.old, &delta, &args.output, &args.folders.options());
    let PatchedDirectory { version, files, len, new_files, new_len, .. } = patched.map_err(|error| match error {
        DirectoryError::Apply { source: DirectoryDeltaError::NoDirectoryDelta, .. } => {
            let what = "it is no delta between folders; if it is one between files, name a file as OLD";
            Failure::said(&format!("cannot apply {delta}: {what}"))
        }
        error => folders::failure(&error),
    })?;
    let stats = json!({
        "version": version.to_string(),
        "files": files,
        "len": len,
        "new_files": new_files,
        "new_len": new_len,
    });
    Ok((stats, false))
}
