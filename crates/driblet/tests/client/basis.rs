//! Another file as basis of a pull.

use std::fs;
use std::path::PathBuf;

use driblet::client::{BasisFile, BasisKind, PullError, PullOptions, Pulled};
use driblet::output::Output;
use url::Url;

use super::proxy::{Fault, proxy};
use super::setting::{Setting, client, url, versions, within};

/// The new file is published as `file`, and the old one as `old`, which is held in `basis`.
struct Renamed {
    setting: Setting,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Renamed {
    async fn new() -> Renamed {
        let (setting, (old, new)) = (Setting::new().await, versions());
        fs::write(setting.folder.path().join("root/old"), &old).unwrap();
        fs::write(setting.folder.path().join("basis"), &old).unwrap();
        let renamed = Renamed { setting, old, new };
        renamed.setting.publish(&renamed.new);
        // The server notices a file at the first request for it.
        let scratch = renamed.setting.folder.path().join("scratch");
        within(client(PullOptions::default()).pull(&renamed.old_url(), &scratch, |_| {})).await.unwrap();
        renamed
    }

    fn old_url(&self) -> Url {
        self.setting.url().join("old").unwrap()
    }

    fn basis(&self) -> PathBuf {
        self.setting.folder.path().join("basis")
    }

    async fn pull(&self, basis: BasisFile) -> Result<Pulled, PullError> {
        self.pull_from(&self.setting.url(), basis).await
    }

    async fn pull_from(&self, url: &Url, basis: BasisFile) -> Result<Pulled, PullError> {
        let dest = Output::at(self.setting.dest()).unwrap();
        within(client(PullOptions::default()).pull_with_basis(url, dest, &basis, |_| {})).await
    }

    /// The new file is there, and the basis is as it was.
    fn assert_done(&self) {
        assert_eq!(self.setting.held(), self.new);
        assert_eq!(fs::read(self.basis()).unwrap(), self.old);
        assert_eq!(self.setting.leftovers(), [""; 0]);
    }
}

#[tokio::test]
async fn by_a_signature() {
    let renamed = Renamed::new().await;
    let pulled = renamed.pull(BasisFile::new(renamed.basis())).await.unwrap();
    assert_eq!((pulled.basis, pulled.requests), (BasisKind::Matched, 2));
    assert!(pulled.received < 60_000, "{pulled:?}");
    renamed.assert_done();
}

#[tokio::test]
async fn directly_where_the_server_has_it() {
    let renamed = Renamed::new().await;
    let pulled = renamed.pull(BasisFile::new(renamed.basis()).published_at(renamed.old_url())).await.unwrap();
    assert_eq!((pulled.basis, pulled.requests), (BasisKind::Version, 2));
    assert!(pulled.received < 30_000, "{} bytes for 29,000 new ones", pulled.received);
    renamed.assert_done();
}

#[tokio::test]
async fn by_a_signature_where_the_server_does_not_grant_it() {
    let renamed = Renamed::new().await;
    // The server never had these bytes at this URL.
    let elsewhere = renamed.setting.url().join("elsewhere").unwrap();
    let pulled = renamed.pull(BasisFile::new(renamed.basis()).published_at(elsewhere)).await.unwrap();
    assert_eq!((pulled.basis, pulled.requests), (BasisKind::Matched, 3));
    renamed.assert_done();
}

#[tokio::test]
async fn a_file_that_was_only_renamed_is_copied() {
    let mut renamed = Renamed::new().await;
    renamed.setting.publish(&renamed.old);
    renamed.new = renamed.old.clone();
    for basis in [BasisFile::new(renamed.basis()), BasisFile::new(renamed.basis()).published_at(renamed.old_url())] {
        let pulled = renamed.pull(basis).await.unwrap();
        assert_eq!((pulled.basis, pulled.reused), (BasisKind::Same, pulled.len));
        assert!(pulled.received < 200, "{pulled:?}");
        renamed.assert_done();
        fs::remove_file(renamed.setting.dest()).unwrap();
    }
}

#[tokio::test]
async fn a_destination_that_holds_something_is_its_own_basis() {
    let renamed = Renamed::new().await;
    renamed.setting.hold(&renamed.new);
    let pulled = renamed.pull(BasisFile::new(renamed.basis()).published_at(renamed.old_url())).await.unwrap();
    assert_eq!((pulled.basis, pulled.requests), (BasisKind::Same, 1));
    renamed.assert_done();
}

#[tokio::test]
async fn a_pull_that_was_cut_off_continues() {
    let renamed = Renamed::new().await;
    // Once no smaller delta is being made.
    renamed.pull(BasisFile::new(renamed.basis()).published_at(renamed.old_url())).await.unwrap();
    within(renamed.setting.server.prepared()).await;
    fs::remove_file(renamed.setting.dest()).unwrap();
    let address = proxy(renamed.setting.address, Fault::CutBody(20_000)).await;
    let basis = || BasisFile::new(renamed.basis()).published_at(url(address).join("old").unwrap());
    let cut = renamed.pull_from(&url(address), basis()).await.unwrap_err();
    assert!(matches!(cut, PullError::Network { .. }), "{cut}");
    let kept = fs::metadata(renamed.setting.folder.path().join(".dest.driblet-partial")).unwrap().len();
    assert!(19_000 < kept);
    // The rest is shorter than the proxy's limit.
    let pulled = renamed.pull_from(&url(address), basis()).await.unwrap();
    assert_eq!(pulled.basis, BasisKind::Version);
    assert!(pulled.received < 15_000, "{pulled:?}");
    renamed.assert_done();
}

#[tokio::test]
async fn what_cannot_be_a_basis_is_named() {
    let renamed = Renamed::new().await;
    let missing = renamed.pull(BasisFile::new("/nowhere/app.js")).await.unwrap_err();
    assert!(matches!(missing, PullError::Store { .. }) && missing.to_string().contains("/nowhere/app.js"), "{missing}");
    let folder = renamed.pull(BasisFile::new(renamed.setting.folder.path())).await.unwrap_err();
    assert!(matches!(folder, PullError::Store { .. }), "{folder}");
    let elsewhere = BasisFile::new(renamed.basis()).published_at(Url::parse("http://other.example/old").unwrap());
    let refused = renamed.pull(elsewhere).await.unwrap_err();
    assert!(matches!(refused, PullError::Protocol { .. }), "{refused}");
    assert!(!renamed.setting.dest().exists());
}
