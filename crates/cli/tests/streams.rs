//! Inputs and outputs of commands: pipes, FIFOs, files of /proc, and streams that are closed or full.

mod support;

use std::fs::{self, File};
use std::io::{Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::thread;

use support::{
    Limited, Serving, code, command, driblet, files, finished, joined, lines, pair, path, refused, text,
    within_on_thread,
};

/// Runs the command with these bytes from a pipe.
fn fed(args: &[&str], bytes: Vec<u8>) -> Output {
    let mut child = command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that refuses its arguments does not read.
    let feeding = thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = finished(child);
    joined(feeding);
    output
}

#[test]
fn streams_are_read_to_their_end() {
    let folder = pair();
    let at = |name: &str| path(&folder, name);
    let (old, new) = (fs::read(at("old")).unwrap(), fs::read(at("new")).unwrap());
    let delta = fs::read(at("delta")).unwrap();
    for stdin in ["-", "/dev/stdin", "/proc/self/fd/0", "/dev/fd/0"] {
        assert!(fed(&["diff", &at("old"), stdin, "-o", "-"], new.clone()).stdout == delta, "{stdin}");
        assert!(fed(&["diff", stdin, &at("new"), "-o", "-"], old.clone()).stdout == delta, "{stdin}");
        assert!(fed(&["patch", stdin, &at("delta"), "-o", "-"], old.clone()).stdout == new, "{stdin}");
        assert!(fed(&["patch", &at("old"), stdin, "-o", "-"], delta.clone()).stdout == new, "{stdin}");
        // A regular file as standard input, and a socket, as Node gives its children.
        let file = File::open(at("old")).unwrap();
        let patched = command(&["patch", stdin, &at("delta"), "-o", "-"]).stdin(file).output_within();
        assert!(patched.stdout == new, "{stdin}");
        let (mut near, far) = UnixStream::pair().unwrap();
        let bytes = old.clone();
        let feeding = thread::spawn(move || near.write_all(&bytes).unwrap());
        let patched = command(&["patch", stdin, &at("delta"), "-o", "-"]).stdin(OwnedFd::from(far)).output_within();
        joined(feeding);
        assert!(patched.stdout == new, "{stdin}: {}", text(&patched.stderr));
    }
    assert!(Command::new("mkfifo").arg(at("fifo")).status_within().success());
    let (fifo, bytes) = (at("fifo"), new.clone());
    let feeding = thread::spawn(move || fs::write(fifo, bytes).unwrap());
    assert_eq!(code(&driblet(&["diff", &at("old"), &at("fifo"), "-o", &at("again")])), 0);
    joined(feeding);
    assert!(fs::read(at("again")).unwrap() == delta);
}

#[test]
fn process_substitution() {
    let folder = pair();
    let script = "\"$0\" diff <(cat \"$1\") <(cat \"$2\") -o >(cat > \"$3\"); wait $!; \"$0\" patch <(cat \"$1\") <(cat \"$3\") -o \"$4\"";
    let at = |name: &str| path(&folder, name);
    let args = [at("old"), at("new"), at("made"), at("patched")];
    let status = Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_driblet")]).args(args).status_within();
    assert!(status.success());
    assert!(fs::read(at("made")).unwrap() == fs::read(at("delta")).unwrap());
    assert!(fs::read(at("patched")).unwrap() == fs::read(at("new")).unwrap());
}

#[test]
fn files_whose_length_is_not_theirs() {
    let folder = files(&[("new", &lines("x\n"))]);
    let at = |name: &str| path(&folder, name);
    // Files of /proc have a length of 0, files of /sys one of 4,096.
    for odd in ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"]
        .into_iter()
        .filter(|odd| fs::exists(odd).unwrap())
    {
        assert_eq!(code(&driblet(&["diff", "/dev/null", odd, "-o", &at("delta")])), 0);
        assert_eq!(code(&driblet(&["patch", "/dev/null", &at("delta"), "-o", &at("made")])), 0);
        assert_eq!(fs::read(at("made")).unwrap(), fs::read(odd).unwrap());
        assert_eq!(code(&driblet(&["diff", odd, &at("new"), "-o", &at("delta")])), 0);
        assert_eq!(code(&driblet(&["patch", odd, &at("delta"), "-o", &at("made")])), 0);
        assert!(fs::read(at("made")).unwrap() == lines("x\n"));
    }
}

#[test]
fn inputs_longer_than_what_is_kept_in_memory() {
    let folder = files(&[("new", &lines("x\n"))]);
    let at = |name: &str| path(&folder, name);
    File::create(at("long")).unwrap().set_len(65 << 20).unwrap();
    let cat = || Command::new("cat").arg(at("long")).stdout(Stdio::piped()).spawn().unwrap().stdout.unwrap();
    assert_eq!(code(&driblet(&["diff", &at("long"), &at("new"), "-o", &at("delta")])), 0);
    let piped = command(&["diff", "-", &at("new"), "-o", "-"]).stdin(cat()).output_within();
    assert!(piped.stdout == fs::read(at("delta")).unwrap());
    assert!(driblet(&["patch", &at("long"), &at("delta"), "-o", "-"]).stdout == lines("x\n"));
    assert!(command(&["patch", "-", &at("delta"), "-o", "-"]).stdin(cat()).output_within().stdout == lines("x\n"));
}

#[test]
fn a_file_that_was_read_may_change() {
    let folder = pair();
    let at = |name: &str| path(&folder, name);
    assert!(Command::new("mkfifo").arg(at("fifo")).status_within().success());
    let child = command(&["diff", &at("old"), &at("fifo"), "-o", &at("again")]).spawn().unwrap();
    // The FIFO is opened once the other input has been read.
    let name = at("fifo");
    let mut fifo = within_on_thread(|| fs::OpenOptions::new().write(true).open(name).unwrap());
    fs::write(at("old"), "something else").unwrap();
    fifo.write_all(&fs::read(at("new")).unwrap()).unwrap();
    drop(fifo);
    assert!(finished(child).status.success());
    assert!(fs::read(at("again")).unwrap() == fs::read(at("delta")).unwrap());
}

#[test]
fn one_stream_is_not_two_inputs() {
    let folder = pair();
    let at = |name: &str| path(&folder, name);
    assert!(Command::new("mkfifo").arg(at("fifo")).status_within().success());
    for (one, other) in [("-", "-"), ("-", "/dev/stdin"), ("/dev/stdin", "/proc/self/fd/0"), (&at("fifo"), &at("fifo"))]
    {
        for args in [["diff", one, other, "-o", "-"], ["patch", one, other, "-o", "-"]] {
            let output = fed(&args, lines("x\n"));
            assert_eq!((code(&output), output.stdout.len()), (2, 0), "{args:?}");
            assert_eq!(text(&output.stderr).lines().count(), 1, "{}", text(&output.stderr));
        }
    }
    assert_eq!(code(&driblet(&["diff", "/dev/null", "/dev/null", "-o", &at("empty")])), 0);
}

#[test]
fn a_folder_is_no_input() {
    let folder = pair();
    let (at, inner) = (|name: &str| path(&folder, name), folder.path().to_str().unwrap());
    refused(&driblet(&["diff", inner, &at("new"), "-o", &at("x")]), &[inner, "is a folder and"]);
    refused(&driblet(&["patch", &at("old"), inner, "-o", &at("x")]), &[inner, "it is a folder"]);
}

#[test]
fn a_closed_standard_output_ends_the_command_as_a_signal_does() {
    let folder = pair();
    let at = |name: &str| path(&folder, name);
    fs::create_dir(at("root")).unwrap();
    fs::write(at("root/app.js"), lines("x\n")).unwrap();
    let serving = Serving::start(&folder.path().join("root"), &folder.path().join("history"), &[]);
    let url = format!("{}app.js", serving.url);
    let (old, new, delta, dest) = (at("old"), at("new"), at("delta"), at("dest"));
    let writing = [
        &["diff", &old, &new, "-o", "-"][..],
        &["patch", &old, &delta, "-o", "/dev/stdout"],
        &["pull", &url, "-"],
        &["pull", &url, &dest, "--stats", "json"],
        &["--help"],
        &["--version"],
        &["pull", "--help"],
        &["help", "serve"],
    ];
    for args in writing {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = command(args).stdout(writer).stderr(Stdio::piped()).output_within();
        assert_eq!((output.status.signal(), text(&output.stderr)), (Some(13), String::new()), "{args:?}");
    }
    assert!(fs::read(&dest).unwrap() == lines("x\n"), "pulled all the same");
    for args in writing {
        let output = command(args).stdout(full()).stderr(Stdio::piped()).output_within();
        refused(&output, &["cannot write", "No space left on device"]);
    }
}

#[test]
fn errors_that_cannot_be_shown_do_no_harm() {
    for args in [&["patch", "missing", "x", "-o", "y"][..], &["pull", "http://127.0.0.1:1/x", "-"]] {
        assert_eq!(command(args).stderr(full()).status_within().code(), Some(1), "{args:?}");
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        assert_eq!(command(args).stderr(writer).status_within().code(), Some(1), "{args:?}");
    }
    for args in [&["pull"][..], &["nonsense"], &["diff", "-", "-", "-o", "x"]] {
        assert_eq!(command(args).stderr(full()).status_within().code(), Some(2), "{args:?}");
    }
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}
