//! How finely a file is cut.

use crate::signature::chunk::ChunkSize;

/// How a file is cut: into sections, and each section into chunks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChunkSizes {
    /// Where sections end.
    pub sections: ChunkSize,
    /// Where chunks end within a section.
    pub chunks: ChunkSize,
}

#[cfg(feature = "encode")]
mod for_a_head {
    use super::{ChunkSize, ChunkSizes};

    /// How many sections a head has at least, about; twice as many at most.
    const SECTIONS: u64 = 128;
    /// How many chunks a head has at most, about: its list takes 36 bytes for each.
    const MAX_CHUNKS: u64 = 1 << 18;
    /// How many bytes a chunk should take compressed: many times its tag of 2 or 3, but what changes costs the chunks it falls in.
    /// (Measured on bundles, wasm, JSON and databases of 0.6 to 20 MB: what compresses to more than an eighth wants the finest chunks.)
    const COMPRESSED_CHUNK: u64 = 96;
    /// What of a head is compressed to see how it takes it.
    const SAMPLES: usize = 4;
    const SAMPLE: usize = 64 << 10;

    impl ChunkSizes {
        /// The sizes for a head.
        ///
        /// Its sections are listed to whoever asks, so there are some hundreds. Only what lies in sections that differ is described by
        /// chunks, so these are as fine as pays. Looks at samples, so this takes some milliseconds for any length.
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

    /// How many bytes were looked at, and how many they are compressed.
    fn sample(head: &[u8]) -> (u64, u64) {
        let pieces = (0..SAMPLES).map(|number| {
            let start = number * (head.len() / SAMPLES);
            &head[start..head.len().min(start + SAMPLE)]
        });
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(SAMPLE));
        pieces.fold((0, 0), |(sampled, compressed), piece| {
            // What cannot be compressed at all counts as it is.
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
