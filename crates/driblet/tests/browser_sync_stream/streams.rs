//! `send` and `receive` over any stream: with each other, and with bytes from the test.

use std::collections::HashSet;
use std::fs;

use driblet::browser_sync_stream::{
    ChunkHash, FileStore, MemoryStore, PullError, Received, SendError, WireError, receive, send,
};
use futures_util::future::join;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::chain::chain;
use crate::messages::{CHUNKS, answer, cut, hashes, list, message, versions};
use crate::random::random_bytes;
use crate::wait::within;

struct Files {
    folder: TempDir,
}

impl Files {
    fn new(source: &[u8], dest: Option<&[u8]>) -> Files {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("source"), source).unwrap();
        if let Some(dest) = dest {
            fs::write(folder.path().join("dest"), dest).unwrap();
        }
        Files { folder }
    }

    async fn store(&self) -> FileStore {
        FileStore::open(&self.folder.path().join("dest"), CHUNKS).await.unwrap()
    }

    fn dest(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("dest")).unwrap()
    }

    fn leftovers(&self) -> usize {
        fs::read_dir(self.folder.path()).unwrap().count() - 2
    }
}

#[tokio::test]
async fn files_over_any_stream() {
    let (old, new) = versions();
    for (held, new) in
        [(None, &new[..]), (Some(&old[..]), &new), (Some(&new), &new), (Some(&new), b""), (Some(b""), b"x")]
    {
        let before = hashes(held.unwrap_or_default());
        for room in [1, 64 << 10] {
            let files = Files::new(new, held);
            let (near, far) = duplex(room);
            let source = files.folder.path().join("source");
            let store = files.store().await;
            let (sent, received) = within(join(send(near, &source, CHUNKS), receive(far, store))).await;
            let (sent, received) = (sent.unwrap(), received.unwrap());
            assert!(files.dest() == new);
            let chunks = cut(new);
            let reused = chunks.iter().filter(|(chunk, _)| before.contains(&chunk.hash));
            let Received { len, sent: list_len, received: bytes, reused: held, .. } = received;
            assert_eq!((len, received.chunks), (new.len() as u64, chunks.len() as u64));
            assert_eq!(list_len, list(&before).len() as u64);
            assert_eq!(bytes, answer(&before, new).len() as u64);
            assert_eq!(held, reused.map(|(chunk, _)| u64::from(chunk.len)).sum::<u64>());
            assert_eq!(
                (sent.sent, sent.chunks, sent.announced),
                (received.received, received.chunks, before.len() as u64)
            );
            assert_eq!(files.leftovers(), 0);
        }
    }
}

#[tokio::test]
async fn a_store_in_memory_holds_what_the_last_file_uses() {
    let (old, new) = versions();
    let store = MemoryStore::default();
    for file in [&old, &new, &old] {
        let files = Files::new(file, None);
        let (near, far) = duplex(4096);
        let source = files.folder.path().join("source");
        let (sent, received) = within(join(send(near, source, CHUNKS), receive(far, store.clone()))).await;
        assert!(received.unwrap().output == *file);
        sent.unwrap();
        assert_eq!(store.hashes().into_iter().collect::<HashSet<_>>(), hashes(file));
    }
}

/// The result of `receive` for a sender that sends these bytes and ends.
async fn receive_bytes<T: Send + 'static>(
    bytes: &[u8],
    store: impl driblet::browser_sync_stream::Store<Output = T>,
) -> Result<Received<T>, PullError> {
    let (mut near, far) = duplex(1000);
    let peer = async {
        let mut list = vec![0; 2];
        near.read_exact(&mut list).await.unwrap();
        while !list.ends_with(&[1, 0]) {
            list.push(near.read_u8().await.unwrap());
        }
        let _ = near.write_all(bytes).await;
        drop(near);
    };
    within(join(peer, receive(far, store))).await.1
}

#[tokio::test]
async fn answers_that_are_none() {
    let (old, new) = versions();
    let good = answer(&hashes(&old), &new);
    let hash = ChunkHash::of(b"new");
    let strange = ChunkHash::from_bytes([9; 32]);
    let after = |bytes: Vec<u8>| [&good[..], &bytes].concat();
    let chunk = cut(&new).len() as u64;
    for (bytes, wrong) in [
        (after(message(&[&[1; 31]])), WireError::NoHash { len: 31 }),
        (
            after(vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x20]),
            WireError::MessageTooLong { len: 1 << 40, limit: 32 + (16 << 20) },
        ),
        (
            after(message(&[hash.as_bytes(), b"nEw"])),
            WireError::WrongHash { chunk, hash, found: ChunkHash::of(b"nEw") },
        ),
        (after(message(&[strange.as_bytes()])), WireError::NeverAnnounced { chunk, hash: strange }),
        (after(message(&[hash.as_bytes(), b"new"])[..20].to_vec()), WireError::CutOff { got: 20, expected: 36 }),
    ] {
        let files = Files::new(b"", Some(&old));
        let error = receive_bytes(&bytes, files.store().await).await.unwrap_err();
        assert!(matches!(&error, PullError::Protocol { source, .. } if source.wire_error() == Some(&wrong)), "{error}");
        assert!(files.dest() == old);
        assert_eq!(files.leftovers(), 0);
        let store = held(&old).await;
        receive_bytes(&bytes, store.clone()).await.unwrap_err();
        let still: HashSet<_> = store.hashes().into_iter().collect();
        assert!(hashes(&old).is_subset(&still), "nothing is deleted");
        assert!(!still.contains(&hash) || !matches!(wrong, WireError::WrongHash { .. }), "what is wrong is not stored");
    }
}

/// A store that holds the chunks of a file.
async fn held(file: &[u8]) -> MemoryStore {
    let store = MemoryStore::default();
    assert!(receive_bytes(&answer(&HashSet::new(), file), store.clone()).await.unwrap().output == file);
    store
}

#[tokio::test]
async fn a_stream_that_is_cut_between_two_messages_looks_like_its_end() {
    let (_, new) = versions();
    let first = cut(&new)[0].1;
    let files = Files::new(b"", Some(b"old"));
    let received = receive_bytes(&answer(&HashSet::new(), first), files.store().await).await.unwrap();
    assert_eq!((received.len, received.chunks), (first.len() as u64, 1));
    assert_eq!(files.dest(), first, "the wire cannot say more; over a WebSocket the close does");
}

#[tokio::test]
async fn a_held_file_that_changes_meanwhile() {
    let (old, _) = versions();
    let files = Files::new(b"", Some(&old));
    let store = files.store().await;
    // Another program changes the file in place.
    let other = random_bytes(77, old.len());
    fs::write(files.folder.path().join("dest"), &other).unwrap();
    let error = receive_bytes(&answer(&hashes(&old), &old), store).await.unwrap_err();
    assert!(matches!(error, PullError::Store { .. }), "{error}");
    assert!(files.dest() == other);
}

#[tokio::test]
async fn files_that_cannot_be_sent() {
    let folder = TempDir::new().unwrap();
    for path in [folder.path().join("missing"), folder.path().to_path_buf()] {
        let (near, mut far) = duplex(100);
        let error = within(send(near, path, CHUNKS)).await.unwrap_err();
        assert!(matches!(error, SendError::File { .. }), "{error}");
        let mut heard = Vec::new();
        within(far.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, message(&[&[0; 32]]));
    }
    let (near, _far) = duplex(100);
    let error = within(send(near, "Cargo.toml", CHUNKS.bits(31))).await.unwrap_err();
    assert_eq!(error.to_string(), "an average of 2^31 bytes is more than chunks can have; bits are at most 30");
}

#[tokio::test]
async fn a_sender_that_gives_up() {
    let (near, mut far) = duplex(1 << 20);
    far.write_all(&message(&[&[0; 32]])).await.unwrap();
    far.shutdown().await.unwrap();
    let error = within(receive(near, MemoryStore::default())).await.unwrap_err();
    assert!(matches!(error, PullError::Network { .. }) && chain(&error).contains("the sender gave up"), "{error}");
}

#[tokio::test]
async fn lists_that_are_none() {
    let files = Files::new(&versions().1, None);
    for (bytes, wrong) in [
        (message(&[&[1; 31]]), WireError::NoHash { len: 31 }),
        (vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x20], WireError::MessageTooLong { len: 1 << 40, limit: 32 }),
        (message(&[&[1; 32]]), WireError::ListCutOff { announced: 1 }),
        (message(&[&[1; 32]])[..9].to_vec(), WireError::CutOff { got: 9, expected: 33 }),
    ] {
        let (near, mut far) = duplex(100);
        far.write_all(&bytes).await.unwrap();
        far.shutdown().await.unwrap();
        let error = within(send(near, files.folder.path().join("source"), CHUNKS)).await.unwrap_err();
        assert!(matches!(&error, SendError::Receiver(found) if *found == wrong), "{error}");
    }
}
