//! Runs both sides of the browser-sync-stream protocol in memory: syncs split anywhere, and all errors of a peer.

use std::sync::Arc;

use driblet_core::browser_sync_stream::*;
use proptest::prelude::*;

const SMALL: RabinOptions = RabinOptions::new().bits(5).min(16).max(128);

fn cut(bytes: &[u8]) -> Vec<RabinChunk> {
    let mut cutter = Cutter::new(SMALL).unwrap();
    cutter.handle_input(bytes);
    cutter.handle_end();
    std::iter::from_fn(|| cutter.poll_chunk()).collect()
}

/// A message and its length, which is below 128.
fn message(parts: &[&[u8]]) -> Vec<u8> {
    let bytes = parts.concat();
    [&[u8::try_from(bytes.len()).unwrap()], &bytes[..]].concat()
}

/// What a receiver that holds these chunks sends.
fn list(held: &[RabinChunk]) -> Vec<u8> {
    let mut receiver = Receiver::new(MAX_CHUNK);
    held.iter().for_each(|chunk| receiver.announce(chunk.hash));
    receiver.end_announcing();
    receiver.poll_output().unwrap()
}

/// A sender that read this list in pieces. It gets the chunks of the file only when it is full.
fn listed(list: &[u8], piece: usize, room: usize, file: &[RabinChunk]) -> Result<Sender, WireError> {
    let mut sender = Sender::new(room);
    let mut pieces = list.chunks(piece);
    loop {
        match sender.poll_event()? {
            SenderEvent::NeedInput => match pieces.next() {
                Some(piece) => sender.handle_input(piece),
                None => sender.handle_end(),
            },
            SenderEvent::Full => sender.keep_only(Arc::new(ChunkIndex::of(file))),
            SenderEvent::Listed => return Ok(sender),
        }
    }
}

fn answer(sender: &Sender, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in cut(bytes) {
        if sender.put_head(&chunk, &mut out) {
            out.extend_from_slice(&bytes[chunk.range()]);
        }
    }
    out
}

/// What a receiver that holds the chunks of `held` makes from an answer.
fn receive(held: &[u8], answer: &[u8], piece: usize) -> Result<Vec<u8>, WireError> {
    let chunks = cut(held);
    let mut receiver = Receiver::new(128);
    chunks.iter().for_each(|chunk| receiver.announce(chunk.hash));
    let (mut file, mut pieces) = (Vec::new(), answer.chunks(piece));
    loop {
        match receiver.poll_event()? {
            ReceiverEvent::NeedInput => match pieces.next() {
                Some(piece) => receiver.handle_input(piece),
                None => receiver.handle_end(),
            },
            ReceiverEvent::Held(hash) => {
                let chunk = chunks.iter().find(|chunk| chunk.hash == hash).unwrap();
                file.extend_from_slice(&held[chunk.range()]);
            }
            ReceiverEvent::New { bytes, .. } => file.extend_from_slice(bytes),
            ReceiverEvent::Done => return Ok(file),
        }
    }
}

proptest! {
    #[test]
    fn any_file_arrives_at_any_split(
        old in proptest::collection::vec(0u8..4, 0..3000),
        edit in proptest::collection::vec(any::<u8>(), 0..99),
        at in any::<prop::sample::Index>(),
        pieces in (1usize..300, 1usize..300),
        room in prop::sample::select(vec![0, 3, 1000]),
    ) {
        let at = at.index(old.len() + 1);
        let new = [&old[..at], &edit, &old[at..]].concat();
        let (before, after) = (cut(&old), cut(&new));
        let sender = listed(&list(&before), pieces.0, room, &after).unwrap();
        let answer = answer(&sender, &new);
        prop_assert_eq!(receive(&old, &answer, pieces.1).unwrap(), new);
        // The protocol predicts the length of an answer to the byte: a hash for each chunk, and the bytes of chunks
        // that are not held.
        let is_held = |chunk: &RabinChunk| before.iter().any(|held| held.hash == chunk.hash);
        let cost = |chunk: &RabinChunk| 32 + if is_held(chunk) { 0 } else { chunk.len as usize };
        let framed = |len: usize| len + if len < 128 { 1 } else { 2 };
        prop_assert_eq!(answer.len(), after.iter().map(|chunk| framed(cost(chunk))).sum::<usize>());
    }

    #[test]
    fn any_bytes_are_an_error_or_a_list(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1usize..50) {
        let _ = listed(&bytes, piece, 2, &[]);
        let _ = receive(b"held", &bytes, piece);
    }
}

#[test]
fn a_file_of_0_bytes_has_no_chunk() {
    assert_eq!(cut(b""), []);
    assert_eq!(receive(b"held", b"", 1), Ok(Vec::new()));
}

#[test]
fn a_list_holds_each_hash_once() {
    let chunks = cut(&[7; 1000]);
    assert_eq!(list(&chunks).len(), 2 * 33 + 2, "of equal chunks one, and the last");
    assert_eq!(list(&[]), [1, 0]);
}

#[test]
fn malformed_lists_are_refused() {
    let refusal = |list: &[u8]| listed(list, 7, 100, &[]).err().unwrap();
    assert_eq!(refusal(&message(&[&[1; 31]])), WireError::NoHash { len: 31 });
    assert_eq!(refusal(&message(&[&[1]])), WireError::NoHash { len: 1 });
    assert_eq!(refusal(&message(&[])), WireError::NoHash { len: 0 });
    assert_eq!(refusal(&message(&[&[1; 33]])), WireError::MessageTooLong { len: 33, limit: 32 });
    // 2^40 in LEB128.
    let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
    assert_eq!(refusal(&huge), WireError::MessageTooLong { len: 1 << 40, limit: 32 });
    assert_eq!(refusal(&[0xff; 11]), WireError::BadLength { at: 0 });
    assert_eq!(refusal(&[0x80, 0]), WireError::BadLength { at: 0 });
    assert_eq!(refusal(b""), WireError::ListCutOff { announced: 0 });
    let hash = message(&[&[1; 32]]);
    assert_eq!(refusal(&hash), WireError::ListCutOff { announced: 1 });
    assert_eq!(refusal(&[&hash[..], &hash[..20]].concat()), WireError::CutOff { got: 20, expected: 33 });
    assert_eq!(refusal(&[0x80]), WireError::CutOff { got: 1, expected: 0 });
}

#[test]
fn a_long_list_takes_no_more_memory_than_the_file_has_chunks() {
    let file = cut(&[b"some bytes of a file".repeat(20), vec![9; 300]].concat());
    let mut sender = Sender::new(10);
    let index = Arc::new(ChunkIndex::of(&file));
    for number in 0..100_000u32 {
        let hash = ChunkHash::of(&number.to_le_bytes());
        sender.handle_input(&message(&[hash.as_bytes()]));
        if sender.poll_event().unwrap() == SenderEvent::Full {
            assert!(10 <= sender.announced());
            sender.keep_only(index.clone());
        }
    }
    sender.handle_input(&message(&[file[1].hash.as_bytes()]));
    sender.handle_input(&[1, 0]);
    assert_eq!(sender.poll_event(), Ok(SenderEvent::Listed));
    assert_eq!(sender.announced(), 100_001);
    let told = |chunk: &RabinChunk| sender.put_head(chunk, &mut Vec::new());
    assert!(told(&file[0]) && !told(&file[1]));
}

#[test]
fn bytes_after_the_list_are_ignored() {
    let sender = listed(&[1, 0, 255, 255, 255], 9, 10, &[]);
    assert_eq!(sender.unwrap().poll_event(), Ok(SenderEvent::Listed));
}

#[test]
fn malformed_answers_are_refused() {
    let held = b"some bytes that are held";
    let refusal = |answer: &[u8]| receive(held, answer, 5).unwrap_err();
    let hash = ChunkHash::of(b"new");
    let good = message(&[hash.as_bytes(), b"new"]);
    assert_eq!(receive(held, &good, 5).unwrap(), b"new");
    let found = ChunkHash::of(b"nEw");
    let bad = message(&[hash.as_bytes(), b"nEw"]);
    assert_eq!(refusal(&[good.clone(), bad].concat()), WireError::WrongHash { chunk: 1, hash, found });
    assert_eq!(refusal(&[good.clone(), message(&[ChunkHash::NONE.as_bytes()])].concat()), WireError::GaveUp);
    assert_eq!(refusal(&message(&[hash.as_bytes()])), WireError::NeverAnnounced { chunk: 0, hash });
    let again = [good.clone(), message(&[hash.as_bytes()])].concat();
    assert_eq!(refusal(&again), WireError::NeverAnnounced { chunk: 1, hash }, "it came, but was not announced");
    assert_eq!(refusal(&message(&[&[1; 31]])), WireError::NoHash { len: 31 });
    assert_eq!(refusal(&[0xa1, 1]), WireError::MessageTooLong { len: 161, limit: 160 });
    assert_eq!(refusal(&good[..10]), WireError::CutOff { got: 10, expected: 36 });
    let held = message(&[ChunkHash::of(held).as_bytes()]);
    assert_eq!(receive(b"some bytes that are held", &held, 5).unwrap(), b"some bytes that are held");
}

#[test]
fn an_error_is_final() {
    let mut receiver = Receiver::new(9);
    receiver.handle_input(&message(&[&[1; 31]]));
    let error = receiver.poll_event().unwrap_err();
    receiver.handle_input(&message(&[ChunkHash::of(b"x").as_bytes(), b"x"]));
    assert_eq!(receiver.poll_event(), Err(error));
    let mut sender = Sender::new(9);
    sender.handle_input(&message(&[&[1; 31]]));
    let error = sender.poll_event().unwrap_err();
    sender.handle_input(&[1, 0]);
    assert_eq!(sender.poll_event(), Err(error));
}

#[test]
fn errors_say_what_was_wrong_and_what_to_do() {
    let hash = ChunkHash::from_bytes([0xab; 32]);
    let (name, other) = ("ab".repeat(32), "cd".repeat(32));
    for (error, text) in [
        (WireError::NoHash { len: 31 }, "a message of 31 bytes came where a hash of 32 should be; the peer does not speak this protocol".to_owned()),
        (
            WireError::MessageTooLong { len: 1 << 40, limit: 32 },
            "a message of 1099511627776 bytes is announced, and at most 32 are taken; the peer does not speak this protocol, or cuts longer chunks".into(),
        ),
        (
            WireError::ListCutOff { announced: 7 },
            "the list of held chunks broke off after 7 hashes, before the message that ends it; try again".into(),
        ),
        (WireError::CutOff { got: 10, expected: 36 }, "the stream ended within a message, after 10 of its 36 bytes; try again".into()),
        (
            WireError::GaveUp,
            "the sender gave up, for it could not read its file to the end; try again, or see what the sender says of it".into(),
        ),
        (
            WireError::NeverAnnounced { chunk: 2, hash },
            format!("chunk 2 is named by the hash {name} alone, which was never announced; the sender mistakes what is held"),
        ),
        (
            WireError::WrongHash { chunk: 2, hash, found: ChunkHash::from_bytes([0xcd; 32]) },
            format!("chunk 2 should have the hash {name} and has {other}; its bytes were changed on the way, or while they were read"),
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
