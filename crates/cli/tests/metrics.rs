//! `driblet serve --metrics`: the numbers that a collector reads.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Limited, Serving, code, driblet, eventually_on_thread, files, path, refused, text};
use tempfile::TempDir;

/// Values by series: a name with its labels, in their order.
type Series = BTreeMap<String, f64>;

/// A server, and where its metrics are.
struct Measured {
    serving: Serving,
    url: String,
    folder: TempDir,
}

impl Measured {
    fn start(contents: &[(&str, &[u8])], more: &[&str]) -> Measured {
        let folder = files(contents);
        let more = [&["--metrics", "127.0.0.1:0", "--no-watch", "--ahead", "0", "--codec", "fast"], more].concat();
        let mut serving = Serving::start(&folder.path().join("root"), &folder.path().join("history"), &more);
        let line = serving.line();
        let url = line.trim_end().strip_prefix("metrics on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Measured { serving, url, folder }
    }

    /// Asks the server with curl. Gives the status and the bytes of the body.
    fn ask(&self, path: &str, args: &[&str]) -> (u16, Vec<u8>) {
        ask(&format!("{}{path}", self.serving.url), args)
    }

    fn page(&self) -> String {
        let (status, page) = ask(&self.url, &[]);
        assert_eq!(status, 200);
        text(&page)
    }

    fn series(&self) -> Series {
        parsed(&self.page())
    }

    /// Waits until so many requests have ended, and gives all series.
    fn after(&self, requests: u64) -> Series {
        let count = |series: &Series| sum(series, "driblet_requests_total");
        let mut series = self.series();
        eventually_on_thread(|| {
            series = self.series();
            requests as f64 <= count(&series)
        });
        assert_eq!(count(&series), requests as f64, "{series:?}");
        series
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join("root").join(name), bytes).unwrap();
    }

    /// The version of a file.
    fn version(&self, path: &str) -> String {
        let (status, head) = self.ask(&format!("{path}.driblet/head"), &[]);
        assert_eq!(status, 200);
        let head: serde_json::Value = serde_json::from_slice(&head).unwrap();
        head["version"].as_str().unwrap().to_owned()
    }
}

fn ask(url: &str, args: &[&str]) -> (u16, Vec<u8>) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--path-as-is", "--write-out", "%{stderr}%{http_code}"])
        .args(args)
        .arg(url)
        .output_within();
    assert!(output.status.success(), "{url}: {}", text(&output.stderr));
    (text(&output.stderr).parse().unwrap(), output.stdout)
}

/// The sum of a metric over all labels.
fn sum(series: &Series, name: &str) -> f64 {
    series.iter().filter(|(key, _)| key.split('{').next() == Some(name)).map(|(_, value)| value).sum()
}

/// Those of a metric that are not 0, by their labels.
fn nonzero<'a>(series: &'a Series, name: &str) -> BTreeMap<&'a str, u64> {
    let of = series.iter().filter_map(|(key, value)| Some((key.strip_prefix(name)?.strip_prefix('{')?, *value)));
    of.filter(|(_, value)| *value != 0.0).map(|(labels, value)| (labels.trim_end_matches('}'), value as u64)).collect()
}

/// Reads the text format of Prometheus, and checks each line.
fn parsed(page: &str) -> Series {
    let (mut series, mut types, mut helped) = (Series::new(), BTreeMap::new(), BTreeSet::new());
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(is_name(name) && words.ends_with('.') && helped.insert(name.to_owned()), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(helped.contains(name), "{line} comes after its help");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let (name, labels) = key.split_once('{').unwrap_or((key, "}"));
            assert!(is_name(name) && name.starts_with("driblet_"), "{line}");
            let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (name, value) = label.split_once('=').unwrap();
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                assert!(is_name(name) && value.is_some_and(|value| !value.contains(['"', '\\'])), "{line}");
            }
            let ends = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = ends.filter(|family| types.get(*family).is_some_and(|kind| kind == "histogram"));
            assert!(types.contains_key(family.unwrap_or(name)), "{line} comes after its type");
            assert!(series.insert(key.to_owned(), value).is_none(), "{line} stands twice");
        }
    }
    buckets_grow(&series);
    series
}

fn is_name(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Checks that buckets count up, and that the last one has all.
fn buckets_grow(series: &Series) {
    let mut histograms: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (key, value) in series {
        let Some((start, bound)) = key.split_once("le=\"") else { continue };
        let bound = bound.trim_end_matches("\"}");
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
        histograms.entry(start.trim_end_matches(',').to_owned() + "}").or_default().push((bound, *value));
    }
    assert!(!histograms.is_empty());
    for (key, mut buckets) in histograms {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{key}: {buckets:?}");
        let count = series[&key.replacen("_bucket", "_count", 1)];
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{key}");
        assert_eq!(count == 0.0, series[&key.replacen("_bucket", "_sum", 1)] == 0.0, "{key}");
    }
}

/// A file that is too short for deltas in the background.
fn short(edit: &str) -> Vec<u8> {
    let line = |i: u32| if i == 100 { edit.to_owned() } else { format!("line {}\n", i.wrapping_mul(2_654_435_761)) };
    (0..400).map(line).collect::<String>().into_bytes()
}

#[test]
fn requests_and_syncs_are_counted_exactly() {
    let (first, second, other) = (short("first\n"), short("second\n"), short("another\n"));
    let measured = Measured::start(&[("root/app.js", &first), ("root/other.js", &other), ("root/a.txt", b"text")], &[]);
    let published = r#"driblet_publishes_total{kind="file"}"#;
    eventually_on_thread(|| measured.series()[published] == 3.0);

    assert_eq!(measured.ask("a.txt", &[]), (200, b"text".to_vec()));
    assert_eq!(measured.ask("a.txt", &["--range", "0-1"]), (206, b"te".to_vec()));
    assert_eq!(measured.ask("a.txt", &["--head"]).0, 200);
    let missing = measured.ask("none.txt", &[]).1.len();
    let refused = measured.ask("a.txt", &["--data", "x"]).1.len();
    assert_eq!(measured.ask("", &["--request", "OPTIONS"]).0, 204);
    let unknown_client = measured.ask(".driblet/none.js", &[]).1.len();
    let health = measured.ask(".driblet/health", &[]).1.len();
    assert_eq!(measured.ask("a.txt.driblet/live", &["--head"]).0, 200);

    let version = measured.version("app.js");
    let other_version = measured.version("other.js");
    let delta = |path: &str, args: &[&str]| {
        let (status, delta) = measured.ask(path, args);
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&delta));
        delta.len()
    };
    let none = delta("app.js.driblet/none", &[]);
    let same = delta(&format!("app.js.driblet/{version}"), &[]);
    // A receiver that holds the delta, one that looks, and one that continues.
    let pair = format!("app.js.driblet/none-{version}");
    let etag_of = [&format!("{}{pair}", measured.serving.url), "--silent", "--head"];
    let head = text(&Command::new("curl").args(etag_of).output_within().stdout);
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    assert_eq!(measured.ask(&pair, &["--header", &format!("if-none-match: {etag}")]).0, 304);
    let rest = measured.ask(&pair, &["--range", "10-"]);
    assert_eq!((rest.0, rest.1.len()), (206, none - 10));
    measured.write("app.js", &second);
    let history = delta(&format!("app.js.driblet/{version}"), &[]);
    let unknown = measured.ask(&format!("app.js.driblet/{other_version}"), &[]);
    assert_eq!(unknown.0, 404);
    let (_, granted) = measured.ask(&format!("other.js.driblet/grant-{other_version}"), &[]);
    let grant: serde_json::Value = serde_json::from_slice(&granted).unwrap();
    let grant = grant["grant"].as_str().unwrap();
    let granted_delta = delta(&format!("app.js.driblet/{other_version}?grant={grant}"), &[]);

    let series = measured.after(20);
    let requests = [
        (r#"kind="client",status="4xx""#, 1),
        (r#"kind="delta",status="2xx""#, 6),
        (r#"kind="delta",status="3xx""#, 1),
        (r#"kind="delta",status="4xx""#, 1),
        (r#"kind="head",status="2xx""#, 2),
        (r#"kind="live",status="2xx""#, 1),
        (r#"kind="other",status="2xx""#, 2),
        (r#"kind="plain",status="2xx""#, 4),
        (r#"kind="plain",status="4xx""#, 2),
    ];
    let counted = nonzero(&series, "driblet_requests_total");
    assert_eq!(counted, requests.into_iter().collect());
    // No stream's: it takes as long as its receiver stays.
    assert_eq!(sum(&series, "driblet_request_duration_seconds_count"), 19.0);
    let syncs = [("none", 1), ("same", 1), ("history", 1), ("grant", 1)];
    let of_basis = |(basis, value): (&'static str, u64)| (format!("basis=\"{basis}\""), value);
    let counted = |name| -> BTreeMap<String, u64> {
        nonzero(&series, name).into_iter().map(|(labels, value)| (labels.to_owned(), value)).collect()
    };
    assert_eq!(counted("driblet_syncs_total"), syncs.map(of_basis).into_iter().collect());
    let saved = [
        ("none", first.len() - none),
        ("same", first.len() - same),
        ("history", second.len() - history),
        ("grant", second.len() - granted_delta),
    ];
    let saved = saved.map(|(basis, bytes)| of_basis((basis, bytes as u64)));
    assert_eq!(counted("driblet_sync_saved_bytes_total"), saved.into_iter().collect());
    let sent = nonzero(&series, "driblet_sent_bytes_total");
    let deltas = none + same + (none - 10) + history + unknown.1.len() + granted_delta;
    assert_eq!(sent[r#"kind="delta""#], deltas as u64);
    assert_eq!(sent[r#"kind="plain""#], (4 + 2 + missing + refused) as u64);
    assert_eq!(sent[r#"kind="client""#], unknown_client as u64);
    assert_eq!(sent[r#"kind="other""#], (health + granted.len()) as u64);
    // The delta from nothing, the one from the version before, and the one from the other file.
    let encoded = nonzero(&series, "driblet_encode_duration_seconds_count");
    assert_eq!(encoded, [(r#"codec="fast",effort="interactive""#, 3)].into_iter().collect());
    assert_eq!(series["driblet_encode_queue_jobs"], 0.0);
    assert_eq!(series[published], 4.0);
}

#[test]
fn what_clients_do_is_counted() {
    let (first, second) = (short("first\n"), short("second\n"));
    let contents: &[(&str, &[u8])] = &[("root/app.js", &first), ("root/lib/a.txt", b"text"), ("copy.js", &second)];
    let measured = Measured::start(contents, &[]);
    let (url, copy, folder) = (&measured.serving.url, path(&measured.folder, "copy.js"), path(&measured.folder, "dir"));
    let pull = |url: &str, to: &str| {
        let pulled = driblet(&["pull", url, to]);
        assert_eq!(code(&pulled), 0, "{}", text(&pulled.stderr));
    };
    // What the client gets first: the server has never seen the bytes that are there.
    pull(&format!("{url}app.js"), &copy);
    assert_eq!(fs::read(&copy).unwrap(), first);
    pull(url, &folder);
    measured.write("app.js", &second);
    pull(url, &folder);
    // A folder with bytes of its own: the client looks whether there is something new, then says what it holds.
    fs::write(Path::new(&folder).join("app.js"), &first).unwrap();
    pull(url, &folder);
    assert_eq!(fs::read(Path::new(&folder).join("app.js")).unwrap(), second);

    let series = measured.after(6);
    let requests = [
        (r#"kind="delta",status="2xx""#, 3),
        (r#"kind="delta",status="4xx""#, 1),
        (r#"kind="signature",status="2xx""#, 1),
        (r#"kind="have",status="2xx""#, 1),
    ];
    assert_eq!(nonzero(&series, "driblet_requests_total"), requests.into_iter().collect());
    let syncs = ["have", "history", "none", "same", "signature"].map(|basis| format!("basis=\"{basis}\""));
    assert_eq!(nonzero(&series, "driblet_syncs_total"), syncs.iter().map(|basis| (basis.as_str(), 1)).collect());
    assert_eq!(series[r#"driblet_publishes_total{kind="directory"}"#], 2.0);
    let saved = nonzero(&series, "driblet_sync_saved_bytes_total");
    let all = (second.len() + b"text".len()) as u64;
    for basis in &syncs {
        let (least, most) = if basis.contains("none") { (all / 2, all) } else { (all * 9 / 10, all) };
        assert!((least..most).contains(&saved[basis.as_str()]), "{basis}: {saved:?} of {all}");
    }
    // The first pull: an answer that the history does not have the version, and the delta of the file.
    let sent = nonzero(&series, "driblet_sent_bytes_total");
    let sent = sent.values().sum::<u64>();
    let (_, unknown) = measured.ask(&format!("app.js.driblet/{}", "0".repeat(64)), &[]);
    let lens = 3 * all + (2 * first.len() + b"text".len()) as u64;
    assert_eq!(saved.values().sum::<u64>(), lens + unknown.len() as u64 - sent);
}

#[test]
fn later_parts_count_when_they_are_sent() {
    // More than one part has room for, and no bytes that compress.
    let long: Vec<Vec<u8>> = (0..3).map(|seed| support::random_bytes(seed, 6 << 20)).collect();
    let contents: Vec<(String, &[u8])> =
        long.iter().enumerate().map(|(number, bytes)| (format!("root/{number}.bin"), bytes.as_slice())).collect();
    let contents: Vec<(&str, &[u8])> = contents.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let measured = Measured::start(&contents, &[]);
    let folder = path(&measured.folder, "dir");
    assert_eq!(code(&driblet(&["pull", &measured.serving.url, &folder])), 0);
    for (number, bytes) in long.iter().enumerate() {
        assert!(&fs::read(Path::new(&folder).join(format!("{number}.bin"))).unwrap() == bytes);
    }
    let mut series = measured.series();
    eventually_on_thread(|| {
        series = measured.series();
        2.0 <= sum(&series, "driblet_requests_total")
    });
    assert_eq!(nonzero(&series, "driblet_syncs_total"), [(r#"basis="none""#, 1)].into_iter().collect());
    assert!(1 <= nonzero(&series, "driblet_requests_total")[r#"kind="part",status="2xx""#], "{series:?}");
    // Random bytes save nothing, wherever they are counted.
    assert_eq!(sum(&series, "driblet_sync_saved_bytes_total"), 0.0);
}

#[test]
fn state_is_read_when_it_is_asked_for() {
    let big = support::lines("first\n");
    let measured = Measured::start(&[("root/app.js", &big), ("root/b.txt", b"text"), ("root/c.txt", b"text")], &[]);
    eventually_on_thread(|| measured.series()[r#"driblet_publishes_total{kind="file"}"#] == 3.0);
    let (root, history) = (path(&measured.folder, "root"), path(&measured.folder, "history"));
    assert_eq!(code(&driblet(&["publish", &root, "--history", &history])), 0);
    let listed = driblet(&["history", "list", &root, "--history", &history, "--json"]);
    let mut stored = BTreeMap::new();
    for line in text(&listed.stdout).lines() {
        let path: serde_json::Value = serde_json::from_str(line).unwrap();
        for version in path["versions"].as_array().unwrap() {
            stored.insert(version["version"].as_str().unwrap().to_owned(), version["len"].as_u64().unwrap());
        }
    }
    // Two files have the same bytes, and there is a manifest.
    assert_eq!(stored.len(), 3);
    let series = measured.series();
    assert_eq!(series["driblet_history_versions"], 3.0);
    assert_eq!(series["driblet_history_bytes"], stored.values().sum::<u64>() as f64);

    let connections: Vec<_> = (0..3).map(|_| measured.serving.connect()).collect();
    eventually_on_thread(|| measured.series()["driblet_connections"] == 3.0);
    drop(connections);
    eventually_on_thread(|| measured.series()["driblet_connections"] == 0.0);

    // What is made later for others.
    measured.ask("app.js.driblet/none", &[]);
    measured.ask("app.js", &["--header", "accept-encoding: br"]);
    measured.ask("app.js", &["--header", "accept-encoding: zstd"]);
    let encoded = ["br", "fast", "zstd"].into_iter().flat_map(|codec| {
        ["background", "interactive"].map(|effort| (format!("codec=\"{codec}\",effort=\"{effort}\""), 1))
    });
    let encoded: BTreeMap<String, u64> = encoded.collect();
    eventually_on_thread(|| {
        let series = measured.series();
        let counted = nonzero(&series, "driblet_encode_duration_seconds_count");
        let counted: BTreeMap<String, u64> =
            counted.into_iter().map(|(labels, count)| (labels.to_owned(), count)).collect();
        counted == encoded && series["driblet_encode_queue_jobs"] == 0.0
    });
}

#[test]
fn no_request_makes_a_series() {
    let measured = Measured::start(&[("root/a.txt", b"text")], &[]);
    let names = |series: Series| series.into_keys().collect::<BTreeSet<_>>();
    let before = names(measured.series());
    let bad: [(&str, &[&str]); 10] = [
        ("a.txt", &["--request", "BREW"]),
        ("a.txt", &["--request", "DELETE"]),
        ("%ff", &[]),
        ("../../etc/passwd", &[]),
        ("a.txt.driblet/zzz", &[]),
        ("a.txt.driblet/part/zzz", &[]),
        (".driblet/part/zzz", &[]),
        (".driblet/evil\"label", &[]),
        ("a.txt", &["--header", "host: evil.example"]),
        ("a.txt.driblet/signature", &["--data", "no signature"]),
    ];
    for (path, args) in bad {
        let (status, _) = measured.ask(path, args);
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    let series = measured.after(10);
    assert_eq!(nonzero(&series, "driblet_requests_total").values().sum::<u64>(), 10);
    assert_eq!(names(series), before);
}

#[test]
fn metrics_have_an_address_of_their_own() {
    let measured = Measured::start(&[("root/a.txt", b"text")], &["--spa"]);
    assert_eq!(measured.ask("metrics", &[]).0, 404);
    let own = |path: &str, args: &[&str]| ask(&measured.url.replace("/metrics", path), args);
    assert_eq!(own("/health", &[]), (200, b"ok\n".to_vec()));
    assert_eq!(own("/a.txt", &[]).0, 404);
    assert_eq!(own("/metrics", &["--data", "x"]).0, 405);
    let head = Command::new("curl").args(["--silent", "--head", &measured.url]).output_within();
    let head = text(&head.stdout);
    assert!(head.lines().any(|line| line == "content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(head.lines().any(|line| line == "cache-control: no-store"), "{head}");
    // The address is taken.
    let taken = measured.url.trim_start_matches("http://").trim_end_matches("/metrics");
    let (root, history) = (path(&measured.folder, "root"), path(&measured.folder, "other"));
    let second = driblet(&["serve", &root, "--history", &history, "--listen", "127.0.0.1:0", "--metrics", taken]);
    refused(&second, &["cannot listen on", taken, "for metrics"]);
    measured.serving.signal("TERM");
    let (status, said) = measured.serving.end();
    assert!(status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_access_log_has_no_line_for_metrics() {
    let folder = files(&[("root/a.txt", b"text")]);
    let (log, root, history) = (path(&folder, "access.log"), path(&folder, "root"), path(&folder, "history"));
    let into_log = ["sh", "-c", "exec \"$@\" >\"$0\"", &log];
    let more = ["--access-log", "json", "--metrics", "127.0.0.1:0"];
    let mut serving = Serving::within(&into_log, Path::new(&root), Path::new(&history), &more);
    let line = serving.line();
    let url = line.trim_end().trim_start_matches("metrics on ");
    assert_eq!(ask(url, &[]).0, 200);
    assert_eq!(ask(&format!("{}a.txt", serving.url), &[]).0, 200);
    serving.signal("TERM");
    assert!(serving.end().0.success());
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.lines().count() == 1 && log.contains("/a.txt"), "{log}");
}

#[test]
fn the_page_of_the_docs_lists_all_metrics() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/metrics.md");
    let docs = fs::read_to_string(docs).unwrap();
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `driblet_"));
    let listed: BTreeSet<String> = rows.map(|row| format!("driblet_{}", row.split('`').next().unwrap())).collect();
    let measured = Measured::start(&[("root/a.txt", b"text")], &[]);
    let page = measured.page();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let shown: BTreeSet<String> = types.map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(listed, shown);
}
