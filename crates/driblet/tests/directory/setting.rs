//! A host, and a folder to pull into.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use driblet::client::DirectoryProgress;
use driblet::{Client, PullDirectoryError, PullDirectoryOptions, PulledDirectory};
use tempfile::TempDir;
use url::Url;

use super::host::{File, Host};
pub(crate) use super::random::random_bytes;

pub(crate) struct Setting {
    pub(crate) host: Host,
    pub(crate) folder: TempDir,
    pub(crate) options: PullDirectoryOptions,
}

/// A folder's files: bytes, and whether they may be executed.
pub(crate) type Files = BTreeMap<String, File>;

impl Setting {
    pub(crate) async fn new() -> Setting {
        let (host, folder) = (Host::start().await, TempDir::new().unwrap());
        Setting { host, folder, options: PullDirectoryOptions::default() }
    }

    pub(crate) fn dest(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join(".app.driblet")
    }

    pub(crate) fn url(&self) -> Url {
        format!("http://{}/app/", self.host.address).parse().unwrap()
    }

    pub(crate) async fn pull(&self) -> Result<PulledDirectory, PullDirectoryError> {
        self.pull_with(&self.options).await
    }

    pub(crate) async fn pull_with(
        &self,
        options: &PullDirectoryOptions,
    ) -> Result<PulledDirectory, PullDirectoryError> {
        Client::new().unwrap().pull_directory(&self.url(), self.dest(), options, |_: DirectoryProgress| {}).await
    }

    /// What the folder holds, without what driblet keeps.
    pub(crate) fn held(&self) -> Files {
        let mut files = Files::new();
        if self.dest().exists() {
            collect(&self.dest(), "", &mut files);
        }
        files
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.dest().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// What a complete pull leaves beside the folder.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let mut files = Files::new();
        collect(&self.state(), "", &mut files);
        files.into_keys().collect()
    }
}

pub(crate) fn collect(folder: &Path, path: &str, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let below = if path.is_empty() { name } else { format!("{path}/{name}") };
        let found = entry.path().symlink_metadata().unwrap();
        if found.is_dir() {
            collect(&entry.path(), &below, files);
        } else if found.is_symlink() {
            files.insert(below, (fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes(), false));
        } else {
            files.insert(below, (fs::read(entry.path()).unwrap(), found.permissions().mode() & 0o100 != 0));
        }
    }
}

pub(crate) fn file(bytes: impl AsRef<[u8]>) -> File {
    (bytes.as_ref().to_vec(), false)
}

pub(crate) fn program(bytes: impl AsRef<[u8]>) -> File {
    (bytes.as_ref().to_vec(), true)
}

pub(crate) fn files(list: &[(&str, File)]) -> Files {
    list.iter().map(|(path, file)| ((*path).to_owned(), file.clone())).collect()
}

/// An error's message and those of its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
