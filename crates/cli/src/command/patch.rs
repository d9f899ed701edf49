use std::fs::File;
use std::io::{Read, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use driblet_core::{Basis, Decoder, Event, Limits, Version};
use memmap2::Mmap;
use tempfile::NamedTempFile;

use crate::failure::Failure;

/// Bytes of the delta read at once.
const PIECE: usize = 64 << 10;

/// Apply a delta to a file
///
/// NEW is written only once every byte of it is verified. A delta against another file than OLD is refused.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  driblet patch app-1.js app.delta -o app-2.js")]
pub(crate) struct Args {
    /// The basis: the file that the delta was made against
    old: PathBuf,
    /// The delta
    delta: PathBuf,
    /// Where to write the target
    #[arg(short, long, value_name = "NEW")]
    output: PathBuf,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let old = Mapped::open(&args.old)?;
    let mut delta = File::open(&args.delta).map_err(|error| Failure::file("read", &args.delta, &error))?;
    let mut staged = Staged::beside(&args.output)?;
    let mut decoder = Decoder::new(Basis::of(&Version::of(&old), old.len() as u64), Limits::default());
    let mut piece = vec![0; PIECE];
    loop {
        match decoder.poll_event().map_err(|error| Failure::file("apply", &args.delta, &error))? {
            Event::NeedInput => match delta.read(&mut piece) {
                Ok(0) => decoder.handle_end(),
                Ok(read) => decoder.handle_input(&piece[..read]),
                Err(error) => return Err(Failure::file("read", &args.delta, &error)),
            },
            Event::NeedBasis(range) => decoder.handle_basis(&old[range.start as usize..range.end as usize]),
            Event::Output(bytes) => {
                staged.file().write_all(bytes).map_err(|error| Failure::file("write", &args.output, &error))?;
            }
            Event::Same => {
                staged.file().write_all(&old).map_err(|error| Failure::file("write", &args.output, &error))?;
                break;
            }
            Event::Done => break,
        }
    }
    staged.commit()
}

/// A file's bytes, mapped. Nothing else should write to the file meanwhile; if something does, the delta does not verify.
pub(super) struct Mapped(Option<Mmap>);

impl Mapped {
    pub(super) fn open(path: &Path) -> Result<Mapped, Failure> {
        let open = || -> std::io::Result<Mapped> {
            let file = File::open(path)?;
            if file.metadata()?.len() == 0 {
                return Ok(Mapped(None));
            }
            // SAFETY: the map is read-only and private to this process, which ends with the command. A file cut short by
            // another process while it is mapped would end this one with a signal and leave no output behind.
            #[allow(unsafe_code)]
            let map = unsafe { Mmap::map(&file)? };
            Ok(Mapped(Some(map)))
        };
        open().map_err(|error| Failure::file("read", path, &error))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// An output that appears under its name only when it is complete.
pub(super) struct Staged {
    path: PathBuf,
    file: NamedTempFile,
}

impl Staged {
    pub(super) fn beside(path: &Path) -> Result<Staged, Failure> {
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.prefix(".driblet-").tempfile_in(folder);
        let file = file.map_err(|error| Failure::file("write beside", path, &error))?;
        Ok(Staged { path: path.to_path_buf(), file })
    }

    pub(super) fn file(&mut self) -> &mut NamedTempFile {
        &mut self.file
    }

    pub(super) fn commit(self) -> Result<(), Failure> {
        let Staged { path, file } = self;
        file.as_file().sync_all().map_err(|error| Failure::file("write", &path, &error))?;
        file.persist(&path).map_err(|error| Failure::file("write", &path, &error.error))?;
        Ok(())
    }
}
