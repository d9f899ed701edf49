//! The binary, real servers, and a proxy between the two.
#![allow(dead_code, unused_imports)]

mod tap;
#[path = "../../../driblet/tests/support/wait.rs"]
mod wait;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

pub(crate) use tap::{Tap, http};
pub(crate) use wait::{eventually_on_thread, let_pass};

pub(crate) fn driblet(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_driblet")).args(args).output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A running server. It ends with the test.
pub(crate) struct Serving {
    process: Child,
    pub(crate) url: String,
}

impl Serving {
    pub(crate) fn start(path: &Path, history: &Path, more: &[&str]) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driblet"));
        command.args([
            "serve",
            path.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
            "--history",
            history.to_str().unwrap(),
        ]);
        let mut process = command.args(more).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).trim_end().to_owned();
        assert!(url.starts_with("http://127.0.0.1:") && url.ends_with('/'), "{line}");
        Serving { process, url }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn files(contents: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in contents {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

pub(crate) fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

pub(crate) fn lines(edit: &str) -> Vec<u8> {
    let line =
        |i: u32| if i == 500 { edit.to_owned() } else { format!("line {i} of {}\n", i.wrapping_mul(2654435761)) };
    (0..2000).map(line).collect::<String>().into_bytes()
}

/// The command, without its streams.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driblet"));
    command.args(args);
    command
}

/// Checks that the error is one line that contains all these texts.
pub(crate) fn refused(output: &Output, says: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!((code(output), said.lines().count()), (1, 1), "{said}");
    assert!(said.starts_with("driblet: "), "{said}");
    says.iter().for_each(|words| assert!(said.contains(words), "{words:?} in {said}"));
}

/// Two versions and the delta between them, as `old`, `new` and `delta`.
pub(crate) fn pair() -> TempDir {
    let folder = files(&[("old", &lines("before\n")), ("new", &lines("and after\n"))]);
    let at = |name: &str| path(&folder, name);
    assert_eq!(code(&driblet(&["diff", &at("old"), &at("new"), "-o", &at("delta")])), 0);
    folder
}
