//! A connection that is cut leaves the destination as it was, and the next pull continues.

use std::fs;
use std::path::PathBuf;

use driblet::Version;
use driblet::client::{BasisKind, PullError};

use super::proxy::{Fault, proxy};
use super::setting::{Setting, pull_from, random_bytes, url, versions, within};

/// The length of the answer "same", in bytes.
const SAME: u64 = 37;

/// The length of the delta that a whole pull transfers, once no smaller delta is being made.
async fn delta_len(setting: &Setting, old: &[u8]) -> u64 {
    let mut received = 0;
    for _ in 0..2 {
        received = setting.pull().await.unwrap().received;
        within(setting.server.prepared()).await;
        match old {
            [] => fs::remove_file(setting.dest()).unwrap(),
            old => setting.hold(old),
        }
    }
    received
}

async fn prepared(old: &[u8], new: &[u8]) -> (Setting, u64) {
    let setting = Setting::new().await;
    if !old.is_empty() {
        setting.publish(old);
        setting.pull().await.unwrap();
    }
    setting.publish(new);
    let len = delta_len(&setting, old).await;
    (setting, len)
}

async fn cut_after(setting: &Setting, len: usize) -> PullError {
    // The partial file names the URL, so the next pull must use the same one.
    let address = proxy(setting.address, Fault::CutBody(len)).await;
    pull_from(&url(address), &setting.dest()).await.unwrap_err()
}

fn partial(setting: &Setting) -> PathBuf {
    setting.folder.path().join(".dest.driblet-partial")
}

/// Writes the server's own URL into the partial file.
fn redirect_partial(setting: &Setting) {
    let bytes = fs::read(partial(setting)).unwrap();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    let mut label: serde_json::Value = serde_json::from_slice(&bytes[..end]).unwrap();
    label["url"] = setting.url().as_str().into();
    fs::write(partial(setting), [label.to_string().as_bytes(), &bytes[end..]].concat()).unwrap();
}

#[tokio::test]
async fn cut_at_every_thousandth_byte() {
    let (old, new) = versions();
    let (setting, len) = prepared(&old, &new).await;
    assert!(25_000 < len);
    for cut in (0..len as usize).step_by(1000) {
        let error = cut_after(&setting, cut).await;
        assert!(matches!(error, PullError::Network { .. }), "cut at {cut}: {error}");
        assert_eq!(setting.held(), old, "cut at {cut}");
        if 1000 <= cut {
            redirect_partial(&setting);
        }
        let pulled = setting.pull().await.unwrap();
        assert_eq!(setting.held(), new, "cut at {cut}");
        // Without kept bytes the delta to the head is one answer. Otherwise the client asks for the head afterwards.
        let (same, requests) = if cut < 1000 { (0, 1) } else { (SAME, 2) };
        assert_eq!(
            (pulled.basis, pulled.received, pulled.requests),
            (BasisKind::Version, len - cut as u64 + same, requests),
            "cut at {cut}"
        );
        assert_eq!(setting.leftovers(), [""; 0], "cut at {cut}");
        setting.hold(&old);
    }
}

#[tokio::test]
async fn a_first_sync_resumes_too() {
    let (setting, len) = prepared(&[], &random_bytes(4, 50_000)).await;
    for cut in [40, 20_000, 49_999] {
        cut_after(&setting, cut).await;
        assert!(!setting.dest().exists());
        redirect_partial(&setting);
        let pulled = setting.pull().await.unwrap();
        assert_eq!((pulled.received, pulled.basis), (len - cut as u64 + SAME, BasisKind::None));
        assert_eq!(setting.held(), random_bytes(4, 50_000));
        fs::remove_file(setting.dest()).unwrap();
    }
}

#[tokio::test]
async fn what_was_begun_is_finished_and_then_the_newer_head_is_pulled() {
    let (old, new) = versions();
    let (setting, len) = prepared(&old, &new).await;
    cut_after(&setting, 9_000).await;
    redirect_partial(&setting);
    let newest = [&new[..], b"and more"].concat();
    setting.publish(&newest);
    let pulled = setting.pull().await.unwrap();
    assert_eq!(setting.held(), newest);
    assert_eq!((pulled.version, pulled.basis, pulled.requests), (Version::of(&newest), BasisKind::Version, 2));
    assert!(len - 9_000 < pulled.received, "the pair that was begun, and the delta from it");
    assert_eq!(setting.leftovers(), [""; 0]);
}

#[tokio::test]
async fn a_partial_delta_that_is_of_no_use_does_no_harm() {
    let (old, new) = versions();
    let (setting, _) = prepared(&old, &new).await;
    cut_after(&setting, 9_000).await;
    redirect_partial(&setting);
    let good = fs::read(partial(&setting)).unwrap();
    let label_len = good.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut flipped = good.clone();
    flipped[label_len + 5_000] ^= 1;
    let mut other_target = good.clone();
    other_target[label_len + 10] ^= 1;
    let mut other_etag = good.clone();
    let etag = good.windows(4).position(|window| window == b"etag").unwrap() + 10;
    other_etag[etag] ^= 1;
    let too_long = [&good[..], &random_bytes(1, 100_000)].concat();
    for (what, bytes) in [
        ("flipped", &flipped[..]),
        ("another target", &other_target),
        ("another ETag", &other_etag),
        ("longer than the delta", &too_long),
        ("no label", &good[label_len..]),
        ("only a label", &good[..label_len]),
        ("half a label", &good[..20]),
        ("empty", &[]),
        (
            "another version's",
            &String::from_utf8_lossy(&good[..label_len]).replace("\"from\":\"", "\"from\":\"0").into_bytes(),
        ),
    ] {
        fs::write(partial(&setting), bytes).unwrap();
        setting.pull().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(setting.held(), new, "{what}");
        setting.hold(&old);
    }
}
