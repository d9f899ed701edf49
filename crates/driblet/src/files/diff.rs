use std::io::Write;

use driblet_core::{Codec, EncodeOptions, Encoder};

use super::error::FileError;
use super::input::Input;
use super::read::{check_distinct, open_input};
use crate::output::{Output, Staged};

/// How a delta is made.
///
/// ```
/// let options = driblet::DiffOptions::default().codec(driblet::Codec::Fast).memory(256 << 20);
/// # drop(options);
/// ```
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct DiffOptions {
    /// The codec. Default: the one that is verified sooner over 20 Mbit/s.
    pub codec: Codec,
    /// Bytes of working memory, besides the files themselves. Default: 1 GiB.
    pub memory: usize,
}

impl DiffOptions {
    /// Sets the codec.
    #[must_use]
    pub fn codec(self, codec: Codec) -> DiffOptions {
        DiffOptions { codec, ..self }
    }

    /// Sets the bytes of working memory.
    #[must_use]
    pub fn memory(self, memory: usize) -> DiffOptions {
        DiffOptions { memory, ..self }
    }

    pub(super) fn encode(&self) -> EncodeOptions {
        EncodeOptions::new().codec(self.codec).budget(self.memory).thorough(true).containers(true).predicted(true)
    }
}

impl Default for DiffOptions {
    fn default() -> DiffOptions {
        DiffOptions { codec: Codec::Auto { bits_per_second: 20_000_000 }, memory: 1 << 30 }
    }
}

/// The result of [`diff_file`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Diffed {
    /// The length of the delta in bytes.
    pub delta_len: u64,
    /// The length of the target in bytes.
    pub target_len: u64,
}

/// Writes the delta from `old` to `new` into `delta`, in one durable step.
///
/// The call blocks and takes a core until the delta is made. Files above 256 MiB are mapped into memory: if another
/// program cuts one short meanwhile, the operating system ends the process.
///
/// ```
/// use driblet::output::Output;
/// use driblet::{DiffOptions, Input, diff_file, patch_file};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = |name: &str| folder.path().join(name);
/// std::fs::write(path("app-1.js"), "let answer = 41;")?;
/// std::fs::write(path("app-2.js"), "let answer = 42;")?;
/// let (old, new, delta) = (Input::at(path("app-1.js")), Input::at(path("app-2.js")), path("app.delta"));
/// let diffed = diff_file(&old, &new, &Output::at(&delta)?, &DiffOptions::default())?;
/// assert_eq!(diffed.target_len, 16);
///
/// patch_file(&old, &Input::at(&delta), &Output::at(path("app.js"))?)?;
/// assert_eq!(std::fs::read(path("app.js"))?, b"let answer = 42;");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`FileError`] says what failed. The output is as it was.
pub fn diff_file(old: &Input, new: &Input, delta: &Output, options: &DiffOptions) -> Result<Diffed, FileError> {
    check_distinct(old, new)?;
    let load = |input: &Input| open_input(input)?.whole()?.loaded();
    let (basis, target) = (load(old)?, load(new)?);
    let unwritten = |error| FileError::write(delta.name(), error);
    let mut staged = delta.stage().map_err(unwritten)?;
    let delta_len = write_delta(Encoder::new(&basis, &target, options.encode()), new, &mut staged, delta)?;
    basis.check_unchanged()?;
    target.check_unchanged()?;
    staged.commit().map_err(unwritten)?;
    Ok(Diffed { delta_len, target_len: target.len() as u64 })
}

/// Writes a delta to its end. Gives its length.
pub(super) fn write_delta(
    mut encoder: Encoder<'_>,
    new: &Input,
    staged: &mut Staged,
    delta: &Output,
) -> Result<u64, FileError> {
    let mut len = 0;
    let unencoded = |source| FileError::Encode { input: new.clone(), source };
    while let Some(bytes) = encoder.poll_output().map_err(unencoded)? {
        staged.write_all(&bytes).map_err(|error| FileError::write(delta.name(), error))?;
        len += bytes.len() as u64;
    }
    Ok(len)
}
