//! Access rules: what a rule guards is given to nobody else, by no resource and in no spelling.

use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet::{Access, AccessError, NewToken, ServerBuilder, Version, hash_password};
use driblet_core::directory::{Have, Manifest, ManifestLimits, part_version};

use sha2::{Digest, Sha256};

use crate::support::{Answer, Ask, TestSite, eventually, get, post, sign, text};

const SECRET: &[u8] = b"a secret that nobody else may read";
const PASSWORD: &str = "correct horse: battery";

static HASH: LazyLock<String> = LazyLock::new(|| hash_password(PASSWORD).unwrap());
static TOKEN: LazyLock<NewToken> = LazyLock::new(|| NewToken::random().unwrap());

/// A rule for these paths that lets `alice` and a token in.
fn rule(paths: &[&str]) -> String {
    let (hash, token) = (&*HASH, &TOKEN.hash);
    format!("[[allow]]\npaths = {paths:?}\nusers = {{ alice = \"{hash}\" }}\ntokens = {{ ci = \"{token}\" }}\n")
}

fn as_user(ask: Ask, user: &str, password: &str) -> Ask {
    ask.header("authorization", &format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

fn as_alice(ask: Ask) -> Ask {
    as_user(ask, "alice", PASSWORD)
}

fn as_program(ask: Ask) -> Ask {
    ask.header("authorization", &format!("Bearer {}", TOKEN.token))
}

fn from_address(ask: Ask, address: &str) -> Ask {
    ask.header("x-forwarded-for", address)
}

struct Guarded {
    site: TestSite,
    access: Access,
}

impl Guarded {
    async fn new(files: &[(&str, &[u8])], rules: &str) -> Guarded {
        Guarded::with(files, rules, |builder| builder).await
    }

    async fn with(
        files: &[(&str, &[u8])],
        rules: &str,
        options: impl FnOnce(ServerBuilder) -> ServerBuilder,
    ) -> Guarded {
        let mut site = TestSite::stopped(files);
        let access = access(&site, rules);
        site.start(|builder| options(builder.access(&access))).await;
        site.indexed().await;
        Guarded { site, access }
    }

    fn write_rules(&self, rules: &str) {
        std::fs::write(rules_file(&self.site), rules).unwrap();
    }

    async fn get(&self, path: &str) -> Answer {
        self.site.get(path).await
    }
}

fn rules_file(site: &TestSite) -> PathBuf {
    site.outside().join("rules.toml")
}

fn access(site: &TestSite, rules: &str) -> Access {
    std::fs::write(rules_file(site), rules).unwrap();
    Access::open(rules_file(site)).unwrap()
}

fn has_secret(answer: &Answer) -> bool {
    answer.body.windows(8).any(|window| window == &SECRET[..8])
}

#[track_caller]
fn is_refused(answer: &Answer) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("www-authenticate").is_some_and(|said| said.starts_with("Basic realm=\"/")), "{answer:?}");
    assert!(!has_secret(answer));
}

#[track_caller]
fn is_private(answer: &Answer) {
    let said = answer.header("cache-control").unwrap_or_default();
    assert!(said.contains("private") || said.starts_with("no-store"), "{said:?}: {answer:?}");
    assert!(!said.contains("public"), "{said:?}");
}

/// The version of a directory's head, and the paths in its manifest.
async fn snapshot(site: &TestSite, path: &str, sent: fn(Ask) -> Ask) -> (String, Vec<String>) {
    let none = site.ask(sent(get(&format!("{path}.driblet/none")))).await;
    assert_eq!(none.status, 200, "{none:?}");
    let version =
        site.ask(sent(get(&format!("{path}.driblet/head")))).await.json()["version"].as_str().unwrap().to_owned();
    let manifest = site.ask(sent(get(&format!("{path}.driblet/manifest/{version}")))).await;
    let manifest = Manifest::parse(&manifest.body, ManifestLimits::default()).unwrap();
    (version, manifest.entries().map(|entry| entry.path.to_owned()).collect())
}

#[tokio::test]
async fn every_resource_of_a_guarded_path_needs_credentials() {
    let files: [(&str, &[u8]); 4] = [
        ("open.txt", b"open"),
        ("private/index.html", SECRET),
        ("private/a.txt", SECRET),
        ("private/b.txt", b"another file"),
    ];
    let options = |builder: ServerBuilder| builder.directory("").directory("private");
    let Guarded { site, .. } = Guarded::with(&files, &rule(&["/private/"]), options).await;
    let version = Version::of(SECRET);
    let (directory, paths) = snapshot(&site, "/private/", as_alice).await;
    assert_eq!(paths, ["a.txt", "b.txt", "index.html"]);
    let part = part_version([version, Version::of(b"another file")]);
    let target = directory.parse().unwrap();
    let have = Have { target, held: vec![], others: vec![] }.encode(3);
    let file = "/private/a.txt.driblet";
    let folder = "/private/.driblet";
    let mut asks: Vec<Ask> = [
        "/private",
        "/private/",
        "/private/index.html",
        "/private/a.txt",
        "/private/missing",
        "/private/missing/",
        &format!("{file}/none"),
        &format!("{file}/{version}"),
        &format!("{file}/none-{version}"),
        &format!("{file}/head"),
        &format!("{file}/head?since=0&wait=1"),
        &format!("{file}/grant-{version}"),
        &format!("{file}/live"),
        &format!("{file}/nonsense"),
        &format!("{folder}/none"),
        &format!("{folder}/{directory}"),
        &format!("{folder}/none-{directory}"),
        &format!("{folder}/none-{directory}/0"),
        &format!("{folder}/head"),
        &format!("{folder}/manifest/{directory}"),
        &format!("{folder}/part/{part}"),
        &format!("{folder}/client.js"),
        "/private.driblet/none",
    ]
    .iter()
    .flat_map(|path| ["GET", "HEAD"].map(|method| get(path).method(method)))
    .collect();
    asks.push(post(&format!("{file}/signature"), sign(b"something", SECRET).0.encode()));
    asks.push(post(&format!("{folder}/have"), have));
    asks.extend(["OPTIONS", "PUT", "DELETE", "POST"].map(|method| get("/private/a.txt").method(method)));
    let mut served = 0;
    for ask in asks {
        for wrong in [
            ask.clone(),
            ask.clone().header("authorization", "Bearer wrong"),
            as_user(ask.clone(), "alice", "wrong"),
            as_user(ask.clone(), "bob", PASSWORD),
            ask.clone().header("authorization", "Basic !"),
            ask.clone().header("cookie", "authorization=Bearer"),
        ] {
            is_refused(&site.ask(wrong).await);
        }
        // A stream does not end. HEAD has the same headers.
        let ask = if ask.is_stream() { ask.method("HEAD") } else { ask };
        for right in [as_alice(ask.clone()), as_program(ask)] {
            let answer = site.ask(right).await;
            assert_ne!(answer.status, 401, "{answer:?}");
            is_private(&answer);
            served += u32::from(answer.status == 200);
        }
    }
    assert!(50 < served, "{served} were served");
    let open = site.get("/open.txt").await;
    assert_eq!((open.status, open.header("cache-control")), (200, Some("no-cache")));
    let script = site.get("/.driblet/health").await;
    assert_eq!(script.status, 200);
}

#[tokio::test]
async fn a_challenge_names_what_the_rule_takes() {
    let (hash, token) = (&*HASH, &TOKEN.hash);
    let rules = format!(
        "[[allow]]\npaths = [\"/users/\"]\nusers = {{ alice = \"{hash}\" }}\n[[allow]]\npaths = [\"/prögrams/\"]\ntokens = {{ ci = \"{token}\" }}\n"
    );
    let Guarded { site, .. } = Guarded::new(&[], &rules).await;
    let users = site.get("/users/a.driblet/head").await;
    assert_eq!(users.header("www-authenticate"), Some("Basic realm=\"/users/\", charset=\"UTF-8\""));
    assert!(users.refuses(401, "unauthorized"));
    let programs = "/pr%C3%B6grams/a";
    assert_eq!(site.get(programs).await.header("www-authenticate"), Some("Bearer realm=\"/pr%C3%B6grams/\""));
    let wrong = site.ask(get(programs).header("authorization", "Bearer abc")).await;
    assert!(wrong.header("www-authenticate").unwrap().ends_with("error=\"invalid_token\""));
    // Credentials of one kind are of no use where the rule has the other.
    assert_eq!(site.ask(as_program(get("/users/a"))).await.status, 401);
    assert_eq!(site.ask(as_alice(get(programs))).await.status, 401);
    assert_eq!(site.ask(as_program(get(programs))).await.status, 404);
}

#[cfg(feature = "browser-sync-stream")]
#[tokio::test]
async fn a_websocket_needs_credentials() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let Guarded { site, .. } = Guarded::new(&[("private/a.txt", SECRET)], &rule(&["/private/"])).await;
    let ask = || {
        get("/private/a.txt")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    is_refused(&site.ask(ask()).await);
    let mut stream = tokio::net::TcpStream::connect(site.addr()).await.unwrap();
    let head = String::from_utf8(as_alice(ask()).bytes(site.addr())).unwrap().replace("connection: close\r\n", "");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    crate::support::within(stream.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 101");
}

#[tokio::test]
async fn no_spelling_of_a_guarded_path_is_a_way_around_its_rule() {
    let files: [(&str, &[u8]); 4] =
        [("private/a.txt", SECRET), ("private/index.html", SECRET), ("one.txt", SECRET), ("open/x.txt", b"open")];
    let Guarded { site, .. } = Guarded::new(&files, &rule(&["/private/", "/one.txt"])).await;
    for path in [
        "/private/a.txt",
        "/%70rivate/a.txt",
        "/%70%72%69%76%61%74%65/a%2Etxt",
        "/private%2Fa.txt",
        "/private%2fa.txt",
        "/private%5Ca.txt",
        "/private%252Fa.txt",
        "//private/a.txt",
        "/private//a.txt",
        "///private///a.txt",
        "/./private/a.txt",
        "/%2e/private/a.txt",
        "/%2E%2E/private/a.txt",
        "/open/../private/a.txt",
        "/open/%2e%2e/private/a.txt",
        "/open/..;/private/a.txt",
        "/open/..%3B/private/a.txt",
        "/..;/private/a.txt",
        "/private;/a.txt",
        "/private/a.txt;x",
        "/private/a.txt.",
        "/private/a.txt/",
        "/private/a.txt%20",
        "/private/a.txt%00",
        "/private./a.txt",
        "/private%20/a.txt",
        "/PRIVATE/a.txt",
        "/Private/A.TXT",
        "/private/a.txt?a",
        "/private/a.txt?/../open/x.txt",
        "/private/a.txt%3Fa",
        "/private/a.txt#a",
        "/private/",
        "/private",
        "/private/.",
        "/private/%2e",
        "/private/..",
        "/private/index.html",
        "/private.driblet/none",
        "/private/.driblet/none",
        "/private.driblet/a.txt/none",
        "/private/a.txt.driblet/none",
        "/private/a.txt%2edriblet/none",
        "/private/a.txt.driblet/./none",
        "/private/a.txt.driblet/x/../none",
        "/open/x.txt.driblet/../../private/a.txt",
        "/open/.driblet/../../private/a.txt.driblet/none",
        "/one.txt",
        "/one.txt/",
        "/one.txt.driblet/none",
        "/%6Fne.txt",
        "/ONE.txt",
        "http://localhost/private/a.txt",
        "/private/a.txt\u{0}",
        "/\u{feff}private/a.txt",
        "/%EF%BC%8E%EF%BC%8E/private/a.txt",
    ] {
        for ask in [get(path), get(path).method("HEAD"), get(path).header("sec-fetch-mode", "navigate")] {
            let answer = site.ask(ask).await;
            assert!(!has_secret(&answer), "{path}: {answer:?}");
            assert!([400, 401, 404].contains(&answer.status), "{path}: {answer:?}");
        }
    }
    assert_eq!(site.get("/open/x.txt").await.text(), "open");
    assert_eq!(site.ask(as_alice(get("/%70rivate/a.txt"))).await.body, SECRET);
}

#[tokio::test]
async fn the_rule_of_the_file_that_answers_counts_too() {
    let page = |ask: Ask| ask.header("sec-fetch-mode", "navigate");
    let files: [(&str, &[u8]); 3] = [("index.html", SECRET), ("404.html", SECRET), ("docs/index.html", SECRET)];
    let rules = rule(&["/404.html", "/docs/index.html", "/index.html"]);
    let guarded = Guarded::new(&files, &rules).await;
    for path in ["/", "/docs/", "/missing", "/missing/"] {
        is_refused(&guarded.site.ask(page(get(path))).await);
        let answer = guarded.site.ask(page(as_alice(get(path)))).await;
        assert_eq!(answer.body, SECRET, "{path}");
        is_private(&answer);
    }
    // No file answers these.
    assert_eq!(guarded.get("/docs").await.status, 308);
    assert_eq!(guarded.get("/missing").await.status, 404);
    let app = Guarded::with(&files, &rule(&["/index.html"]), |builder| builder.single_page(true)).await;
    is_refused(&app.site.ask(page(get("/some/route"))).await);
    assert_eq!(app.site.ask(page(as_program(get("/some/route")))).await.body, SECRET);
}

#[tokio::test]
async fn a_single_file_is_guarded_at_the_root_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.bin"), SECRET).unwrap();
    std::fs::write(folder.path().join("rules.toml"), rule(&["/secret.bin"])).unwrap();
    let access = Access::open(folder.path().join("rules.toml")).unwrap();
    let builder = driblet::Server::builder(folder.path().join("secret.bin"));
    let server = builder.history(folder.path().join("history")).access(&access).build().await.unwrap();
    let addr = crate::support::serving(server.router(), driblet::ServeOptions::default()).await;
    for path in ["/", "/secret.bin", "/.driblet/none", "/.driblet/head", "/secret.bin.driblet/none"] {
        is_refused(&get(path).send(addr).await);
        let answer = as_alice(get(path)).send(addr).await;
        assert_eq!(answer.status, 200, "{path}");
        is_private(&answer);
    }
}

#[tokio::test]
async fn a_preflight_carries_no_credentials() {
    let options = |builder: ServerBuilder| builder.allow_origin("https://app.example");
    let Guarded { site, .. } = Guarded::with(&[("private/a.txt", SECRET)], &rule(&["/private/"]), options).await;
    let preflight = |origin: &str| {
        let ask = get("/private/a.txt").method("OPTIONS").header("origin", origin);
        ask.header("access-control-request-method", "GET").header("access-control-request-headers", "authorization")
    };
    let answer = site.ask(preflight("https://app.example")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-headers")), (204, Some("authorization")));
    assert_eq!(site.ask(preflight("https://evil.example")).await.status, 403);
    is_refused(&site.ask(preflight(&format!("http://{}", site.addr()))).await);
    // The page must be able to read that it needs credentials.
    let refused = site.ask(get("/private/a.txt").header("origin", "https://app.example")).await;
    is_refused(&refused);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://app.example"));
}

#[tokio::test]
async fn snapshots_leave_out_what_a_rule_guards() {
    let files: [(&str, &[u8]); 6] = [
        ("open.txt", b"open"),
        ("private/a.txt", SECRET),
        ("app/x.js", b"let x"),
        ("app/admin/report.json", SECRET),
        ("app/[ab]*.txt", SECRET),
        ("app/a.txt", b"not that one"),
    ];
    let rules = [rule(&["/private/", "/app/admin/report.json", "/app/[ab]*.txt"])].concat();
    for watched in [false, true] {
        let options =
            |builder: ServerBuilder| builder.directory("").directory("app").directory("private").watch(watched);
        let Guarded { site, .. } = Guarded::with(&files, &rules, options).await;
        let same: fn(Ask) -> Ask = |ask| ask;
        assert_eq!(snapshot(&site, "/", same).await.1, ["app/a.txt", "app/x.js", "open.txt"]);
        assert_eq!(snapshot(&site, "/app/", same).await.1, ["a.txt", "x.js"]);
        // New files below are left out too, in a watched directory as well.
        site.write("private/new/b.txt", SECRET);
        site.write("app/new.js", b"let y");
        eventually(async || {
            let (_, paths) = snapshot(&site, "/", same).await;
            assert!(!paths.iter().any(|path| path.contains("private") || path.contains("report")), "{paths:?}");
            paths.len() == 4
        })
        .await;
        is_refused(&site.get("/private/.driblet/none").await);
        eventually(async || snapshot(&site, "/private/", as_program).await.1.len() == 2).await;
    }
}

#[tokio::test]
async fn a_rule_of_the_root_guards_its_snapshot() {
    let files: [(&str, &[u8]); 2] = [("a.txt", SECRET), ("private/b.txt", SECRET)];
    let rules = rule(&["/", "/private/"]);
    let Guarded { site, .. } = Guarded::with(&files, &rules, |builder| builder.directory("")).await;
    for path in ["/", "/a.txt", "/.driblet/none", "/.driblet/head", "/.driblet/client.js", "/private/b.txt"] {
        is_refused(&site.get(path).await);
    }
    assert_eq!(site.get("/.driblet/health").await.status, 200);
    assert_eq!(snapshot(&site, "/", as_alice).await.1, ["a.txt"]);
}

#[tokio::test]
async fn versions_of_a_snapshot_from_before_the_rule_are_not_given() {
    let mut site = TestSite::stopped(&[("open.txt", b"open"), ("private/a.txt", SECRET)]);
    site.start(|builder| builder.directory("")).await;
    site.indexed().await;
    let same: fn(Ask) -> Ask = |ask| ask;
    let (before, paths) = snapshot(&site, "/", same).await;
    assert_eq!(paths, ["open.txt", "private/a.txt"]);
    site.stop().await;
    let access = access(&site, &rule(&["/private/"]));
    site.start(|builder| builder.directory("").access(&access)).await;
    let part = part_version([Version::of(b"open"), Version::of(SECRET)]);
    let have = Have { target: before.parse().unwrap(), held: vec![], others: vec![] }.encode(2);
    // Also before the directory is published again.
    let old = || {
        [
            get(&format!("/.driblet/manifest/{before}")),
            get(&format!("/.driblet/none-{before}")),
            get(&format!("/.driblet/none-{before}/0")),
            get(&format!("/.driblet/part/{part}")),
            get(&format!("/.driblet/{before}")),
            post("/.driblet/have", have.clone()),
        ]
    };
    for _ in 0..2 {
        for ask in old() {
            let answer = site.ask(ask).await;
            assert_eq!(answer.status, 404, "{answer:?}");
            assert!(!has_secret(&answer));
        }
        let (after, paths) = snapshot(&site, "/", same).await;
        assert_eq!((paths, after == before), (vec!["open.txt".to_owned()], false));
    }
}

#[tokio::test]
async fn the_name_of_a_part_is_no_way_into_another_directory() {
    let files: [(&str, &[u8]); 2] = [("open.txt", b"open"), ("private/a.txt", SECRET)];
    let options = |builder: ServerBuilder| builder.directory("").directory("private");
    let Guarded { site, .. } = Guarded::with(&files, &rule(&["/private/"]), options).await;
    let part = part_version([Version::of(SECRET)]);
    assert_eq!(site.ask(as_alice(get("/private/.driblet/none"))).await.status, 200);
    assert_eq!(site.ask(as_alice(get(&format!("/private/.driblet/part/{part}")))).await.status, 200);
    assert_eq!(site.get("/.driblet/none").await.status, 200);
    assert_eq!(site.get(&format!("/.driblet/part/{part}")).await.status, 404);
}

#[tokio::test]
async fn a_grant_is_asked_for_past_the_rule_of_the_basis() {
    let Guarded { site, .. } =
        Guarded::new(&[("private/a.txt", SECRET), ("b.txt", b"open")], &rule(&["/private/"])).await;
    let from = Version::of(SECRET);
    let ask = get(&format!("/private/a.txt.driblet/grant-{from}"));
    is_refused(&site.ask(ask.clone()).await);
    assert_eq!(site.get(&format!("/b.txt.driblet/{from}")).await.status, 404);
    let grant = site.ask(as_alice(ask)).await.json()["grant"].as_str().unwrap().to_owned();
    assert_eq!(site.get(&format!("/b.txt.driblet/{from}?grant={grant}")).await.status, 200);
    // And the rule of the target counts as well.
    let from = Version::of(b"open");
    let grant = site.get(&format!("/b.txt.driblet/grant-{from}")).await.json()["grant"].as_str().unwrap().to_owned();
    is_refused(&site.get(&format!("/private/a.txt.driblet/{from}?grant={grant}")).await);
}

#[tokio::test]
async fn a_header_of_the_operator_does_not_make_an_answer_public() {
    let options = |builder: ServerBuilder| builder.header("*", "Cache-Control", "public, max-age=60, s-maxage=600");
    let files: [(&str, &[u8]); 2] = [("private/a.txt", SECRET), ("open.txt", b"open")];
    let Guarded { site, .. } = Guarded::with(&files, &rule(&["/private/"]), options).await;
    let answer = site.ask(as_alice(get("/private/a.txt"))).await;
    assert_eq!(answer.header("cache-control"), Some("private, max-age=60"));
    assert_eq!(site.get("/open.txt").await.header("cache-control"), Some("public, max-age=60, s-maxage=600"));
}

#[tokio::test]
async fn wrong_passwords_at_speed_are_bounded_and_a_good_user_is_served() {
    let Guarded { site, .. } = Guarded::new(&[("private/a.txt", SECRET)], &rule(&["/private/"])).await;
    let ask = || get("/private/a.txt");
    let (attacker, user) = ("203.0.113.1", "198.51.100.1");
    let guesses = (0..200).map(|guess| {
        let name = if guess % 2 == 0 { "alice" } else { "nobody" };
        site.ask(from_address(as_user(ask(), name, &format!("guess {guess}")), attacker))
    });
    let answers = futures_util::future::join_all(guesses).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(401), count(429)), (10, 190));
    let late = answers.iter().find(|answer| answer.status == 429).unwrap();
    let wait: u64 = late.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // The right password is not tried either, or a client could try many that others use.
    assert_eq!(site.ask(from_address(as_alice(ask()), attacker)).await.status, 429);
    let served = (0..100).map(|_| site.ask(from_address(as_alice(ask()), user)));
    assert!(futures_util::future::join_all(served).await.iter().all(|answer| answer.body == SECRET));
    // Tokens are not guessed: a program at the attacker's address is served, and a wrong token harms nobody.
    for _ in 0..50 {
        let wrong = from_address(ask().header("authorization", "Bearer wrong"), attacker);
        assert_eq!(site.ask(wrong).await.status, 401);
    }
    assert_eq!(site.ask(from_address(as_program(ask()), attacker)).await.body, SECRET);
    // A program that repeats one wrong password, such as an old one, does not lock out its address.
    for _ in 0..50 {
        assert_eq!(site.ask(from_address(as_user(ask(), "alice", "old"), user)).await.status, 401);
    }
    assert_eq!(site.ask(from_address(as_alice(ask()), user)).await.body, SECRET);
}

#[tokio::test]
async fn what_a_rule_covers_is_no_dictionary() {
    let (old, new) = (text(1, 50_000), [text(1, 50_000), b"let more;".to_vec()].concat());
    let (before, after, other) = ("assets/index-B3f2a9xx.js", "assets/index-Q9bd1cyy.js", "assets/index-Q9bd1czz.js");
    let files: [(&str, &[u8]); 3] = [(before, &old), (after, &new), (other, &new)];
    let open = |builder: ServerBuilder| builder.allow_host("assets.example");
    let guarded = Guarded::with(&files, &rule(&[&format!("/{before}")]), open).await;
    let by_page = |path: &str| {
        get(&format!("/{path}"))
            .header("host", "assets.example")
            .header("sec-fetch-mode", "no-cors")
            .header("accept-encoding", "br, dcz")
    };
    let holding = |ask: Ask, path: &str, bytes: &[u8]| {
        let hash = STANDARD.encode(Sha256::digest(bytes));
        let id = format!("\"{}/{path}\"", Version::of(bytes));
        ask.header("available-dictionary", &format!(":{hash}:")).header("dictionary-id", &id)
    };
    assert_eq!(as_alice(by_page(before)).send(guarded.site.addr()).await.header("use-as-dictionary"), None);
    assert!(by_page(after).send(guarded.site.addr()).await.header("use-as-dictionary").is_some());
    let answer = guarded.site.ask(holding(by_page(after), before, &old)).await;
    assert_eq!(answer.header("content-encoding"), Some("br"));
    let answer = guarded.site.ask(holding(by_page(after), other, &new)).await;
    assert_eq!(answer.header("content-encoding"), Some("dcz"), "of a path that nobody guards");
}

#[tokio::test]
async fn what_a_rule_covers_is_in_no_list_and_no_sidecar() {
    let script = text(1, 50_000);
    let mut packed = Vec::new();
    brotli::CompressorWriter::new(&mut packed, 4096, 1, 22).write_all(&script).unwrap();
    let files: [(&str, &[u8]); 4] =
        [("app.js", &script), ("app.js.br", &packed), ("private/a.txt", SECRET), ("open.txt", b"open")];
    let rules = rule(&["/app.js.br", "/private/"]);
    let guarded = Guarded::with(&files, &rules, |builder| builder.listing(true)).await;
    let ask = || get("/app.js").header("accept-encoding", "br");
    let answer = guarded.site.ask(ask()).await;
    assert!(answer.header("content-encoding") == Some("br") && answer.body != packed);
    assert!(guarded.site.ask(as_alice(ask())).await.body == packed);
    let list = guarded.get("/").await.text().to_owned();
    assert!(list.contains("open.txt") && !list.contains("private") && !list.contains("app.js.br"), "{list}");
    let list = guarded.site.ask(as_alice(get("/"))).await.text().to_owned();
    assert!(list.contains("private/") && list.contains("app.js.br"), "{list}");
    is_refused(&guarded.get("/private/").await);
}

#[tokio::test]
async fn rules_are_replaced_while_the_server_runs() {
    let files: [(&str, &[u8]); 2] = [("a.txt", SECRET), ("b.txt", SECRET)];
    let guarded = Guarded::new(&files, &rule(&["/a.txt"])).await;
    let status = async |path: &str| guarded.get(path).await.status;
    assert_eq!((status("/a.txt").await, status("/b.txt").await), (401, 200));
    assert!(!guarded.access.reload().unwrap());
    guarded.write_rules(&rule(&["/b.txt"]));
    assert!(guarded.access.reload().unwrap());
    assert_eq!((status("/a.txt").await, status("/b.txt").await), (200, 401));
    for bad in ["", "[[allow]]\n\npaths = 1\n", "[[allow]]\npaths = [\"/b.txt\"]\n"] {
        guarded.write_rules(bad);
        let error = guarded.access.reload().unwrap_err();
        assert!(matches!(error, AccessError::Invalid { .. }), "{error:?}");
        assert!(error.to_string().contains("rules.toml, line "), "{error}");
        assert_eq!(status("/b.txt").await, 401);
    }
    std::fs::remove_file(rules_file(&guarded.site)).unwrap();
    assert!(matches!(guarded.access.reload(), Err(AccessError::Read { .. })));
    assert_eq!(status("/b.txt").await, 401);
    // A new password takes effect at once: what is remembered is of the old one.
    guarded.write_rules(&rule(&["/b.txt"]));
    guarded.access.reload().unwrap();
    assert_eq!(guarded.site.ask(as_alice(get("/b.txt"))).await.status, 200);
    guarded.write_rules(&rule(&["/b.txt"]).replace(&*HASH, &hash_password("another").unwrap()));
    assert!(guarded.access.reload().unwrap());
    is_refused(&guarded.site.ask(as_alice(get("/b.txt"))).await);
    assert_eq!(guarded.site.ask(as_user(get("/b.txt"), "alice", "another")).await.status, 200);
}

#[tokio::test]
async fn a_file_that_changes_is_read_again() {
    let guarded = Guarded::new(&[("a.txt", SECRET), ("b.txt", b"open")], &rule(&["/a.txt"])).await;
    let follow = tokio::spawn(guarded.access.clone().follow());
    guarded.write_rules(&rule(&["/b.txt"]));
    eventually(async || guarded.get("/b.txt").await.status == 401).await;
    assert_eq!(guarded.get("/a.txt").await.status, 200);
    follow.abort();
}

#[tokio::test]
async fn a_new_rule_below_a_snapshot_needs_a_restart() {
    let files: [(&str, &[u8]); 3] = [("open.txt", b"open"), ("private/a.txt", SECRET), ("other/b.txt", SECRET)];
    let options = |builder: ServerBuilder| builder.directory("");
    let guarded = Guarded::with(&files, &rule(&["/private/"]), options).await;
    guarded.write_rules(&rule(&["/private/", "/other/b.txt"]));
    let error = guarded.access.reload().unwrap_err();
    assert!(matches!(&error, AccessError::Restart { path, .. } if path == "/other/b.txt"), "{error:?}");
    assert!(error.to_string().contains("restart the server"), "{error}");
    // Rules about what is left out already, and about the directory itself, can change.
    for rules in [rule(&["/private/a.txt"]), rule(&["/"]), rule(&["/", "/private/", "/private/deep/"])] {
        guarded.write_rules(&rules);
        assert!(guarded.access.reload().unwrap(), "{rules}");
    }
    is_refused(&guarded.get("/.driblet/none").await);
}
