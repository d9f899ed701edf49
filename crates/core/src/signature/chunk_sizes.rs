//! The chunk sizes of a file.

use crate::signature::chunk::ChunkSize;

/// The sizes at which a file is cut: first into sections, then each section into chunks.
///
/// ```
/// use driblet_core::{ChunkSize, ChunkSizes};
///
/// let sizes = ChunkSizes { sections: ChunkSize::new(12)?, chunks: ChunkSize::new(9)? };
/// assert!(sizes.chunks < sizes.sections);
/// # Ok::<(), driblet_core::UnknownChunkSize>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChunkSizes {
    /// The size of sections.
    pub sections: ChunkSize,
    /// The size of the chunks in a section.
    pub chunks: ChunkSize,
}

#[cfg(feature = "encode")]
mod for_a_head {
    use super::{ChunkSize, ChunkSizes};

    /// The number of sections that a head has at least, about. It has at most twice as many.
    const SECTIONS: u64 = 128;
    /// The number of chunks that a head has at most, about. The server keeps 36 bytes for each.
    const MAX_CHUNKS: u64 = 1 << 18;
    /// The number of compressed bytes that a chunk should have: many times its tag of 2 or 3 bytes, but few enough that
    /// a change costs little.
    const COMPRESSED_CHUNK: u64 = 96;
    /// The number of samples of a head that are compressed to see how well the head compresses.
    const SAMPLES: usize = 4;
    /// The length of a sample in bytes.
    const SAMPLE: usize = 64 << 10;

    impl ChunkSizes {
        /// Chooses the sizes for a head. Looks at samples only, so it takes some milliseconds for any length.
        ///
        /// The server lists a head's sections to each receiver that asks, so there are only some hundreds. Chunks
        /// describe only the sections that differ, so they are as small as pays.
        ///
        /// ```
        /// use driblet_core::ChunkSizes;
        ///
        /// assert_eq!(ChunkSizes::of(b"a small file").chunks.average(), 256);
        /// ```
        pub fn of(head: &[u8]) -> ChunkSizes {
            let len = head.len() as u64;
            let (sampled, compressed) = sample(head);
            let worth = (COMPRESSED_CHUNK * sampled).checked_div(compressed).unwrap_or(0);
            ChunkSizes {
                sections: ChunkSize::nearest(len / SECTIONS),
                chunks: ChunkSize::nearest(worth.max(len / MAX_CHUNKS)),
            }
        }
    }

    /// The length of all samples, and their compressed length.
    fn sample(head: &[u8]) -> (u64, u64) {
        let pieces = (0..SAMPLES).map(|number| {
            let start = number * (head.len() / SAMPLES);
            &head[start..head.len().min(start + SAMPLE)]
        });
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(SAMPLE));
        pieces.fold((0, 0), |(sampled, compressed), piece| {
            // A sample that cannot be compressed counts with its own length.
            let len = zstd_safe::compress(&mut out, piece, 1).unwrap_or(piece.len());
            (sampled + piece.len() as u64, compressed + len as u64)
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::random::random_bytes;

        #[test]
        fn chunk_sizes_follow_the_length() {
            let sizes = |bytes: &[u8]| [ChunkSizes::of(bytes).sections.log2(), ChunkSizes::of(bytes).chunks.log2()];
            assert_eq!(sizes(&[]), [8, 8]);
            assert_eq!(sizes(&[1]), [8, 8]);
            assert_eq!(sizes(&random_bytes(1, 3 << 20)), [14, 8]);
            assert_eq!(sizes(&random_bytes(1, 200 << 20)), [17, 9]);
        }

        #[test]
        fn what_compresses_well_has_larger_chunks() {
            let lines: Vec<u8> =
                (0..90_000u32).flat_map(|i| format!("line {} of many\n", i / 3).into_bytes()).collect();
            let chunks = ChunkSizes::of(&lines).chunks.log2();
            assert!((10..=12).contains(&chunks), "{chunks}");
            assert_eq!(ChunkSizes::of(&[0; 3 << 20]).chunks.log2(), 17);
        }
    }
}
