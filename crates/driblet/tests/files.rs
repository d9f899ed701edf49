//! Deltas between files, without a server.

#[path = "support/chain.rs"]
mod chain;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use driblet::output::Output;
use driblet::{DiffOptions, FileError, Input, diff_file, patch_file};
use tempfile::TempDir;

use chain::chain;

struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = TempDir::new().unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
        Folder(folder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn input(&self, name: &str) -> Input {
        Input::at(self.at(name))
    }

    fn output(&self, name: &str) -> Output {
        Output::at(self.at(name)).unwrap()
    }

    fn diff(&self) {
        let (old, new) = (self.input("old"), self.input("new"));
        diff_file(&old, &new, &self.output("delta"), &DiffOptions::default()).unwrap();
    }
}

#[test]
fn a_file_is_patched_in_place() {
    let folder = Folder::new(&[("old", "one\ntwo\n"), ("new", "one\n2\n")]);
    folder.diff();
    let patched = patch_file(&folder.input("old"), &folder.input("delta"), &folder.output("old")).unwrap();
    assert_eq!((patched.len, fs::read_to_string(folder.at("old")).unwrap().as_str()), (6, "one\n2\n"));
}

#[test]
fn errors_name_the_file_and_leave_the_output() {
    let folder = Folder::new(&[("old", "one\n"), ("new", "two\n"), ("other", "three\n"), ("kept", "as it was")]);
    folder.diff();
    let error = patch_file(&folder.input("other"), &folder.input("delta"), &folder.output("kept")).unwrap_err();
    assert!(matches!(error, FileError::Apply { .. }) && error.source().is_some(), "{error:?}");
    assert_eq!(error.to_string(), format!("cannot apply {}", folder.at("delta").display()));
    let error = patch_file(&folder.input("missing"), &folder.input("delta"), &folder.output("kept")).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}", folder.at("missing").display()));
    assert_eq!(fs::read_to_string(folder.at("kept")).unwrap(), "as it was");
    let error = patch_file(&Input::stdin(), &Input::stdin(), &folder.output("kept")).unwrap_err();
    assert!(matches!(error, FileError::SameStream { .. }), "{error}");
}

#[test]
fn each_message_of_an_error_says_something_new() {
    let folder = Folder::new(&[("old", "old"), ("delta", "no delta")]);
    let none = Input::at("/dev/null");
    let unread = patch_file(&folder.input("missing"), &none, &folder.output("new")).unwrap_err();
    let unapplied = patch_file(&none, &folder.input("delta"), &folder.output("new")).unwrap_err();
    let full = Output::at("/dev/full").unwrap();
    let unwritten = diff_file(&none, &folder.input("old"), &full, &DiffOptions::default()).unwrap_err();
    for (error, says) in
        [(unread, "No such file or directory"), (unapplied, "cannot apply "), (unwritten, "No space left on device")]
    {
        assert!(chain(&error).contains(says), "{}", chain(&error));
    }
}
