//! Feeds any bytes, split anywhere, to both sides of the browser-sync-stream protocol, and cuts any file by any
//! options.
#![no_main]

use std::sync::Arc;

use driblet_core::browser_sync_stream::{ChunkIndex, Cutter, RabinOptions, Receiver, ReceiverEvent, Sender, SenderEvent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8], u8, (u32, u32, u32))| {
    let (bytes, file, piece, (bits, min, max)) = input;
    let pieces = || bytes.chunks(usize::from(piece) + 1);
    let mut chunks = Vec::new();
    if let Ok(mut cutter) = Cutter::new(RabinOptions::new().bits(bits).min(min).max(max)) {
        file.chunks(usize::from(piece) + 1).for_each(|piece| cutter.handle_input(piece));
        cutter.handle_end();
        chunks.extend(std::iter::from_fn(|| cutter.poll_chunk()));
        assert_eq!(chunks.iter().map(|chunk| chunk.len as usize).sum::<usize>(), file.len());
    }
    let (mut sender, mut list) = (Sender::new(2), pieces());
    while let Ok(event) = sender.poll_event() {
        match event {
            SenderEvent::NeedInput => match list.next() {
                Some(piece) => sender.handle_input(piece),
                None => sender.handle_end(),
            },
            SenderEvent::Full => sender.keep_only(Arc::new(ChunkIndex::of(&chunks))),
            SenderEvent::Listed => break,
        }
    }
    let (mut receiver, mut answer) = (Receiver::new(1000), pieces());
    chunks.iter().for_each(|chunk| receiver.announce(chunk.hash));
    while let Ok(event) = receiver.poll_event() {
        match event {
            ReceiverEvent::NeedInput => match answer.next() {
                Some(piece) => receiver.handle_input(piece),
                None => receiver.handle_end(),
            },
            ReceiverEvent::Held(hash) => assert!(chunks.iter().any(|chunk| chunk.hash == hash)),
            ReceiverEvent::New { bytes, .. } => assert!(!bytes.is_empty() && bytes.len() <= 1000),
            ReceiverEvent::Done => break,
        }
    }
});
