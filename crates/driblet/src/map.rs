//! The one place that maps files into memory.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::Mmap;

/// A file's bytes, mapped for reading; a file of 0 bytes maps to nothing.
pub(crate) struct Map(Option<Mmap>);

impl Map {
    pub(crate) fn of(file: &File) -> io::Result<Map> {
        if file.metadata()?.len() == 0 {
            return Ok(Map(None));
        }
        // SAFETY: only the history's own files are mapped. They are private to the process by the history's lock, are never
        // written after they got their name, and an unlinked file stays whole while it is open. Who truncates them from outside ends the process.
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
