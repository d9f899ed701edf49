//! Pulls into file systems that cannot hold every name: NTFS images, which root can mount where ntfs-3g is installed
//! (scripts/setup.sh ntfs).

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Limited, Serving, code, driblet, files, refused, text};
use tempfile::TempDir;

/// A mounted file system. It is unmounted with the test.
struct Mounted {
    folder: TempDir,
}

impl Mounted {
    /// `None`, and a message that is always shown, if no image can be mounted here.
    fn new(program: &str, options: &str) -> Option<Mounted> {
        let mounted = Mounted { folder: TempDir::new().unwrap() };
        let (image, place) = (mounted.folder.path().join("image"), mounted.place());
        fs::create_dir(&place).unwrap();
        fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        let run =
            |program: &str, args: &[&str], paths: &[&Path]| match Command::new(program).args(args).args(paths).output()
            {
                Ok(output) if output.status.success() => Ok(()),
                Ok(output) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr))),
                Err(error) => Err(format!("{program}: {error}")),
            };
        let made = run("mkntfs", &["-F", "-Q", "-q"], &[&image]);
        // Only root may mount it.
        let done = made.and_then(|()| run(program, &["-o", options], &[&image, &place]));
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        match done {
            Ok(()) if device(&place) != device(mounted.folder.path()) => Some(mounted),
            done => {
                let why = done.err().unwrap_or_default();
                #[expect(clippy::explicit_write, reason = "what eprintln! says is hidden unless the test fails")]
                writeln!(std::io::stderr(), "SKIPPED: no NTFS image can be mounted here: {why}").unwrap();
                None
            }
        }
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("place")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.place()).status_within();
    }
}

/// A name that is refused: the file that the server has, the path that the error names, and what else it says.
type Refused<'a> = (&'a str, &'a str, &'a str);

const BY_SYSTEM: &str = "the file system refuses the name";
const TWIN: &str = "differs by letter case";

/// Fails unless each of these names is refused before anything is changed, and can be excluded.
fn assert_refused(mounted: &Mounted, names: &[Refused<'_>]) {
    let folder = files(&[("root/a", b"old"), ("root/sub/b", b"old")]);
    let root = folder.path().join("root");
    let serving = Serving::start(&root, &folder.path().join("history"), &["--no-watch"]);
    let app = mounted.place().join("app");
    let pull = |more: &[&str]| driblet(&[&["pull", &serving.url, app.to_str().unwrap()], more].concat());
    let held = || ["a", "sub/b"].map(|path| fs::read_to_string(app.join(path)).unwrap());
    for (round, (name, named, says)) in names.iter().enumerate() {
        assert_eq!(code(&pull(&[])), 0);
        let before = held();
        let new = format!("new {round}");
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        for path in ["a", "sub/b"] {
            fs::write(root.join(path), &new).unwrap();
        }
        // The second pull has nothing to complete.
        for _ in 0..2 {
            refused(&pull(&[]), &[&format!("cannot write {named:?}"), says]);
            assert_eq!(held(), before, "{name}");
        }
        let output = pull(&["--exclude", &format!("/{}", name.replace(' ', "\\ "))]);
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        assert_eq!(held(), [&new[..], &new], "{name}");
        fs::remove_file(path).unwrap();
    }
    // Both are other names to NTFS.
    let normalised = ["\u{e9}", "e\u{301}"];
    for name in normalised {
        fs::write(root.join(name), name).unwrap();
    }
    assert_eq!(code(&pull(&[])), 0);
    assert_eq!(normalised.map(|name| fs::read_to_string(app.join(name)).unwrap()), normalised);
}

#[test]
fn a_file_system_that_takes_letter_cases_for_the_same() {
    let Some(mounted) = Mounted::new("lowntfs-3g", "ignore_case,windows_names,permissions") else { return };
    assert_refused(
        &mounted,
        &[
            ("A", "a", TWIN),
            ("sub/B", "sub/b", TWIN),
            ("con", "con", BY_SYSTEM),
            ("sub/nul.txt", "sub/nul.txt", BY_SYSTEM),
            ("sub/b.", "sub/b.", BY_SYSTEM),
        ],
    );
}

#[test]
fn a_file_system_that_tells_names_apart_and_refuses_some() {
    let Some(mounted) = Mounted::new("ntfs-3g", "windows_names,permissions") else { return };
    let names = ["con", "sub/nul.txt", "sub/b.", "sub/b ", "aux.d/x", "a?"];
    assert_refused(&mounted, &names.map(|name| (name, name, BY_SYSTEM)));
}
