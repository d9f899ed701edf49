//! `driblet serve` under a service manager, in a container, and with many clients.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use support::{Limited, Serving, code, driblet, files, path, refused, send, text};

const BIG: usize = 64 << 20;

/// A server with a file that is longer than any socket's buffer. `around` is a command that runs driblet.
fn start(around: &[&str], more: &[&str]) -> Serving {
    let folder = files(&[("root/a.txt", b"a"), ("root/big.bin", &vec![7; BIG])]);
    Serving::within(around, &folder.path().join("root"), &folder.path().join("history"), more).keeping(folder)
}

/// A connection whose answer has begun.
fn reader(serving: &Serving) -> TcpStream {
    let mut stream = serving.ask("/big.bin");
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    stream
}

fn is_answered(serving: &Serving) -> bool {
    let mut stream = serving.ask("/a.txt");
    let mut start = [0; 12];
    stream.read_exact(&mut start).is_ok() && &start == b"HTTP/1.1 200"
}

/// Bytes until the server closes.
fn bytes_until_close(mut stream: TcpStream) -> usize {
    let (mut piece, mut len) = (vec![0; 1 << 20], 0);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        len += read;
    }
    len
}

#[test]
fn a_signal_lets_a_slow_reader_finish() {
    for signal in ["TERM", "INT"] {
        let serving = start(&[], &["--grace", "3600"]);
        let (reader, idle) = (reader(&serving), serving.connect());
        serving.signal(signal);
        serving.refuses();
        assert_eq!(bytes_until_close(idle), 0);
        assert!(BIG <= bytes_until_close(reader), "{signal}");
        let (status, said) = serving.end();
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{signal}");
    }
}

#[test]
fn a_reader_that_does_not_read_is_cut_in_the_end() {
    let serving = start(&[], &["--grace", "0"]);
    let reader = reader(&serving);
    serving.signal("TERM");
    let (status, said) = serving.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("1 connections did not end"), "{said}");
    assert!(bytes_until_close(reader) < BIG);
}

#[test]
fn a_second_signal_ends_at_once() {
    let serving = start(&[], &["--grace", "3600"]);
    let _reader = reader(&serving);
    serving.signal("TERM");
    serving.refuses();
    serving.signal("INT");
    let (status, said) = serving.end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("second signal"), "{said}");
}

#[test]
fn the_first_process_of_a_container_stops_too() {
    let container = ["unshare", "--pid", "--fork", "--kill-child"];
    if !Command::new(container[0]).args(&container[1..]).arg("true").output_within().status.success() {
        eprintln!("skipped: a PID namespace is denied here");
        return;
    }
    for signal in ["TERM", "INT"] {
        let serving = start(&container, &["--grace", "3600"]);
        let reader = reader(&serving);
        send(signal, child_of(serving.process()));
        serving.refuses();
        assert!(BIG <= bytes_until_close(reader), "{signal}");
        assert_eq!(serving.end().0.code(), Some(0), "{signal}");
    }
}

/// The only child of a process.
fn child_of(parent: u32) -> u32 {
    let is_child = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The state and the parent follow the name, which may contain any character.
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(parent.to_string().as_str())
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.into_iter().find(is_child).unwrap()
}

/// Connections that stay open after a response, and connections without a request.
fn crowd(serving: &Serving, len: usize) -> Vec<TcpStream> {
    let asked = (0..len).map(|_| {
        let mut stream = serving.ask("/a.txt");
        stream.read_exact(&mut [0; 12]).unwrap();
        stream
    });
    let mut crowd: Vec<TcpStream> = asked.collect();
    crowd.extend((0..len / 4).map(|_| serving.connect()));
    crowd
}

#[test]
fn idle_connections_give_way_under_a_limit_of_open_files() {
    for (limit, more) in [("ulimit -n 100", &[][..]), ("ulimit -n 60", &["--max-connections", "1000"])] {
        let shell = format!("{limit}; exec \"$@\"");
        let serving = start(&["sh", "-c", &shell, "sh"], more);
        let crowd = crowd(&serving, 80);
        for _ in 0..20 {
            assert!(is_answered(&serving), "{limit}");
        }
        serving.signal("KILL");
        let (_, said) = serving.end();
        assert_eq!(said.lines().filter(|line| line.contains("idle ones")).count(), 1, "{limit}: {said}");
        drop(crowd);
    }
}

#[test]
fn as_many_files_are_opened_as_the_system_allows() {
    let serving = start(&["sh", "-c", "ulimit -S -n 100; exec \"$@\"", "sh"], &[]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", serving.process())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let columns: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(columns[3], columns[4], "{line}");
    assert_ne!(columns[3], "100");
}

#[test]
fn a_site_has_its_headers_and_a_page_for_every_path() {
    let folder = files(&[("root/index.html", b"<title>app</title>")]);
    let header = ["--spa", "--header", "*.html X-Frame-Options: DENY", "--header", "* X-Served-By: driblet: us"];
    let serving = Serving::start(&folder.path().join("root"), &folder.path().join("history"), &header);
    let mut stream = serving.connect();
    let ask = "GET /some/route HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\nconnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("<title>app</title>"), "{answer}");
    for line in ["x-frame-options: DENY", "x-served-by: driblet: us"] {
        assert!(answer.lines().any(|found| found == line), "{line} in {answer}");
    }
    let root = path(&folder, "root");
    let tried = |header: &str| driblet(&["serve", &root, "--listen", "127.0.0.1:0", "--header", header]);
    for header in ["X-Frame-Options: DENY", "*.html", ""] {
        let refused = tried(header);
        assert_eq!(code(&refused), 2, "{header}");
        assert!(text(&refused.stderr).contains("give a pattern, a space and a header"), "{}", text(&refused.stderr));
    }
    refused(&tried("*.html ETag: a"), &["a header cannot be set: ETag describes what is sent"]);
}

#[test]
fn the_access_log_has_a_line_for_each_answer() {
    for form in ["json", "text"] {
        let folder = files(&[("root/a.txt", b"text"), ("root/big.bin", &vec![7; BIG])]);
        let log = path(&folder, "access.log");
        let into_log = ["sh", "-c", "exec \"$@\" >\"$0\"", &log];
        let (root, history) = (folder.path().join("root"), folder.path().join("history"));
        let serving = Serving::within(&into_log, &root, &history, &["--access-log", form]);
        let mut answer = Vec::new();
        let ask = "GET /a.txt?q=1%0A HTTP/1.1\r\nhost: localhost\r\nuser-agent: a \"b\"\r\nconnection: close\r\n\r\n";
        for head in [ask, &ask.replacen("GET", "HEAD", 1), &ask.replacen("a.txt", "none", 1)] {
            let mut stream = serving.connect();
            stream.write_all(head.as_bytes()).unwrap();
            stream.read_to_end(&mut answer).unwrap();
        }
        // A client that leaves in the middle.
        drop(reader(&serving));
        support::eventually_on_thread(|| fs::read_to_string(&log).unwrap().lines().count() == 4);
        serving.signal("TERM");
        assert!(serving.end().0.success());
        let said = fs::read_to_string(&log).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        if form == "text" {
            assert!(lines[0].contains("client=127.0.0.1 method=\"GET\""), "{}", lines[0]);
            continue;
        }
        let lines: Vec<serde_json::Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let fields = |index: usize| {
            let line = &lines[index];
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (text("method"), text("path"), line["status"].as_u64().unwrap(), line["bytes"].as_u64().unwrap())
        };
        let path = |name: &str| format!("/{name}?q=1%0A");
        assert_eq!(fields(0), ("GET".into(), path("a.txt"), 200, 4));
        assert_eq!(fields(1), ("HEAD".into(), path("a.txt"), 200, 0));
        assert_eq!((fields(2).1, fields(2).2), (path("none"), 404));
        assert!(fields(3).2 == 200 && fields(3).3 < BIG as u64);
        assert_eq!((&lines[0]["client"], &lines[0]["agent"]), (&"127.0.0.1".into(), &"a \"b\"".into()));
        assert_eq!(lines[0]["protocol"], "HTTP/1.1");
        assert!(lines[0]["timestamp"].is_string() && lines[0]["ms"].is_u64());
    }
}
