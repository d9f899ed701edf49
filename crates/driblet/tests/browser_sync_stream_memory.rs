//! A list of ten million hashes. The test is a process of its own, whose memory is measured.

use std::collections::HashSet;

use crate::support::{TestSite, answer, hashes, list, message, random_bytes};

#[path = "browser_sync_stream/messages.rs"]
mod messages;
#[path = "../../core/tests/support/random.rs"]
mod random;
#[path = "browser_sync_stream/support.rs"]
mod support;
#[path = "support/wait.rs"]
#[allow(dead_code)]
mod wait;

#[tokio::test(flavor = "multi_thread")]
async fn ten_million_hashes_take_no_memory() {
    let new = random_bytes(3, 500_000);
    let site = TestSite::new(&[("a", &new)]).await;
    let mut raw = site.raw("a").await;
    let idle = anonymous_memory();
    let held: HashSet<_> = hashes(&new).into_iter().take(50).collect();
    let known: Vec<u8> = list(&held)[..50 * 33].to_vec();
    raw.send(&known).await;
    let mut piece: Vec<u8> = message(&[&[1; 32]]).repeat(25_000);
    let mut highest = 0;
    for round in 0..400u32 {
        for (number, hash) in piece.chunks_exact_mut(33).enumerate() {
            hash[1..5].copy_from_slice(&(round * 25_000 + number as u32).to_le_bytes());
        }
        raw.send(&piece).await;
        highest = highest.max(anonymous_memory());
        if round == 200 {
            let nothing = HashSet::new();
            assert!(site.raw("a").await.exchange(&[1, 0], 2).await == answer(&nothing, &new), "others are unharmed");
        }
    }
    assert!(raw.exchange(&[1, 0], 2).await == answer(&held, &new));
    // As raw hashes they would be 320 MB.
    assert!(highest.saturating_sub(idle) < 64 << 20, "{highest} after {idle}");
}

/// RssAnon of this process, in bytes.
fn anonymous_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}
