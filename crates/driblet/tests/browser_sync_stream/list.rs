//! Invalid lists, and lists that are too long.

use std::time::Duration;

use driblet::ServeOptions;

use crate::support::{TestSite, answer, eventually, hashes, list, message, versions, within};

#[tokio::test]
async fn lists_that_are_none() {
    let (_, new) = versions();
    let site = TestSite::new(&[("a", &new)]).await;
    let stranger = "the peer does not speak this protocol";
    for (bytes, reason) in [
        (message(&[&[1; 31]]), format!("a message of 31 bytes came where a hash of 32 should be; {stranger}.")),
        (message(&[&[0; 2]]), format!("a message of 2 bytes came where a hash of 32 should be; {stranger}.")),
        // 2^40 in LEB128. A close message has room for 123 bytes of reason.
        (
            vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 1, 2, 3],
            format!(
                "a message of {} bytes is announced, and at most 32 are taken; {stranger}, or cuts lon",
                1u64 << 40
            ),
        ),
        (vec![0xff; 40], format!("what should be a message's length, at byte 0, is none; {stranger}.")),
        (
            [message(&[&[1; 32]]), vec![0x80, 0]].concat(),
            format!("what should be a message's length, at byte 33, is none; {stranger}."),
        ),
    ] {
        let mut raw = site.raw("a").await;
        raw.send(&bytes).await;
        assert_eq!(raw.refusal().await, (4400, reason));
        let held = hashes(&new);
        assert_eq!(site.raw("a").await.exchange(&list(&held), 99).await, answer(&held, &new), "others are unharmed");
    }
}

#[tokio::test]
async fn a_list_without_its_end() {
    let patient = |builder: driblet::ServerBuilder| builder.deadline(Duration::from_millis(300));
    let site = TestSite::with(&[("a", b"a")], patient, ServeOptions::default()).await;
    let mut raw = site.raw("a").await;
    raw.send(&message(&[&[1; 32]])).await;
    let said = "the list of held chunks did not end within 300ms; 1 hashes came.";
    assert_eq!(raw.refusal().await, (4408, said.into()));
}

#[tokio::test]
async fn a_list_that_its_sender_breaks_off() {
    let site = TestSite::new(&[("a", b"a")]).await;
    let mut raw = site.raw("a").await;
    raw.send(&message(&[&[1; 32]])[..20]).await;
    within(raw.socket.close(None)).await.unwrap();
    let (received, _) = raw.until_close().await;
    assert_eq!(received, b"");
    eventually(async || !site.is_any_version_open()).await;
}
