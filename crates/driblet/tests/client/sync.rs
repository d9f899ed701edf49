//! What a pull transfers, and what it leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use driblet::Version;
use driblet::client::{BasisKind, PullError, PullOptions};
use url::Url;

use super::setting::{Setting, chain, client, pull_from, random_bytes, versions, within};

const GROUP: usize = 256 << 10;

#[tokio::test]
async fn from_nothing_then_a_version_then_the_same() {
    let setting = Setting::new().await;
    let (old, new) = versions();
    setting.publish(&old);
    let first = setting.pull().await.unwrap();
    assert_eq!((first.basis, first.requests, first.reused), (BasisKind::None, 1, 0));
    assert_eq!((first.version, first.len), (Version::of(&old), old.len() as u64));
    assert_eq!(setting.held(), old);

    setting.publish(&new);
    let second = setting.pull().await.unwrap();
    assert_eq!((second.basis, second.requests, second.sent), (BasisKind::Version, 1, 64));
    assert!(second.received < 30_000, "{} bytes for 29,000 new ones", second.received);
    assert_eq!(second.reused, new.len() as u64 - 29_000);
    assert_eq!(setting.held(), new);

    let third = setting.pull().await.unwrap();
    assert_eq!((third.basis, third.requests, third.reused), (BasisKind::Same, 1, third.len));
    assert!(third.sent + third.received <= 200);
    assert_eq!(setting.leftovers(), [""; 0]);
}

#[tokio::test]
async fn an_unknown_version_is_signed() {
    let setting = Setting::new().await;
    let (old, new) = versions();
    setting.hold(&old);
    setting.publish(&new);
    let pulled = setting.pull().await.unwrap();
    assert_eq!((pulled.basis, pulled.requests), (BasisKind::Matched, 2));
    assert!(pulled.received < 60_000 && pulled.sent < 8_000, "{pulled:?}");
    assert_eq!(setting.held(), new);
}

#[tokio::test]
async fn a_server_that_forgot_is_told() {
    let setting = Setting::new().await;
    let (old, new) = versions();
    setting.publish(&old);
    setting.pull().await.unwrap();
    setting.publish(&new);
    let setting = setting.with_emptied_history().await;
    assert_eq!(setting.pull().await.unwrap().basis, BasisKind::Matched);
    assert_eq!(setting.held(), new);
}

#[tokio::test]
async fn what_has_little_in_common_comes_whole() {
    let setting = Setting::new().await;
    setting.hold(&random_bytes(8, 300_000));
    setting.publish(&random_bytes(9, 200_000));
    let pulled = setting.pull().await.unwrap();
    assert_eq!((pulled.basis, pulled.requests, pulled.reused), (BasisKind::None, 2, 0));
    assert_eq!(setting.held(), random_bytes(9, 200_000));
}

#[tokio::test]
async fn every_size_around_a_group() {
    let setting = Setting::new().await;
    for len in [0, 1, GROUP - 1, GROUP, GROUP + 1, 3, 0] {
        let bytes = random_bytes(len as u64, len);
        setting.publish(&bytes);
        let pulled = setting.pull().await.unwrap();
        assert_eq!((pulled.len, pulled.requests), (len as u64, 1), "{len} bytes");
        assert!(setting.dest().exists());
        assert_eq!(setting.held(), bytes);
    }
}

#[tokio::test]
async fn a_destination_changed_behind_our_back_is_healed() {
    let setting = Setting::new().await;
    let (old, new) = versions();
    setting.publish(&old);
    setting.pull().await.unwrap();
    let mut changed = old.clone();
    changed[200_000] ^= 1;
    setting.hold(&changed);
    assert_eq!(setting.pull().await.unwrap().basis, BasisKind::Matched);
    assert_eq!(setting.held(), old);
    setting.hold(&old[..1000]);
    setting.publish(&new);
    setting.pull().await.unwrap();
    assert_eq!(setting.held(), new);
}

#[tokio::test]
async fn permissions_stay() {
    let setting = Setting::new().await;
    let (old, new) = versions();
    setting.hold(&old);
    fs::set_permissions(setting.dest(), fs::Permissions::from_mode(0o750)).unwrap();
    setting.publish(&new);
    setting.pull().await.unwrap();
    assert_eq!(fs::metadata(setting.dest()).unwrap().permissions().mode() & 0o777, 0o750);
}

#[tokio::test]
async fn destinations_that_cannot_be_written_are_store_errors() {
    let setting = Setting::new().await;
    setting.publish(b"bytes");
    for dest in [setting.folder.path().join("root"), setting.folder.path().join("missing/dest")] {
        let refused = pull_from(&setting.url(), &dest).await.unwrap_err();
        assert!(matches!(refused, PullError::Store { .. }), "{refused}");
        assert!(chain(&refused).contains(dest.to_str().unwrap()), "{refused}");
    }
}

#[tokio::test]
async fn the_servers_refusal_is_passed_on() {
    let setting = Setting::new().await;
    let missing = Url::parse(&format!("http://{}/nothing", setting.address)).unwrap();
    let refused = pull_from(&missing, &setting.dest()).await.unwrap_err();
    assert!(matches!(refused, PullError::Protocol { .. }));
    assert!(chain(&refused).contains("There is no file /nothing here."), "{refused}");
    let scheme = Url::parse("ftp://127.0.0.1/file").unwrap();
    assert!(matches!(pull_from(&scheme, &setting.dest()).await, Err(PullError::Protocol { .. })));
}

#[tokio::test]
async fn a_file_longer_than_accepted_is_refused() {
    let setting = Setting::new().await;
    setting.hold(b"what was there");
    setting.publish(&random_bytes(1, 2000));
    let options = PullOptions::default().max_len(1999);
    let refused = within(client(options).pull(&setting.url(), setting.dest(), |_| {})).await.unwrap_err();
    assert!(chain(&refused).contains("2000 announced, at most 1999"), "{refused}");
    assert_eq!(setting.held(), b"what was there");
}
