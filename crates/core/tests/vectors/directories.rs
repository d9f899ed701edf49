//! The vectors of directories: how they are written, and what both sides must find in them.

use driblet_core::directory::{DirectoryDelta, Manifest, ManifestLimits};
use driblet_core::{Basis, Limits, Version};
use serde_json::{Value, json};

use super::directories_in_memory::TestFile;
use super::input::{bytes_of, hex, unhex};
use super::{decode, text};

/// The files of a manifest as a vector has them.
pub(crate) fn files_of(manifest: &Manifest) -> Value {
    let file = |entry: driblet_core::directory::Entry<'_>| {
        json!([entry.path, entry.executable, entry.len, entry.version.to_string()])
    };
    manifest.entries().map(file).collect()
}

/// A version and a length, of the first byte of the version and the length.
pub(crate) fn sized(file: &Value) -> (Version, u64) {
    let mut version = [0; 32];
    version[0] = unhex(file[0].as_str().unwrap())[0];
    (Version::from_bytes(version), file[1].as_u64().unwrap())
}

/// The parts of a directory delta, and the bytes after it.
pub(crate) fn plan(vector: &Value) -> Result<(Value, Value), &'static str> {
    let manifest = |bytes: &[u8]| Manifest::parse(bytes, ManifestLimits::default()).unwrap();
    let old = text(vector, "old");
    let old = (!old.is_empty()).then(|| manifest(&unhex(old)));
    let new = manifest(&unhex(text(vector, "new")));
    let bytes = unhex(text(vector, "bytes"));
    let parsed = DirectoryDelta::parse(&bytes).map_err(|error| error.reason())?;
    let (delta, len) = parsed.ok_or("truncated")?;
    let parts = delta.plan(old.as_ref(), &new).map_err(|error| error.reason())?;
    if !delta.manifest_delta.is_empty() {
        let old = old.map(|old| old.encode()).unwrap_or_default();
        let basis = Basis::of(&Version::of(&old), old.len() as u64);
        let basis = if old.is_empty() { Basis::EMPTY } else { basis };
        assert!(decode(&old, basis, Limits::default(), &delta.manifest_delta) == Ok(new.encode()));
    }
    let part = |part: &driblet_core::directory::PlannedPart| {
        json!([part.files, part.bases, part.name.to_string(), part.basis.to_string()])
    };
    Ok((parts.iter().map(part).collect(), Value::from(hex(&bytes[len..]))))
}

/// A directory as a vector has it: path, flag and bytes of each file.
pub(crate) fn contents(files: &Value) -> Vec<TestFile> {
    let file = |file: &Value| (file[0].as_str().unwrap().to_owned(), file[1].as_bool().unwrap(), bytes_of(&file[2]));
    files.as_array().unwrap().iter().map(file).collect()
}

#[cfg(feature = "encode")]
mod write {
    use driblet_core::EncodeOptions;
    use driblet_core::directory::{
        BasisChooser, DeltaPart, FileEntry, Have, cut_parts, encode_manifest_delta, new_files,
    };

    use super::*;
    use crate::directories_in_memory::{diff_directory, manifest_of};
    use crate::varint::put_varint;

    fn file(path: &str, content: &str, executable: bool) -> FileEntry {
        let (len, version) = (content.len() as u64, Version::of(content.as_bytes()));
        FileEntry { path: path.into(), executable, len, version }
    }

    fn old() -> Manifest {
        let files = [("a-b", "one"), ("a/x", "two"), ("assets/app-a1b2c3d4.js", "three"), ("b", ""), ("z", "four")];
        Manifest::new(files.map(|(path, content)| file(path, content, path == "z")).into()).unwrap()
    }

    fn new() -> Manifest {
        let files = [
            ("a-b", "one"),
            ("a/x", "changed"),
            ("assets/app-ffee9911.js", "new"),
            ("b", ""),
            ("moved/z", "four"),
            ("w", "new"),
        ];
        Manifest::new(files.map(|(path, content)| file(path, content, false)).into()).unwrap()
    }

    /// A manifest written by hand: each path with the length that it shares with the one before.
    fn by_hand(paths: &[(u64, &[u8])], flags: &[u8], lens: &[u64], versions: &[Version]) -> Vec<u8> {
        let mut out = vec![0xda, 1];
        put_varint(&mut out, paths.len() as u64);
        for (shared, rest) in paths {
            put_varint(&mut out, *shared);
            put_varint(&mut out, rest.len() as u64);
            out.extend_from_slice(rest);
        }
        out.extend_from_slice(flags);
        lens.iter().for_each(|len| put_varint(&mut out, *len));
        versions.iter().for_each(|version| out.extend_from_slice(version.as_bytes()));
        out
    }

    pub(crate) fn manifests() -> Value {
        let one = Version::of(b"1");
        let good = |name: &str, manifest: Manifest| json!({ "name": name, "bytes": hex(&manifest.encode()), "files": files_of(&manifest) });
        let bad =
            |name: &str, bytes: &[u8], reason: &str| json!({ "name": name, "bytes": hex(bytes), "refused": reason });
        let two = |name: &str, first: &[u8], shared: u64, rest: &[u8], reason: &str| {
            bad(name, &by_hand(&[(0, first), (shared, rest)], &[0; 2], &[1; 2], &[one; 2]), reason)
        };
        let path = |name: &str, path: &[u8]| bad(name, &by_hand(&[(0, path)], &[0], &[1], &[one]), "bad-path");
        let whole = old().encode();
        let with = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            bytes
        };
        json!([
            good("no file", Manifest::default()),
            good("five files", old()),
            good(
                "paths in order",
                Manifest::new(["a", "a!", "b/\u{e9}", "B"].map(|path| file(path, "1", false)).into()).unwrap()
            ),
            bad("nothing", b"", "truncated"),
            bad("another first byte", &with(0, 0xdb), "bad-magic"),
            bad("another format", &with(1, 2), "bad-format"),
            bad("the last byte is missing", &whole[..whole.len() - 1], "truncated"),
            bad("one byte more", &[whole.clone(), vec![0]].concat(), "trailing-bytes"),
            bad("2^40 files announced", &[0xda, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20], "limit-files"),
            bad("2^20 files announced, and none there", &[0xda, 1, 0x80, 0x80, 0x40], "truncated"),
            path("a parent folder", b"../etc/passwd"),
            path("a parent folder in the middle", b"a/../b"),
            path("an absolute path", b"/etc/passwd"),
            path("an empty part", b"a//b"),
            path("a slash at the end", b"a/"),
            path("an empty path", b""),
            path("a dot", b"./a"),
            path("a backslash", b"a\\b"),
            path("a NUL", b"a\0b"),
            path("no UTF-8", b"\xff"),
            path("4,097 bytes", &[b'a'; 4097]),
            two("two equal paths", b"a", 1, b"", "bad-order"),
            two("not in order", b"b", 0, b"a", "bad-order"),
            two("a path below a file", b"a", 1, b"/x", "below-file"),
            two("the order of bytes is not that of paths", b"a-b", 1, b"/x", "bad-order"),
            two("fewer shared bytes than there are", b"ab", 0, b"ac", "bad-path"),
            two("more shared bytes than there are", b"ab", 3, b"c", "bad-path"),
            bad("an unknown flag", &by_hand(&[(0, b"a")], &[2], &[1], &[one]), "bad-flags"),
            bad("a file of no bytes with another version", &by_hand(&[(0, b"a")], &[0], &[0], &[one]), "bad-length"),
            bad("the empty file with a length", &by_hand(&[(0, b"a")], &[0], &[1], &[Version::EMPTY]), "bad-length"),
            bad("2^64 bytes", &by_hand(&[(0, b"a"), (0, b"b")], &[0; 2], &[1 << 63; 2], &[one; 2]), "limit-files"),
            bad("a number that is too long", &[0xda, 1, 0x81, 0], "bad-varint"),
        ])
    }

    pub(crate) fn parts() -> Value {
        let vector = |name: &str, files: Vec<(u8, u64)>| {
            let files: Vec<Value> = files.iter().map(|(first, len)| json!([format!("{first:02x}"), len])).collect();
            let parts: Vec<usize> = cut_parts(files.iter().map(sized)).iter().map(|part| part.files.len()).collect();
            json!({ "name": name, "files": files, "parts": parts })
        };
        json!([
            vector("no file", vec![]),
            vector("a short file", vec![(0, 10)]),
            vector("an end from 4 MiB on", vec![(0, 4 << 20), (0x20, 4 << 20), (0x1f, 1), (0xff, 1)]),
            vector("no more than 16 MiB", vec![(0xff, 10 << 20), (0xff, 6 << 20), (0xff, 1), (0xff, 16 << 20)]),
            vector("a long file", vec![(0xff, 1), (0xff, 1 << 40), (0xff, 1)]),
        ])
    }

    fn delta_of(old: Option<&Manifest>, new: &Manifest) -> DirectoryDelta {
        let files = new_files(old, new);
        let bases = old.map_or_else(Vec::new, |old| BasisChooser::new(old, new).choose(&files, &mut |_, _| None));
        DirectoryDelta {
            target: new.version(),
            manifest_delta: encode_manifest_delta(old, new, EncodeOptions::new()).unwrap(),
            parts: vec![DeltaPart { files: files.len(), bases }],
        }
    }

    pub(crate) fn directory_deltas() -> Value {
        let (old, new) = (old(), new());
        let vector = |name: &str, old: Option<&Manifest>, new: &Manifest, bytes: Vec<u8>, refused: Option<&str>| {
            let old = old.map(|old| hex(&old.encode())).unwrap_or_default();
            let mut vector = json!({ "name": name, "old": old, "new": hex(&new.encode()), "bytes": hex(&bytes) });
            match refused {
                Some(reason) => vector["refused"] = reason.into(),
                None => {
                    let (plan, rest) = plan(&vector).unwrap();
                    (vector["plan"], vector["rest"]) = (plan, rest);
                }
            }
            vector
        };
        let good = delta_of(Some(&old), &new);
        let bad = |name: &str, change: &dyn Fn(&mut DirectoryDelta), reason: &str| {
            let mut delta = good.clone();
            change(&mut delta);
            vector(name, Some(&old), &new, delta.encode(), Some(reason))
        };
        let bytes = good.encode();
        let mut another = bytes.clone();
        another[1] = 2;
        json!([
            vector("from nothing", None, &new, [delta_of(None, &new).encode(), b"part 0".to_vec()].concat(), None),
            vector("from another version", Some(&old), &new, [bytes.clone(), b"part 0".to_vec()].concat(), None),
            vector("the same version", Some(&new), &new, DirectoryDelta::same(new.version()).encode(), None),
            vector("another format", Some(&old), &new, another, Some("bad-format")),
            vector("a manifest", Some(&old), &new, old.encode(), Some("bad-magic")),
            vector("the last byte is missing", Some(&old), &new, bytes[..bytes.len() - 1].to_vec(), Some("truncated")),
            bad("another target", &|delta| delta.target = Version::of(b"other"), "wrong-target"),
            bad("a part without files", &|delta| delta.parts.push(DeltaPart { files: 0, bases: vec![] }), "bad-parts"),
            bad("too few files", &|delta| delta.parts[0].files -= 1, "bad-parts"),
            bad("too many files", &|delta| delta.parts[0].files += 1, "bad-parts"),
            bad("a basis that does not exist", &|delta| delta.parts[0].bases = vec![old.len()], "bad-parts"),
            bad("more basis files than allowed", &|delta| delta.parts[0].bases = vec![1 << 21], "limit-files"),
        ])
    }

    pub(crate) fn directory_files() -> Value {
        let text = |text: &str| json!({ "hex": hex(text.as_bytes()) });
        let page = json!({ "repeat": hex(b"<p>a paragraph of a page</p>\n"), "len": 3000 });
        let edited = json!({ "concat": [{ "slice": [page, 0, 1500] }, text("<hr>"), { "slice": [page, 1500, 3000] }] });
        let noise = json!({ "random": 5, "len": 900 });
        let old = json!([
            ["assets/app-a1b2c3d4.js", false, page],
            ["gone", false, text("gone")],
            ["noise", false, noise],
            ["run", false, text("#!/bin/sh")],
        ]);
        let new = json!([
            ["assets/app-ffee9911.js", false, edited],
            ["copy", false, text("added")],
            ["empty", false, text("")],
            ["moved/noise", false, noise],
            ["new", true, text("added")],
            ["noise", false, { "concat": [noise, text("!")] }],
            ["run", true, text("#!/bin/sh")],
        ]);
        let nothing = json!([]);
        let delta = |old: &Value, new: &Value, cut: usize| diff_directory(&contents(old), &contents(new), cut);
        let good = |name: &str, old: &Value, new: &Value, cut: usize| json!({ "name": name, "old": old, "new": new, "bytes": hex(&delta(old, new, cut)) });
        let bad = |name: &str, old: &Value, bytes: &[u8], reason: &str| json!({ "name": name, "old": old, "bytes": hex(bytes), "refused": reason });
        let (one, three) = (delta(&old, &new, 0), delta(&old, &new, 1));
        let (_, len) = DirectoryDelta::parse(&one).unwrap().unwrap();
        let (first, whole) = (delta(&nothing, &new, 0), contents(&new));
        let (cold, _) = DirectoryDelta::parse(&first).unwrap().unwrap();
        let target: Vec<u8> = [0, 1, 3, 5, 6].iter().flat_map(|index| whole[*index].2.clone()).collect();
        let wanted: Vec<u8> = [0, 1, 5].iter().flat_map(|index| whole[*index].2.clone()).collect();
        let part = driblet_core::diff(b"", &wanted, EncodeOptions::new()).unwrap();
        let from_nothing = [&one[..len], &part].concat();
        let with_target =
            |target: &[u8]| [cold.encode(), driblet_core::diff(b"", target, EncodeOptions::new()).unwrap()].concat();
        let mut other = target.clone();
        other[4000] ^= 1;
        json!([
            good("one part", &old, &new, 0),
            good("three parts", &old, &new, 1),
            good("from an empty directory", &nothing, &new, 2),
            good("to an empty directory", &old, &nothing, 0),
            good("nothing changed", &old, &old, 0),
            bad(
                "said to be the same, and is not",
                &old,
                &DirectoryDelta::same(manifest_of(&whole).version()).encode(),
                "wrong-target"
            ),
            bad("another old directory", &new, &one, "wrong-basis"),
            bad("nothing", &old, b"", "truncated"),
            bad("a delta of a file", &old, &one[len..], "bad-magic"),
            bad("the start alone", &old, &one[..len], "truncated"),
            bad("the last byte is missing", &old, &three[..three.len() - 1], "truncated"),
            bad("one byte more", &old, &[three.clone(), vec![0]].concat(), "trailing-bytes"),
            bad("a part more", &old, &[&one[..], &one[len..]].concat(), "trailing-bytes"),
            bad("a part from nothing", &old, &from_nothing, "wrong-basis"),
            bad("a file that is not its version", &nothing, &with_target(&other), "bad-file"),
            bad("a part that is too short", &nothing, &with_target(&target[..target.len() - 1]), "bad-parts"),
            bad("a part that is too long", &nothing, &with_target(&[&target[..], b"x"].concat()), "limit-target"),
        ])
    }

    pub(crate) fn haves() -> Value {
        let have = Have {
            target: old().version(),
            held: vec![0, 2, 4],
            others: vec![(1, Version::of(b"one")), (3, Version::of(b"three"))],
        };
        let good = have.encode(5);
        let bad = |name: &str, bytes: Vec<u8>, reason: &str| json!({ "name": name, "count": 5, "bytes": hex(&bytes), "refused": reason });
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        let others: Vec<Value> =
            have.others.iter().map(|(index, version)| json!([index, version.to_string()])).collect();
        json!([
            { "name": "three files and two others", "count": 5, "bytes": hex(&good), "have": [have.target.to_string(), have.held, others] },
            bad("another first byte", with(0, 0xda), "bad-magic"),
            bad("another format", with(1, 2), "bad-format"),
            bad("the last byte is missing", good[..good.len() - 1].to_vec(), "truncated"),
            bad("one byte more", [good.clone(), vec![0]].concat(), "trailing-bytes"),
            bad("a bit beyond the files", with(34, 0b11_0101), "bad-index"),
            bad("another beyond the files", with(36, 5), "bad-index"),
            bad("2^20 others", [good[..35].to_vec(), vec![0x80, 0x80, 0x40]].concat(), "limit-files"),
        ])
    }
}

#[cfg(feature = "encode")]
pub(crate) use write::{directory_deltas, directory_files, haves, manifests, parts};
