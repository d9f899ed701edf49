use driblet_core::*;

use super::random_bytes;

/// Bytes that look like source code.
pub(crate) fn text(number: u64, len: usize) -> Vec<u8> {
    let words = ["function ", "return ", "const ", "(a, b) => ", "{\n  ", "}\n", "value", ".length", " + 1", ";\n"];
    random_bytes(number, len).iter().flat_map(|byte| words[*byte as usize % words.len()].bytes()).take(len).collect()
}

/// Applies a delta to the held bytes, as a receiver does.
pub(crate) fn apply(held: Option<&[u8]>, delta: &[u8]) -> Result<Vec<u8>, DecodeError> {
    patch(held.unwrap_or_default(), delta)
}

/// Signs the held bytes for a head.
pub(crate) fn sign(held: &[u8], head: &[u8]) -> (Signature, Vec<Chunk>) {
    let head = Cuts::of(head, ChunkSizes::of(head));
    let chunks = Cuts::of(held, head.sizes()).describe(&head.list());
    (Signature::sign([7; 16], &chunks), chunks)
}

/// Applies the answer to a signature. Gives the file, and the number of held bytes that were the basis.
pub(crate) fn matched(held: &[u8], chunks: &[Chunk], answer: &[u8]) -> (Vec<u8>, u64) {
    let (runs, consumed) = Runs::decode(answer, chunks.len() as u64).unwrap().expect("all the runs");
    let layout = MatchedBasis::new(&runs, chunks);
    let basis: Vec<u8> = layout
        .locate(0..layout.len())
        .flat_map(|piece| held[piece.start as usize..piece.end as usize].iter().copied())
        .collect();
    let mut decoder = Decoder::new(Basis::matched(&layout), Limits::default());
    decoder.handle_input(&answer[consumed..]);
    decoder.handle_end();
    let mut file = Vec::new();
    loop {
        match decoder.poll_event().expect("a delta against what matched") {
            Event::NeedInput => panic!("the delta is cut off"),
            Event::NeedBasis(range) => decoder.handle_basis(&basis[range.start as usize..range.end as usize]),
            Event::Output(verified) => file.extend_from_slice(verified),
            Event::Same | Event::Done => return (file, layout.len()),
        }
    }
}
