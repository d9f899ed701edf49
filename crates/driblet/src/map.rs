//! The one place that maps files into memory.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::Mmap;

/// The bytes of a file, mapped for reading. A file of 0 bytes has an empty map.
pub(crate) struct Map(Option<Mmap>);

impl Map {
    /// Maps a file that no program writes to, or whose writes the caller notices afterwards. If another program cuts
    /// the file short, the next read of a lost byte ends the process.
    pub(crate) fn of(file: &File) -> io::Result<Map> {
        if file.metadata()?.len() == 0 {
            return Ok(Map(None));
        }
        // SAFETY: the map is read-only and private. The history's files are never written after they have their name,
        // and an unlinked file stays complete while it is open. Inputs of `diff_file` and `diff_directory` may be
        // written by other programs: their bytes are only read as numbers, each result is checked, and `files/read.rs`
        // refuses the delta if the file has changed.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file)? };
        Ok(Map(Some(map)))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
