//! Clients that do harm over HTTP/1.1 and TLS, or say nothing at all, against the command itself.

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Attacked, MIB, all, eventually_on_thread, files, let_pass};

/// The statuses of all answers on a connection.
fn statuses(answers: &str) -> Vec<u16> {
    let starts = answers.match_indices("HTTP/1.1 ").map(|(at, start)| at + start.len());
    starts.map(|at| answers[at..at + 3].parse().unwrap()).collect()
}

/// Raises this process's limit of open files as far as the system allows. Gives the limit.
fn open_files(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit { current: Some(most.max(limit.current.unwrap_or(most))), maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(wanted)
}

/// Sends these bytes to each connection in turn, a byte of it at a time, until the server has closed them all.
fn trickle(mut clients: Vec<TcpStream>, bytes: &[u8], served: impl Fn()) {
    let mut bytes = bytes.iter().cycle();
    while !clients.is_empty() {
        let byte = [*bytes.next().unwrap()];
        clients.retain_mut(|client| client.write_all(&byte).is_ok());
        served();
        let_pass(Duration::from_millis(100));
    }
}

#[test]
fn heads_that_come_byte_by_byte() {
    let attacked = Attacked::start(&[]);
    let clients = attacked.connections(300);
    clients.iter().for_each(|mut client| client.write_all(b"GET /app.js HTTP/1.1\r\n").unwrap());
    trickle(clients, b"x: y\r\n", || attacked.serves());
    assert!(attacked.growth() < 32 * MIB, "{} KiB", attacked.growth());
    is_told_once(&attacked.end());
}

#[test]
fn handshakes_that_never_go_on() {
    let attacked = Attacked::with_tls();
    let mut silent = attacked.connections(100);
    // A record that is announced, and does not come.
    silent.iter().for_each(|mut client| client.write_all(&[22, 3, 1, 0x3f, 0xff]).unwrap());
    let slow = attacked.connections(100);
    slow.iter().for_each(|mut client| client.write_all(&[22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xf0]).unwrap());
    let broken = attacked.connections(100);
    broken.iter().for_each(|mut client| client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap());
    trickle(slow, &[0], || attacked.serves());
    // They end when the server closes them.
    silent.iter_mut().for_each(|client| drop(all(client)));
    assert!(attacked.growth() < 32 * MIB, "{} KiB", attacked.growth());
    is_told_once(&attacked.end());
}

/// The log says once what was done.
fn is_told_once(log: &str) {
    assert_eq!(log.matches("clients were cut off").count(), 1, "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn heads_that_are_too_long() {
    let attacked = Attacked::start(&[]);
    let start = "GET /app.js HTTP/1.1\r\nhost: localhost\r\n";
    for head in [
        format!("{start}x: {}\r\n\r\n", "a".repeat(10_000_000)),
        format!("{start}{}\r\n\r\n", "a".repeat(100_000)),
        format!("{start}{}\r\n", "x: y\r\n".repeat(10_000)),
        format!("{start}{}\r\n", "x: y\r\n".repeat(101)),
        format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(100_000)),
        format!("{}\r\n\r\n", "A".repeat(100_000)),
        "\r\n".repeat(1_000_000),
    ] {
        let answer = attacked.ask(&head);
        // The connection may be reset before the answer is read.
        assert!(matches!(statuses(&answer)[..], [] | [400 | 414 | 431]), "{}: {answer}", &head[..60]);
    }
    // Heads that do not end, each as long as the server takes it.
    let head = format!("{start}x: {}", "a".repeat(1 << 20));
    let clients = attacked.connections(300);
    for mut client in &clients {
        client.set_nonblocking(true).unwrap();
        let _ = client.write(head.as_bytes());
    }
    attacked.serves();
    // 64 KiB of each head, in a buffer of up to twice that while it grows.
    assert!(attacked.growth() < 300 * 128, "{} KiB", attacked.growth());
    attacked.end();
}

#[test]
fn ten_thousand_connections_that_say_nothing() {
    let wanted = 10_000;
    let count = (open_files(wanted + 500).saturating_sub(500) as usize).min(wanted as usize);
    if count < wanted as usize {
        eprintln!("the limit of open files allows {count} connections only");
    }
    let attacked = Attacked::start(&[]);
    let mut clients = Vec::new();
    thread::scope(|scope| {
        let attack = scope.spawn(|| clients.extend(attacked.connections(count)));
        while !attack.is_finished() {
            attacked.serves();
            assert!(attacked.sockets() < 1_024 + 50, "{}", attacked.sockets());
        }
    });
    attacked.serves();
    assert!(attacked.growth() < 1_024 * 16, "{} KiB", attacked.growth());
    drop(clients);
    eventually_on_thread(|| attacked.sockets() < 50);
    let log = attacked.end();
    assert_eq!(log.matches("the limit of connections is reached").count(), 1, "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn paths_that_lead_out_of_the_folder() {
    let folder = files(&[("root/app.js", b"let app"), ("root/a/b.txt", b"inside"), ("secret.txt", b"a secret")]);
    let attacked = Attacked::in_folder(folder, &[]);
    let asked = |target: &[u8]| {
        let head = [b"GET ", target, b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"].concat();
        let answer = attacked.ask(head);
        assert!(!answer.contains("a secret") && !answer.contains("root:"), "{answer}");
        let head = answer.split("\r\n\r\n").next().unwrap();
        assert!(!head.contains("set-cookie"), "{answer}");
        (statuses(&answer), answer)
    };
    let up: [&[u8]; 14] = [
        b"..",
        b"%2e%2e",
        b".%2e",
        b"%2E.",
        b"%252e%252e",
        b"%c0%ae%c0%ae",
        b"%e0%80%ae%e0%80%ae",
        b"%f0%80%80%ae%f0%80%80%ae",
        b"%u002e%u002e",
        b"\xc0\xae\xc0\xae",
        b"..;",
        b"..%00",
        b"...",
        b". .",
    ];
    let separators: [&[u8]; 9] = [b"/", b"%2f", b"%2F", b"%252f", b"\\", b"%5c", b"%255c", b"%c0%af", b"//"];
    for up in up {
        for separator in separators {
            for start in [&b"/"[..], b"/a/", b"/a/b.txt/", b"/./"] {
                let target = [start, &[up, separator].concat().repeat(3), b"secret.txt"].concat();
                let (answered, answer) = asked(&target);
                assert!(matches!(answered[..], [400 | 404]), "{}: {answer}", String::from_utf8_lossy(&target));
            }
        }
    }
    for target in [
        &b"/etc/passwd"[..],
        b"//etc/passwd",
        b"/%2fetc%2fpasswd",
        b"/file:///etc/passwd",
        b"/proc/self/environ",
        b"/app.js%00.txt",
        b"/app.js/",
        b"/app.js;x=y",
        b"/app.js%3bx",
        b"/app.js%0d%0aset-cookie:%20a=b",
        b"/%",
        b"/%2",
        b"/%zz",
        b"/%ff",
        b"/app.js\x00",
        b"/app.js\x7f",
        b"app.js",
        b"*",
        b"..",
        b"?",
        b"localhost:80",
        b"/app.js.driblet/../../secret.txt",
        b"/app.js.driblet/%2e%2e",
        b"/.driblet/../../secret.txt",
        b"/.driblet/client.js/../../secret.txt",
        b"/\xff\xfe",
    ] {
        let (answered, answer) = asked(target);
        assert!(matches!(answered[..], [400 | 404 | 421]), "{}: {answer}", String::from_utf8_lossy(target));
    }
    // Forms of targets that are allowed (RFC 9112, section 3.2).
    assert_eq!(asked(b"http://localhost/app.js").0, [200]);
    assert_eq!(asked(b"http://evil.example/app.js").0, [421]);
    assert_eq!(asked(b"http://evil.example/../secret.txt").0, [421]);
    assert_eq!(asked(b"/%61pp.js").0, [200]);
    assert_eq!(asked(b"/app.js?../../secret.txt").0, [200]);
    for (line, wanted) in [
        ("CONNECT localhost:80 HTTP/1.1\r\nhost: localhost", 404),
        ("OPTIONS * HTTP/1.1\r\nhost: localhost", 204),
        ("TRACE /app.js HTTP/1.1\r\nhost: localhost", 405),
        ("GET /app.js HTTP/1.1\r\nhost: localhost\r\nhost: evil.example", 400),
        ("GET /app.js HTTP/1.1\r\nhost: evil.example\r\nhost: localhost", 400),
        ("GET /app.js HTTP/1.1", 400),
        ("GET http://localhost/app.js HTTP/1.1\r\nhost: evil.example", 200),
    ] {
        let answer = attacked.ask(format!("{line}\r\nconnection: close\r\n\r\n"));
        assert_eq!(statuses(&answer), [wanted], "{line:?}: {answer}");
    }
    attacked.end();
}

#[test]
fn requests_that_hide_another_request() {
    let attacked = Attacked::start(&[]);
    let hidden = "GET /hidden HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let len = hidden.len();
    let start = "POST /app.js HTTP/1.1\r\nhost: localhost\r\n";
    for shape in [
        // Two lengths.
        format!("{start}content-length: {len}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding: chunked\r\ncontent-length: {len}\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}content-length: 0\r\ncontent-length: {len}\r\n\r\n{hidden}"),
        format!("{start}content-length: {len}\r\ncontent-length: 0\r\n\r\n{hidden}"),
        format!("{start}content-length: 0, {len}\r\n\r\n{hidden}"),
        // Lengths that some read as others.
        format!("{start}content-length: +0\r\n\r\n{hidden}"),
        format!("{start}content-length: -1\r\n\r\n{hidden}"),
        format!("{start}content-length: 0x0\r\n\r\n{hidden}"),
        format!("{start}content-length: 99999999999999999999\r\n\r\n{hidden}"),
        format!("{start}content-length : 0\r\n\r\n{hidden}"),
        format!("{start}content-length: \r\n\r\n{hidden}"),
        // Codings that some do not know.
        format!("{start}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("POST /app.js HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        // Lines.
        format!("{start}x: a\r\n content-length: {len}\r\n\r\n{hidden}"),
        format!("{start}x: a\rcontent-length: {len}\r\n\r\n{hidden}"),
        format!("{start}x: a\0\r\n\r\n{hidden}"),
        format!("{start} content-length: {len}\r\n\r\n{hidden}"),
        format!("POST /app.js HTTP/1.1 \r\nhost: localhost\r\n\r\n{hidden}"),
        "POST /app.js\r\n\r\n".to_owned(),
        "POST /app.js HTTP/9.9\r\nhost: localhost\r\n\r\n".to_owned(),
        // Chunks.
        format!("{start}transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{hidden}"),
        format!("{start}transfer-encoding: chunked\r\n\r\n-1\r\n{hidden}"),
        format!("{start}transfer-encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding: chunked\r\n\r\n0;{}\r\n\r\n{hidden}", "x".repeat(100_000)),
    ] {
        let mut client = attacked.serving.connect();
        // The server may answer and close before it has read everything.
        let _ = client.write_all(shape.as_bytes());
        let _ = client.shutdown(std::net::Shutdown::Write);
        let answer = all(&mut client);
        assert!(matches!(statuses(&answer)[..], [400 | 405]), "{shape:?}: {answer}");
    }
    attacked.end();
}

#[test]
fn bodies_of_requests_that_have_none() {
    let attacked = Attacked::start(&[]);
    let start = "GET /app.js HTTP/1.1\r\nhost: localhost\r\n";
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    for head in ["content-length: 10000000000", "transfer-encoding: chunked"] {
        let mut clients = attacked.connections(20);
        for client in &mut clients {
            client.write_all(format!("{start}{head}\r\n\r\n").as_bytes()).unwrap();
            // Until the server closes the connection, at the latest after 256 MiB.
            let sent = (0..4096).take_while(|_| client.write_all(chunk.as_bytes()).is_ok()).count();
            assert!(sent < 4096, "the server read everything");
        }
        attacked.serves();
    }
    assert!(attacked.growth() < 32 * MIB, "{} KiB", attacked.growth());
    attacked.end();
}
