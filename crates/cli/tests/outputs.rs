//! Outputs of commands: devices, pipes, links, and files with permissions and attributes.

mod support;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use support::{LIMIT, Limited, Serving, code, command, driblet, finished, joined, lines, pair, path, refused, text};
use tempfile::TempDir;

fn patch(folder: &TempDir, output: impl AsRef<OsStr>) -> Output {
    let (old, delta) = (path(folder, "old"), path(folder, "delta"));
    command(&["patch", &old, &delta, "-o"]).arg(output).output_within()
}

fn written(folder: &TempDir, output: impl AsRef<OsStr>) {
    let made = patch(folder, &output);
    assert_eq!(code(&made), 0, "{}", text(&made.stderr));
}

fn new() -> Vec<u8> {
    lines("and after\n")
}

/// A server of `app.js`, which is `new`, and the file's URL.
fn serving(folder: &TempDir) -> (Serving, String) {
    let root = folder.path().join("root");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("app.js"), new()).unwrap();
    let serving = Serving::start(&root, &folder.path().join("history"), &[]);
    let url = format!("{}app.js", serving.url);
    (serving, url)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn devices_stay_devices() {
    let folder = pair();
    let (_serving, url) = serving(&folder);
    let at = |name: &str| path(&folder, name);
    for args in [
        &["diff", &at("old"), &at("new"), "-o", "/dev/null"][..],
        &["patch", &at("old"), &at("delta"), "-o", "/dev/null"],
        &["pull", &url, "/dev/null"],
        &["pull", &url.replace("http:", "ws:"), "/dev/null"],
    ] {
        let output = driblet(args);
        assert_eq!((code(&output), text(&output.stderr)), (0, String::new()), "{args:?}");
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device(), "{args:?}");
    }
    for args in [
        &["diff", &at("old"), &at("new"), "-o", "/dev/full"][..],
        &["patch", &at("old"), &at("delta"), "-o", "/dev/full"],
        &["pull", &url, "/dev/full"],
    ] {
        refused(&driblet(args), &["/dev/full", "No space left on device"]);
        assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device(), "{args:?}");
    }
}

#[test]
fn standard_output_by_any_name() {
    let folder = pair();
    let (_serving, url) = serving(&folder);
    let at = |name: &str| path(&folder, name);
    let delta = fs::read(at("delta")).unwrap();
    for name in ["-", "/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"] {
        assert!(driblet(&["diff", &at("old"), &at("new"), "-o", name]).stdout == delta, "{name}");
        assert!(patch(&folder, name).stdout == new(), "{name}");
        let pulled = driblet(&["pull", &url, name, "--stats", "json"]);
        assert!(pulled.stdout == new(), "{name}");
        assert!(text(&pulled.stderr).contains("\"basis\":\"none\""), "{}", text(&pulled.stderr));
        assert!(driblet(&["pull", &url.replace("http:", "ws:"), name]).stdout == new(), "{name}");
        // Bytes for a regular file that is open already are appended, and the file is not replaced.
        let mut file = File::create(at("redirected")).unwrap();
        file.write_all(b"before").unwrap();
        let inode = file.metadata().unwrap().ino();
        let mut into = command(&["patch", &at("old"), &at("delta"), "-o", name]);
        assert!(into.stdout(file.try_clone().unwrap()).status_within().success());
        file.write_all(b"after").unwrap();
        assert!(fs::read(at("redirected")).unwrap() == [&b"before"[..], &new(), b"after"].concat(), "{name}");
        assert_eq!(fs::metadata(at("redirected")).unwrap().ino(), inode);
    }
}

#[test]
fn streams_that_are_closed_are_named() {
    let folder = pair();
    let at = |name: &str| path(&folder, name);
    let (old, new, delta) = (at("old"), at("new"), at("delta"));
    for (closed, args, says) in [
        (">&-", &["patch", &old, &delta, "-o", "-"][..], "cannot write standard output: it is closed"),
        (">&-", &["diff", &old, &new, "-o", "/dev/stdout"], "cannot write standard output: it is closed"),
        (">&-", &["--help"], "cannot write standard output: it is closed"),
        ("<&-", &["patch", "-", &delta, "-o", "/dev/null"], "cannot read standard input: it is closed"),
        ("<&-", &["diff", &old, "-", "-o", "/dev/null"], "cannot read standard input: it is closed"),
        ("<&-", &["diff", &old, "/dev/stdin", "-o", "/dev/null"], "cannot read /dev/stdin: it is closed"),
    ] {
        let mut sh = Command::new("sh");
        sh.args(["-c", &format!("exec \"$@\" {closed}"), "sh", env!("CARGO_BIN_EXE_driblet")]).args(args);
        refused(&sh.output_within(), &[says]);
    }
    // A command that needs neither works.
    let mut sh = Command::new("sh");
    sh.args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh", env!("CARGO_BIN_EXE_driblet")]);
    assert!(sh.args(["patch", &old, &delta, "-o", &at("made")]).status_within().success());
    assert!(fs::read(at("made")).unwrap() == fs::read(&new).unwrap());
}

#[test]
fn nothing_unverified_is_written_into_a_pipe() {
    let folder = pair();
    let mut flipped = fs::read(path(&folder, "delta")).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(path(&folder, "delta"), flipped).unwrap();
    let output = patch(&folder, "-");
    refused(&output, &["cannot apply"]);
    assert!(output.stdout.is_empty());
}

#[test]
fn a_fifo_is_written_into() {
    let folder = pair();
    let (_serving, url) = serving(&folder);
    let fifo = path(&folder, "fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status_within().success());
    let (old, delta) = (path(&folder, "old"), path(&folder, "delta"));
    for args in [
        &["patch", &old, &delta, "-o", &fifo][..],
        &["pull", &url, &fifo],
        &["pull", &url.replace("http:", "ws:"), &fifo],
    ] {
        let from = fifo.clone();
        let reader = thread::spawn(move || fs::read(from).unwrap());
        let output = driblet(args);
        assert_eq!((code(&output), text(&output.stderr)), (0, String::new()), "{args:?}");
        assert!(joined(reader) == new(), "{args:?}");
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    }
}

#[test]
fn links_stay_and_their_targets_are_written() {
    for by_pull in [false, true] {
        let folder = pair();
        let (_serving, url) = serving(&folder);
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("far/away")).unwrap();
        symlink("far/away", at("near")).unwrap();
        symlink("../target", at("far/away/relative")).unwrap();
        symlink(at("far/target"), at("absolute")).unwrap();
        symlink("near/relative", at("chain")).unwrap();
        symlink("far/made", at("dangling")).unwrap();
        for (link, target) in [
            ("near/relative", "far/target"),
            ("absolute", "far/target"),
            ("chain", "far/target"),
            ("dangling", "far/made"),
        ] {
            if target != "far/made" {
                fs::write(at(target), "what was there").unwrap();
            }
            let output = match by_pull {
                true => command(&["pull", &url]).arg(at(link)).output_within(),
                false => patch(&folder, at(link)),
            };
            assert_eq!(code(&output), 0, "{link}: {}", text(&output.stderr));
            assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink(), "{link}");
            assert!(fs::symlink_metadata(at(target)).unwrap().is_file(), "{link}");
            assert!(fs::read(at(target)).unwrap() == new(), "{link}");
        }
        let beside = fs::read_dir(at("far")).unwrap().count();
        assert_eq!(beside, 3, "nothing is left: away, target, made");
    }
}

#[test]
fn links_that_lead_nowhere_are_named() {
    let folder = pair();
    let (_serving, url) = serving(&folder);
    let at = |name: &str| path(&folder, name);
    symlink("b", at("a")).unwrap();
    symlink("a", at("b")).unwrap();
    refused(&patch(&folder, at("a")), &[&at("a"), "too many symbolic links"]);
    refused(&driblet(&["pull", &url, &at("a")]), &[&at("a"), "too many symbolic links"]);
    symlink("missing/file", at("lost")).unwrap();
    refused(&patch(&folder, at("lost")), &["does not exist"]);
}

#[test]
fn a_link_of_another_user_in_a_shared_folder_is_not_followed() {
    if !is_root() {
        return eprintln!("needs root, to make another user's link");
    }
    let folder = pair();
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    fs::write(path(&folder, "secret"), "untouched").unwrap();
    symlink("../secret", shared.join("link")).unwrap();
    lchown(shared.join("link"), Some(65534), None).unwrap();
    refused(&patch(&folder, shared.join("link")), &["another user's link"]);
    assert_eq!(fs::read(path(&folder, "secret")).unwrap(), b"untouched");
    lchown(shared.join("link"), Some(0), None).unwrap();
    written(&folder, shared.join("link"));
    assert!(fs::read(path(&folder, "secret")).unwrap() == new());
}

/// An access list as Linux stores it: the owner reads and writes, user 1234 and the group read.
fn access_list() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 4, 1234), (4, 0, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)];
    let entry = |(tag, rights, id): (u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    [2_u32.to_le_bytes().to_vec(), entries.map(entry).concat()].concat()
}

#[test]
fn what_was_set_on_a_file_stays() {
    let folder = pair();
    let (_serving, url) = serving(&folder);
    let (file, list) = (folder.path().join("file"), "system.posix_acl_access");
    for by_pull in [false, true] {
        for (rights, has_list) in [(0o640, true), (0o444, false), (0o4751, false), (0o600, false)] {
            let _ = fs::remove_file(&file);
            fs::write(&file, "what was there").unwrap();
            if is_root() {
                chown(&file, Some(12), Some(34)).unwrap();
            }
            fs::set_permissions(&file, Permissions::from_mode(rights)).unwrap();
            xattr::set(&file, "user.origin", b"here").unwrap();
            if has_list {
                xattr::set(&file, list, &access_list()).unwrap();
            }
            let before = fs::metadata(&file).unwrap();
            match by_pull {
                true => assert_eq!(code(&driblet(&["pull", &url, file.to_str().unwrap()])), 0),
                false => written(&folder, &file),
            }
            assert!(fs::read(&file).unwrap() == new());
            let after = fs::metadata(&file).unwrap();
            assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
            assert_ne!(after.ino(), before.ino(), "it was replaced in one step");
            assert_eq!(xattr::get(&file, "user.origin").unwrap().unwrap(), b"here");
            assert_eq!(xattr::get(&file, list).unwrap(), has_list.then(access_list), "{rights:o}");
        }
    }
}

#[test]
fn a_folder_gives_a_replaced_file_no_access_list() {
    let folder = pair();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("file"), "what was there").unwrap();
    fs::set_permissions(inner.join("file"), Permissions::from_mode(0o640)).unwrap();
    xattr::set(&inner, "system.posix_acl_default", &access_list()).unwrap();
    written(&folder, inner.join("file"));
    assert_eq!(xattr::get(inner.join("file"), "system.posix_acl_access").unwrap(), None);
    assert_eq!(mode(inner.join("file")), 0o640);
    written(&folder, inner.join("made"));
    assert!(xattr::get(inner.join("made"), "system.posix_acl_access").unwrap().is_some(), "as the folder has it");
}

#[test]
fn another_hard_link_keeps_the_old_bytes() {
    let folder = pair();
    let at = |name: &str| path(&folder, name);
    fs::hard_link(at("old"), at("other")).unwrap();
    written(&folder, at("old"));
    assert!(fs::read(at("old")).unwrap() == new() && fs::read(at("other")).unwrap() == lines("before\n"));
}

#[test]
fn an_input_may_be_the_output() {
    let folder = pair();
    let at = |name: &str| path(&folder, name);
    written(&folder, at("old"));
    assert!(fs::read(at("old")).unwrap() == new());
    assert_eq!(code(&driblet(&["diff", "/dev/null", &at("new"), "-o", &at("new")])), 0);
    assert_eq!(code(&driblet(&["patch", "/dev/null", &at("new"), "-o", &at("new")])), 0);
    assert!(fs::read(at("new")).unwrap() == new());
}

/// Runs the command without root's right to write anywhere.
fn powerless(args: &[&str]) -> Output {
    if !is_root() {
        return driblet(args);
    }
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--bounding-set=-all", "--inh-caps=-all", env!("CARGO_BIN_EXE_driblet")]);
    setpriv.args(args).output_within()
}

#[test]
fn a_file_in_a_folder_that_takes_no_other_is_written_in_place() {
    let folder = pair();
    let (_serving, url) = serving(&folder);
    let (old, delta, inner) = (path(&folder, "old"), path(&folder, "delta"), folder.path().join("inner"));
    fs::create_dir(&inner).unwrap();
    let (file, locked, free) =
        (path(&folder, "inner/file"), path(&folder, "inner/locked"), path(&folder, "inner/free"));
    for args in [&["patch", &old, &delta, "-o"][..], &["pull", &url], &["pull", &url.replace("http:", "ws:")]] {
        for there in [&b"short"[..], &new().repeat(2)] {
            fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
            fs::write(&file, there).unwrap();
            fs::write(&locked, "locked").unwrap();
            fs::set_permissions(&locked, Permissions::from_mode(0o444)).unwrap();
            fs::set_permissions(&inner, Permissions::from_mode(0o555)).unwrap();
            let inode = fs::metadata(&file).unwrap().ino();
            let output = powerless(&[args, &[&file]].concat());
            assert_eq!(code(&output), 0, "{}", text(&output.stderr));
            assert!(fs::read(&file).unwrap() == new(), "{args:?}");
            assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
            for refusing in [&locked, &free] {
                refused(
                    &powerless(&[args, &[refusing]].concat()),
                    &[refusing, "no file can be made in", "Permission denied"],
                );
            }
            assert_eq!(fs::read(&locked).unwrap(), b"locked");
            fs::set_permissions(&locked, Permissions::from_mode(0o644)).unwrap();
        }
    }
}

#[test]
fn a_file_that_is_mounted_is_written_in_place() {
    let folder = pair();
    let at = |name: &str| path(&folder, name);
    fs::write(at("inside"), "what was there").unwrap();
    fs::write(at("mounted"), "beneath").unwrap();
    // As containers mount single files.
    let script = "mount --bind \"$1\" \"$2\" || exit 77; exec \"$3\" patch \"$4\" \"$5\" -o \"$2\"";
    let args = [at("inside"), at("mounted"), env!("CARGO_BIN_EXE_driblet").to_owned(), at("old"), at("delta")];
    let mut unshare = Command::new("unshare");
    unshare.args(if is_root() { &["-m"][..] } else { &["-rm"] }).args(["sh", "-c", script, "sh"]).args(args);
    let output = unshare.output_within();
    if output.status.code() == Some(77) || text(&output.stderr).contains("unshare failed") {
        return eprintln!("this system lets nobody mount");
    }
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(fs::read(at("inside")).unwrap() == new());
    assert_eq!(fs::read(at("mounted")).unwrap(), b"beneath");
}

#[test]
fn every_name_that_the_file_system_allows() {
    let folder = pair();
    let (_serving, url) = serving(&folder);
    let long = "n".repeat(255);
    for name in [
        long.as_bytes(),
        "ö".repeat(127).as_bytes(),
        b"not \xff UTF-8",
        b"a\nline",
        b"-dash",
        b"-o",
        b".dot",
        b" ",
        b"..x",
        b"a\\b\"'$",
    ] {
        let name = OsStr::from_bytes(name);
        // In the folder itself, so that the begin of the name matters.
        let into = folder.path().join("into");
        fs::create_dir(&into).unwrap();
        for round in ["made", "replaced", "up to date"] {
            let output = command(&["pull", &url, "--"]).arg(name).current_dir(&into).output_within();
            assert_eq!(code(&output), 0, "{name:?} {round}: {}", text(&output.stderr));
            assert!(fs::read(into.join(name)).unwrap() == new(), "{name:?} {round}");
            if round == "made" {
                fs::write(into.join(name), lines("older\n")).unwrap();
            }
        }
        let mut output = std::ffi::OsString::from("--output=");
        output.push(name);
        let mut patch = command(&["patch", &path(&folder, "old"), &path(&folder, "delta")]);
        assert!(patch.arg(output).current_dir(&into).status_within().success(), "{name:?}");
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1, "{name:?}: nothing else is left");
        fs::remove_dir_all(&into).unwrap();
    }
    refused(&driblet(&["pull", &url, &path(&folder, &"n".repeat(256))]), &["File name too long"]);
}

#[test]
fn what_cannot_be_written_is_named_before_anything_is_transferred() {
    let folder = pair();
    let at = |name: &str| path(&folder, name);
    fs::create_dir(at("folder")).unwrap();
    symlink("folder", at("link")).unwrap();
    for (name, says) in [
        ("folder", "it names a folder"),
        ("folder/", "it names a folder"),
        ("folder/.", "it names a folder"),
        ("folder/..", "it names a folder"),
        ("free/", "it names a folder"),
        ("link", "it names a folder"),
        ("missing/file", "does not exist"),
        ("old/file", "Not a directory"),
    ] {
        let name = &at(name);
        refused(&patch(&folder, name), &[name, says]);
        refused(&driblet(&["diff", &at("old"), &at("new"), "-o", name]), &[name, says]);
        // No server is there, and the command asks none.
        refused(&driblet(&["pull", "http://127.0.0.1:1/file", name]), &[name, says]);
    }
    refused(&patch(&folder, "a\nb/c"), &["a\\nb"]);
}

#[test]
fn a_file_of_proc_is_an_error_with_its_name() {
    let folder = pair();
    let output = patch(&folder, "/proc/self/mountinfo");
    refused(&output, &["/proc/self/mountinfo"]);
}

#[test]
fn another_descriptor_is_written_into() {
    let folder = pair();
    let script = "{ echo before >&3; \"$1\" patch \"$2\" \"$3\" -o /dev/fd/3; echo after >&3; } 3>\"$4\"";
    let at = |name: &str| path(&folder, name);
    let args = [env!("CARGO_BIN_EXE_driblet").to_owned(), at("old"), at("delta"), at("out")];
    assert!(Command::new("sh").args(["-c", script, "sh"]).args(args).status_within().success());
    assert!(fs::read(at("out")).unwrap() == [b"before\n", &new()[..], b"after\n"].concat());
}

#[test]
fn a_socket_as_standard_output() {
    let folder = pair();
    let at = |name: &str| path(&folder, name);
    // As Node gives its children.
    let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let child = command(&["patch", &at("old"), &at("delta"), "-o", "/dev/stdout"])
        .stdout(Stdio::from(std::os::fd::OwnedFd::from(far)))
        .spawn()
        .unwrap();
    near.set_read_timeout(Some(LIMIT)).unwrap();
    let mut came = Vec::new();
    near.read_to_end(&mut came).unwrap();
    assert!(finished(child).status.success());
    assert!(came == new());
}
