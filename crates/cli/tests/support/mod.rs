//! The binary, real servers, and a proxy between the two.
#![allow(dead_code, unused_imports)]

mod attacked;
mod certificate;
#[path = "../../../driblet/tests/support/frames.rs"]
pub(crate) mod frames;
mod http2;
#[path = "../../../core/tests/support/random.rs"]
mod random;
mod serving;
mod tap;
#[path = "../../../driblet/tests/support/wait.rs"]
mod wait;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use tempfile::TempDir;

pub(crate) use attacked::{Attacked, MIB, all};
pub(crate) use certificate::certify;
pub(crate) use http2::Http2;
pub(crate) use random::{Random, random_bytes};
pub(crate) use serving::{Serving, send};
pub(crate) use tap::{Tap, http};
pub(crate) use wait::{LIMIT, eventually_on_thread, joined, let_pass, within_on_thread};

pub(crate) fn driblet(args: &[&str]) -> Output {
    command(args).output_within()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs commands with a limit.
pub(crate) trait Limited {
    /// As [`Command::output`]. Fails after the limit.
    fn output_within(&mut self) -> Output;

    /// As [`Command::status`]. Fails after the limit.
    fn status_within(&mut self) -> ExitStatus;
}

impl Limited for Command {
    fn output_within(&mut self) -> Output {
        let mut command = std::mem::replace(self, Command::new("true"));
        within_on_thread(move || command.output().unwrap())
    }

    fn status_within(&mut self) -> ExitStatus {
        let mut command = std::mem::replace(self, Command::new("true"));
        within_on_thread(move || command.status().unwrap())
    }
}

/// Waits until a process has ended, and gives what it wrote. Fails after the limit.
pub(crate) fn finished(process: Child) -> Output {
    within_on_thread(move || process.wait_with_output().unwrap())
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
