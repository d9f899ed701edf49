use std::io::Write;
use std::path::{Path, PathBuf};

use driblet::output::{Output, Staged};
use driblet_core::{Basis, Decoder, Event, Limits};

use crate::closed;
use crate::failure::Failure;
use crate::input::{Input, check_distinct};

/// Bytes of the delta read at once.
const PIECE: usize = 64 << 10;

/// Apply a delta to a file
///
/// NEW is written only once every byte of it is verified. A delta against another file than OLD is refused. A file that is there is replaced
/// in one step and keeps its permissions, owner and attributes; links are followed; devices, pipes and the like are written into.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  driblet patch app-1.js app.delta -o app-2.js\n  curl -s https://example.com/app.delta | driblet patch app.js - -o app.js"
)]
pub(crate) struct Args {
    /// The basis: the file that the delta was made against; - is standard input
    old: PathBuf,
    /// The delta; - is standard input
    delta: PathBuf,
    /// Where to write the target; - is standard output
    #[arg(short, long, value_name = "NEW")]
    output: PathBuf,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    check_distinct(&args.old, &args.delta)?;
    let output = output(&args.output)?;
    let old = Input::open(&args.old)?.whole()?;
    let mut delta = Input::open(&args.delta)?;
    let mut staged = stage(&output)?;
    let mut decoder = Decoder::new(Basis::of(&old.version()?, old.len()?), Limits::default());
    let (mut piece, mut basis) = (vec![0; PIECE], Vec::new());
    loop {
        match decoder.poll_event().map_err(|error| Failure::file("apply", &args.delta, &error))? {
            Event::NeedInput => match delta.read(&mut piece)? {
                0 => decoder.handle_end(),
                read => decoder.handle_input(&piece[..read]),
            },
            Event::NeedBasis(range) => {
                basis.resize((range.end - range.start) as usize, 0);
                old.read_at(&mut basis, range.start)?;
                decoder.handle_basis(&basis);
            }
            Event::Output(bytes) => write(&mut staged, bytes, &output)?,
            Event::Same => {
                old.each(|bytes| write(&mut staged, bytes, &output))?;
                break;
            }
            Event::Done => break,
        }
    }
    commit(staged, &output)
}

/// What `-o` names.
pub(super) fn output(path: &Path) -> Result<Output, Failure> {
    let output = if path == "-" { Output::stdout() } else { Output::at(path) };
    let output = output.map_err(|error| Failure::output(path, &error))?;
    if output.is_stdout() {
        closed::stdout().map_err(|error| Failure::output(Path::new("standard output"), &error))?;
    }
    Ok(output)
}

pub(super) fn stage(output: &Output) -> Result<Staged, Failure> {
    output.stage().map_err(|error| Failure::output(output.name(), &error))
}

pub(super) fn write(staged: &mut Staged, bytes: &[u8], output: &Output) -> Result<(), Failure> {
    staged.write_all(bytes).map_err(|error| Failure::output(output.name(), &error))
}

pub(super) fn commit(staged: Staged, output: &Output) -> Result<(), Failure> {
    staged.commit().map_err(|error| Failure::output(output.name(), &error))
}
