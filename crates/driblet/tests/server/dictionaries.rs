//! Compression dictionaries (RFC 9842): which files are offered, and what a client that holds one gets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet::Version;
use sha2::{Digest, Sha256};

use crate::support::{Answer, Ask, TestSite, get, random_bytes, text};

const HOST: &str = "assets.example";
const STALE_ONCE: &str = "max-age=0, stale-while-revalidate=604800";
/// The first bytes of each coding (RFC 9842, sections 4 and 5).
const MAGIC: [(&str, &[u8]); 2] =
    [("dcz", &[0x5e, 0x2a, 0x4d, 0x18, 0x20, 0, 0, 0]), ("dcb", &[0xff, 0x44, 0x43, 0x42])];

/// A request of a page that a browser shows at a public address.
fn by_page(path: &str) -> Ask {
    get(path).header("host", HOST).header("sec-fetch-mode", "no-cors").header("sec-fetch-site", "same-origin")
}

/// The same, from a browser that holds bytes of a path as a dictionary.
fn holding(ask: Ask, (path, bytes): (&str, &[u8])) -> Ask {
    let hash = STANDARD.encode(Sha256::digest(bytes));
    let id = format!("\"{}/{path}\"", Version::of(bytes));
    ask.header("available-dictionary", &format!(":{hash}:")).header("dictionary-id", &id)
}

/// A file without repeats, and the file with some bytes changed in its middle.
fn versions(len: usize) -> (Vec<u8>, Vec<u8>) {
    let old: Vec<u8> = random_bytes(7, len).iter().map(|byte| b"0123456789abcdef"[usize::from(byte & 15)]).collect();
    let mut new = old.clone();
    new.splice(len / 2..len / 2 + 3, *b"let changed = true;");
    (old, new)
}

/// The bytes that an answer in the coding dcz gives to a browser that holds the dictionary.
fn decoded(answer: &Answer, dictionary: &[u8]) -> Vec<u8> {
    let body = &answer.body[..];
    let (_, magic) = MAGIC[0];
    assert_eq!(answer.header("content-encoding"), Some("dcz"));
    assert_eq!(&body[..8], magic);
    assert_eq!(&body[8..40], &Sha256::digest(dictionary)[..]);
    let mut context = zstd_safe::DCtx::create();
    context.ref_prefix(dictionary).unwrap();
    let mut bytes = Vec::with_capacity(64 << 20);
    context.decompress(&mut bytes, &body[40..]).unwrap();
    bytes
}

#[tokio::test]
async fn files_are_offered_to_pages_at_public_addresses() {
    let (script, short) = (text(1, 5000), text(1, 500));
    let hashed = "assets/index-B3f2a9xx.js";
    let files: &[(&str, &[u8])] = &[
        ("app.js", &script),
        ("app.css", &script),
        (hashed, &script),
        ("assets/data-B3f2a9xx.json", &script),
        ("data.json", &script),
        ("live.json", &script),
        ("index.html", &script),
        ("short.js", &short),
        ("a b.js", &script),
        ("photo.png", &script),
    ];
    let site = TestSite::with(files, |builder| {
        builder.allow_host(HOST).header("live.json", "Cache-Control", "max-age=60").header(
            "app.css",
            "Cache-Control",
            "no-cache",
        )
    })
    .await;
    let id = |path: &str| format!("id=\"{}/{path}\"", Version::of(&script));
    for (path, caching, offer) in [
        ("app.js", STALE_ONCE, Some(format!("match=\"app.js\", {}", id("app.js")))),
        (hashed, "max-age=31536000, immutable", Some(format!("match=\"index-*.js\", {}", id(hashed)))),
        (
            "assets/data-B3f2a9xx.json",
            "max-age=31536000, immutable",
            Some(format!("match=\"data-*.json\", {}", id("assets/data-B3f2a9xx.json"))),
        ),
        ("live.json", "max-age=60", Some(format!("match=\"live.json\", {}", id("live.json")))),
        // A browser would not keep these.
        ("data.json", "no-cache", None),
        ("app.css", "no-cache", None),
        ("index.html", "no-cache", None),
        // These would gain nothing.
        ("short.js", "no-cache", None),
        ("photo.png", "no-cache", None),
        ("a%20b.js", STALE_ONCE, None),
    ] {
        let path = format!("/{path}");
        let answer = site.ask(by_page(&path)).await;
        let held = site.ask(by_page(&path).header("if-none-match", &answer.etag())).await;
        assert_eq!((answer.status, held.status), (200, 304), "{path}");
        for answer in [answer, held] {
            assert_eq!(answer.header("cache-control"), Some(caching), "{path}");
            assert_eq!(answer.header("use-as-dictionary"), offer.as_deref(), "{path}");
        }
    }
    let vary = site.ask(by_page("/app.js")).await.header("vary").map(str::to_lowercase).unwrap();
    assert!(vary.contains("accept-encoding, available-dictionary"), "{vary}");
    // A page of this machine, a program, and someone whom a guard knows.
    let asks =
        [get("/app.js"), get("/app.js").header("host", HOST), by_page("/app.js").header("authorization", "Basic YTpi")];
    for ask in asks {
        let answer = site.ask(ask).await;
        assert_eq!((answer.header("cache-control"), answer.header("use-as-dictionary")), (Some("no-cache"), None));
    }
    let personal = site.ask(by_page("/app.js").header("cookie", "a=b")).await;
    assert_eq!(personal.header("cache-control"), Some("private, max-age=0, stale-while-revalidate=604800"));
}

#[tokio::test]
async fn who_holds_a_version_gets_the_difference() {
    let (old, new) = versions(100_000);
    let site = TestSite::with(&[("app.js", &old)], |builder| builder.allow_host(HOST)).await;
    site.publish("app.js", &new).await;
    let ask = holding(by_page("/app.js").header("accept-encoding", "gzip, br, zstd, dcz"), ("app.js", &old));
    let first = site.ask(ask.clone()).await;
    assert!(first.body.len() < 300, "{} bytes", first.body.len());
    assert_eq!(decoded(&first, &old), new);
    assert_eq!(first.header("content-length"), Some(&*first.body.len().to_string()));
    site.prepared().await;
    let better = site.ask(ask.clone()).await;
    assert!(better.body.len() <= first.body.len() && decoded(&better, &old) == new);
    for etag in [first.etag(), better.etag(), format!("\"{}-br\"", Version::of(&new))] {
        assert_eq!(site.ask(ask.clone().header("if-none-match", &etag)).await.status, 304, "{etag}");
    }
    // Another dictionary makes it another form.
    let other = holding(by_page("/app.js").header("accept-encoding", "br, dcz"), ("app.js", &new));
    let same = site.ask(other.header("if-none-match", &first.etag())).await;
    assert_eq!(decoded(&same, &new), new);
    let head = site.ask(ask.clone().method("HEAD")).await;
    assert_eq!((head.header("content-encoding"), head.etag(), head.body.len()), (Some("dcz"), better.etag(), 0));
    // A part is one of the file itself.
    let part = site.ask(ask.header("range", "bytes=0-9")).await;
    assert_eq!((part.status, part.header("content-encoding"), &part.body[..]), (206, None, &new[..10]));
}

#[cfg(feature = "shared-brotli")]
#[tokio::test]
async fn the_shorter_coding_is_made_in_the_background() {
    // What is new shrinks better by brotli.
    let (old, new) = (text(1, 60_000), [text(1, 60_000), text(2, 20_000)].concat());
    let site = TestSite::with(&[("app.js", &old)], |builder| builder.allow_host(HOST)).await;
    site.publish("app.js", &new).await;
    let ask = |codings: &str| holding(by_page("/app.js").header("accept-encoding", codings), ("app.js", &old));
    let first = site.ask(ask("br, dcb, dcz")).await;
    assert_eq!(decoded(&first, &old), new);
    site.prepared().await;
    let better = site.ask(ask("br, dcb, dcz")).await;
    let (_, magic) = MAGIC[1];
    assert_eq!((better.header("content-encoding"), &better.body[..4]), (Some("dcb"), magic));
    assert_eq!(&better.body[4..36], &Sha256::digest(&old)[..]);
    assert!(better.body.len() < first.body.len());
    assert_eq!(site.ask(ask("br, dcz")).await.header("content-encoding"), Some("dcz"));
    assert_eq!(site.ask(ask("dcb")).await.header("content-encoding"), Some("dcb"));
}

#[tokio::test]
async fn another_build_of_a_file_is_its_dictionary_even_if_it_is_gone() {
    let (old, new) = versions(50_000);
    let (before, after) = ("assets/index-B3f2a9xx.js", "assets/index-Q9bd1cyy.js");
    let site = TestSite::with(&[(before, &old)], |builder| builder.allow_host(HOST)).await;
    site.publish(after, &new).await;
    std::fs::remove_file(site.root().join(before)).unwrap();
    assert_eq!(site.get(&format!("/{before}")).await.status, 404);
    let ask = |path: &str| by_page(path).header("accept-encoding", "br, dcz");
    let answer = site.ask(holding(ask(&format!("/{after}")), (before, &old))).await;
    assert_eq!(decoded(&answer, &old), new);
    assert!(answer.body.len() < 300);
    // Only another build of the same file.
    site.publish("assets/main-Q9bd1cyy.js", &new).await;
    let answer = site.ask(holding(ask("/assets/main-Q9bd1cyy.js"), (before, &old))).await;
    assert_eq!(answer.header("content-encoding"), Some("br"));
}

#[tokio::test]
async fn what_a_client_says_of_its_dictionary_is_checked() {
    let (old, new) = versions(50_000);
    let files: &[(&str, &[u8])] = &[("app.js", &old), ("other.js", &old), (".hidden.js", &old)];
    let site = TestSite::with(files, |builder| builder.allow_host(HOST)).await;
    site.publish("app.js", &new).await;
    let ask = || by_page("/app.js").header("accept-encoding", "br, dcz, dcb");
    let hash = |bytes: &[u8]| format!(":{}:", STANDARD.encode(Sha256::digest(bytes)));
    let id = |bytes: &[u8], path: &str| format!("\"{}/{path}\"", Version::of(bytes));
    let says = |hash: &str, id: &str| ask().header("available-dictionary", hash).header("dictionary-id", id);
    for ask in [
        // No dictionary, another one than it names, one that nobody has, and one of another path.
        ask(),
        says(&hash(b"x"), &id(&old, "app.js")),
        says(&hash(b"x"), &id(b"x", "app.js")),
        says(&hash(&old), &id(&old, "other.js")),
        says(&hash(&old), &id(&old, ".hidden.js")),
        says(&hash(&old), &id(&old, "../root/app.js")),
        says(&hash(&old), &id(&old, "")),
        says(&hash(&old), "\"\""),
        says("::", &id(&old, "app.js")),
        ask().header("available-dictionary", &hash(&old)),
        // A page of another site that may not read the answer.
        holding(
            get("/app.js")
                .header("host", HOST)
                .header("sec-fetch-site", "cross-site")
                .header("sec-fetch-mode", "no-cors")
                .header("accept-encoding", "br, dcz"),
            ("app.js", &old),
        ),
        // Someone whom a guard knows.
        holding(ask(), ("app.js", &old)).header("authorization", "Bearer x"),
    ] {
        assert_eq!(site.ask(ask).await.header("content-encoding"), Some("br"));
    }
    assert_ne!(site.ask(holding(ask(), ("app.js", &old))).await.header("content-encoding"), Some("br"));
}

#[tokio::test]
async fn private_files_are_no_dictionaries() {
    let (old, new) = versions(50_000);
    for is_private in [false, true] {
        let site = TestSite::with(&[("app.js", &old)], |builder| {
            builder.allow_host(HOST).private(is_private).dictionaries(is_private)
        })
        .await;
        site.publish("app.js", &new).await;
        let answer = site.ask(holding(by_page("/app.js").header("accept-encoding", "br, dcz"), ("app.js", &old))).await;
        assert_eq!((answer.header("content-encoding"), answer.header("use-as-dictionary")), (Some("br"), None));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
    }
}
