//! A host for the resources of one directory, as `spec/directory.md` describes them. All of them are made by the core.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use driblet::Version;
use driblet_core::directory::*;
use driblet_core::{EncodeOptions, Encoder};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A file: its bytes, and whether it may be executed.
pub(crate) type File = (Vec<u8>, bool);

#[derive(Clone)]
pub(crate) struct Host {
    inner: Arc<Mutex<Inner>>,
    pub(crate) address: SocketAddr,
    _serving: Arc<Serving>,
}

struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Default)]
struct Inner {
    /// The last one is the head.
    snapshots: Vec<Manifest>,
    /// Versions of manifests that receivers sent.
    made: HashMap<Version, Manifest>,
    bytes: HashMap<Version, Vec<u8>>,
    resources: HashMap<String, Vec<u8>>,
    asked: Vec<String>,
    /// Bytes of each body after which the connection is closed.
    cut: Option<usize>,
    no_have: bool,
    sent: usize,
    /// Replaces resources, for hostile hosts.
    hostile: HashMap<String, Vec<u8>>,
}

impl Host {
    pub(crate) async fn start() -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Mutex::new(Inner::default()));
        let router = Router::new().fallback(answer).with_state(inner.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Host { inner, address, _serving: Arc::new(Serving(serving)) }
    }

    /// Publishes a version.
    pub(crate) fn publish(&self, files: &[(&str, File)]) -> Version {
        let mut inner = self.inner.lock().unwrap();
        let entries = files.iter().map(|(path, (bytes, executable))| FileEntry {
            path: (*path).to_owned(),
            executable: *executable,
            len: bytes.len() as u64,
            version: Version::of(bytes),
        });
        let manifest = Manifest::new(entries.collect()).unwrap();
        for (_, (bytes, _)) in files {
            inner.bytes.insert(Version::of(bytes), bytes.clone());
        }
        let version = manifest.version();
        inner.snapshots.push(manifest);
        version
    }

    /// Forgets all versions but the head. The files stay known.
    pub(crate) fn forget(&self) {
        let mut inner = self.inner.lock().unwrap();
        let head = inner.snapshots.pop().unwrap();
        inner.snapshots = vec![head];
        inner.resources.clear();
    }

    pub(crate) fn cut(&self, len: Option<usize>) {
        self.inner.lock().unwrap().cut = len;
    }

    pub(crate) fn without_have(&self) {
        self.inner.lock().unwrap().no_have = true;
    }

    pub(crate) fn replace(&self, resource: &str, bytes: Vec<u8>) {
        self.inner.lock().unwrap().hostile.insert(resource.to_owned(), bytes);
    }

    /// The requests since the last call, and the bytes of all bodies.
    pub(crate) fn asked(&self) -> (Vec<String>, usize) {
        let mut inner = self.inner.lock().unwrap();
        (std::mem::take(&mut inner.asked), std::mem::take(&mut inner.sent))
    }

    pub(crate) fn head(&self) -> Manifest {
        self.inner.lock().unwrap().snapshots.last().unwrap().clone()
    }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let mut inner = inner.lock().unwrap();
    let Some(name) = uri.path().strip_prefix("/app/.driblet/").map(str::to_owned) else {
        return problem(StatusCode::NOT_FOUND, "no-such-file");
    };
    inner.asked.push(name.clone());
    if method == Method::POST {
        return match inner.no_have {
            true => problem(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
            false => {
                let bytes = inner.have(&body);
                inner.body(StatusCode::OK, "directory", None, bytes)
            }
        };
    }
    let Some((kind, bytes)) = inner.resource(&name) else {
        let code = if name.contains('/') { "unknown-part" } else { "unknown-version" };
        return problem(StatusCode::NOT_FOUND, code);
    };
    let etag = format!("\"{}\"", &Version::of(&bytes).to_string()[..16]);
    let range = headers.get("range").and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-'));
    let is_same = headers.get("if-range").is_none_or(|known| known.as_bytes() == etag.as_bytes());
    match range.and_then(|from| from.parse::<usize>().ok()).filter(|_| is_same) {
        Some(from) if bytes.len() <= from => problem(StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable"),
        Some(from) => inner.body(StatusCode::PARTIAL_CONTENT, kind, Some(etag), bytes[from..].to_vec()),
        None => inner.body(StatusCode::OK, kind, Some(etag), bytes),
    }
}

impl Inner {
    fn body(&mut self, status: StatusCode, kind: &str, etag: Option<String>, bytes: Vec<u8>) -> Response<Body> {
        let mut response = Response::builder().status(status).header("content-length", bytes.len());
        response = response.header("content-type", format!("application/vnd.driblet.{kind}"));
        if let Some(etag) = etag {
            response = response.header("etag", etag);
        }
        let passed = self.cut.unwrap_or(usize::MAX).min(bytes.len());
        self.sent += passed;
        if passed == bytes.len() {
            return response.body(Body::from(bytes)).unwrap();
        }
        let pieces: Vec<std::io::Result<Bytes>> =
            vec![Ok(Bytes::copy_from_slice(&bytes[..passed])), Err(std::io::Error::other("cut"))];
        // The error comes later than the bytes, so that the bytes are sent.
        let pieces = futures_util::stream::unfold(pieces.into_iter(), |mut pieces| async move {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            Some((pieces.next()?, pieces))
        });
        response.body(Body::from_stream(pieces)).unwrap()
    }

    fn resource(&mut self, name: &str) -> Option<(&'static str, Vec<u8>)> {
        let kind = if name.contains('/') { "delta" } else { "directory" };
        if let Some(bytes) = self.hostile.get(name) {
            return Some((kind, bytes.clone()));
        }
        let head = self.snapshots.last()?.clone();
        if let Some(bytes) = self.resources.get(name) {
            return Some((kind, bytes.clone()));
        }
        if name.contains('/') {
            return None;
        }
        let (from, to) = name.split_once('-').map_or((name, None), |(from, to)| (from, Some(to)));
        let target = to.map_or(Some(head.clone()), |to| self.find(to))?;
        let old = if from == "none" { None } else { Some(self.find(from)?) };
        let bytes = self.delta(old, target);
        Some((kind, bytes))
    }

    fn find(&self, version: &str) -> Option<Manifest> {
        let all = self.snapshots.iter().chain(self.made.values());
        all.clone().find(|manifest| manifest.version().to_string() == version).cloned()
    }

    /// Makes a directory delta, and its parts.
    fn delta(&mut self, old: Option<Manifest>, new: Manifest) -> Vec<u8> {
        let target = new.version();
        let from = old.as_ref().map_or("none".to_owned(), |old| old.version().to_string());
        if old.as_ref() == Some(&new) {
            return DirectoryDelta { target, manifest_delta: Vec::new(), parts: Vec::new() }.encode();
        }
        let manifest_delta = encode_manifest_delta(old.as_ref(), &new, EncodeOptions::default()).unwrap();
        let files = new_files(old.as_ref(), &new);
        let cuts = cut_parts(files.iter().map(|index| (new.entry(*index).version, new.entry(*index).len)));
        let (mut parts, mut first) = (Vec::new(), Vec::new());
        for (number, cut) in cuts.into_iter().enumerate() {
            let files = &files[cut.files];
            // What stood at the same paths.
            let at_path = |index: &usize| old.as_ref()?.find(new.entry(*index).path);
            let mut bases: Vec<usize> = files.iter().filter_map(at_path).collect();
            bases.sort_unstable();
            let planned = PlannedPart::new(files.to_vec(), bases.clone(), old.as_ref(), &new);
            let basis: Vec<u8> = bases
                .iter()
                .flat_map(|index| &self.bytes[&old.as_ref().unwrap().entry(*index).version])
                .copied()
                .collect();
            let bytes: Vec<u8> =
                files.iter().flat_map(|index| &self.bytes[&new.entry(*index).version]).copied().collect();
            let delta = encode((&basis, planned.basis), &bytes);
            if number == 0 {
                first = delta.clone();
            }
            if bases.is_empty() {
                self.resources.insert(format!("part/{}", planned.name), delta.clone());
            }
            self.resources.insert(format!("{from}-{target}/{number}"), delta);
            parts.push(DeltaPart { files: files.len(), bases });
        }
        let delta = [DirectoryDelta { target, manifest_delta, parts }.encode(), first].concat();
        self.resources.insert(format!("{from}-{target}"), delta.clone());
        delta
    }

    fn have(&mut self, body: &[u8]) -> Vec<u8> {
        let mut reader = body;
        assert_eq!(take(&mut reader, 2), [0xde, 1]);
        let target = Version::from_bytes(take(&mut reader, 32).try_into().unwrap());
        let new = self.find(&target.to_string()).unwrap();
        let bits = take(&mut reader, new.len().div_ceil(8)).to_vec();
        let mut files = Vec::new();
        let mut add = |index: usize, version: Version, len: u64| {
            let Entry { path, executable, .. } = new.entry(index);
            files.push(FileEntry { path: path.to_owned(), executable, len, version });
        };
        for index in (0..new.len()).filter(|index| bits[index / 8] & 1 << (index % 8) != 0) {
            add(index, new.entry(index).version, new.entry(index).len);
        }
        let others = varint(&mut reader) as usize;
        let mut accepted = vec![0; others.div_ceil(8)];
        let mut next = 0;
        for number in 0..others {
            let index = next + varint(&mut reader) as usize;
            let version = Version::from_bytes(take(&mut reader, 32).try_into().unwrap());
            if let Some(bytes) = self.bytes.get(&version) {
                accepted[number / 8] |= 1 << (number % 8);
                add(index, version, bytes.len() as u64);
            }
            next = index + 1;
        }
        assert!(reader.is_empty());
        let made = Manifest::new(files).unwrap();
        self.made.insert(made.version(), made.clone());
        [accepted, self.delta(Some(made), new)].concat()
    }
}

pub(crate) fn encode((basis, from): (&[u8], Version), target: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::of_versions((basis, from), (target, Version::of(target)), EncodeOptions::default());
    let mut delta = Vec::new();
    while let Some(bytes) = encoder.poll_output().unwrap() {
        delta.extend(bytes);
    }
    delta
}

fn take<'a>(reader: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = reader.split_at(len);
    *reader = rest;
    taken
}

fn varint(reader: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = take(reader, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}

fn problem(status: StatusCode, code: &str) -> Response<Body> {
    let body = format!(r#"{{"code":"{code}","detail":"{code}"}}"#);
    Response::builder()
        .status(status)
        .header("content-type", "application/problem+json")
        .body(Body::from(body))
        .unwrap()
}
