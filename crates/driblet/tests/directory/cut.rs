//! Connections that are cut, and processes that end early.

use super::setting::{Setting, file, files, random_bytes};

#[tokio::test]
async fn a_cold_pull_that_is_cut_again_and_again() {
    let setting = Setting::new().await;
    let names: Vec<String> = (0..150).map(|number| format!("{}/{number}", number % 9)).collect();
    let mut tree: Vec<_> =
        names.iter().enumerate().map(|(at, name)| (&name[..], file(random_bytes(at as u64, 80_000)))).collect();
    tree.push(("long", file(random_bytes(1_000, 17 << 20))));
    setting.host.publish(&tree);
    let whole: usize = tree.iter().map(|(_, (bytes, _))| bytes.len()).sum();
    setting.host.cut(Some(whole / 100));
    // The part that follows the directory delta cannot be continued: the next pull fetches it by itself. All others are
    // continued at once.
    setting.pull().await.unwrap_err();
    assert!(setting.held().is_empty());
    setting.pull().await.unwrap();
    let (asked, sent) = setting.host.asked();
    assert!(100 <= asked.len(), "{} requests", asked.len());
    // What was sent on up to four connections before the first pull ended may be sent again.
    assert!(sent <= whole + whole / 20, "{sent} bytes sent for {whole}, {} requests", asked.len());
    assert_eq!(setting.held(), files(&tree));
    assert_eq!(setting.leftovers(), ["lock", "record"]);
}

#[tokio::test]
async fn an_update_that_is_cut_continues() {
    let setting = Setting::new().await;
    let old = random_bytes(1, 3 << 20);
    let tree = |bytes: &[u8]| [("a", file(bytes)), ("b", file("b")), ("c", file(random_bytes(7, 9_000)))];
    setting.host.publish(&tree(&old));
    setting.pull().await.unwrap();
    let new = [&old[..1 << 20], &random_bytes(2, 200_000), &old[1 << 20..]].concat();
    setting.host.publish(&tree(&new));
    setting.host.asked();
    setting.host.cut(Some(30_000));
    setting.pull().await.unwrap_err();
    assert_eq!(setting.held(), files(&tree(&old)));
    setting.pull().await.unwrap();
    let (asked, sent) = setting.host.asked();
    assert!((7..22).contains(&asked.len()), "{asked:?}");
    // The first cut is lost: a part that follows the directory delta cannot be continued.
    assert!(sent < 240_000, "{sent}");
    assert_eq!(setting.held(), files(&tree(&new)));
}

#[tokio::test]
async fn a_manifest_that_is_cut_continues() {
    let setting = Setting::new().await;
    let names: Vec<String> = (0..5_000).map(|number| format!("{number}")).collect();
    let tree: Vec<_> = names.iter().map(|name| (&name[..], file(name))).collect();
    setting.host.publish(&tree);
    setting.host.cut(Some(20_000));
    let mut cuts = 0;
    while setting.pull().await.is_err() {
        cuts += 1;
        assert!(cuts < 40);
    }
    assert!(8 <= cuts, "{cuts}");
    let (_, sent) = setting.host.asked();
    assert!(sent < 260_000, "{sent}");
    assert_eq!(setting.held(), files(&tree));
}

#[tokio::test]
async fn what_was_begun_is_finished_and_then_the_head() {
    let setting = Setting::new().await;
    let tree = |seed: u64| {
        let names = ["a", "b", "c"];
        names.map(|name| (name, file(random_bytes(seed, 100_000))))
    };
    setting.host.publish(&tree(1));
    setting.host.cut(Some(30_000));
    setting.pull().await.unwrap_err();
    setting.host.publish(&tree(2));
    setting.host.cut(None);
    let pulled = setting.pull().await.unwrap();
    assert_eq!(pulled.version, setting.host.head().version());
    assert_eq!(setting.held(), files(&tree(2)));
    // A server that forgot what was begun.
    setting.host.publish(&tree(3));
    setting.host.cut(Some(30_000));
    setting.pull().await.unwrap_err();
    setting.host.publish(&tree(4));
    setting.host.cut(None);
    setting.host.forget();
    setting.pull().await.unwrap();
    assert_eq!(setting.held(), files(&tree(4)));
}
