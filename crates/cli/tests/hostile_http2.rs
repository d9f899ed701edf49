//! Clients that misuse HTTP/2, against the command itself.

mod support;

use std::io::Write;
use std::thread;

use support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, INITIAL_WINDOW_SIZE, PING, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, field, frame, post, request,
};
use support::{Attacked, Http2, MIB};

/// Connections of each attack.
const ATTACKERS: usize = 60;

fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &request(path))
}

fn begin(attacked: &Attacked) -> Http2 {
    Http2::begin(attacked.serving.connect(), &[])
}

/// Has every attacker send this; each must be cut off with this reason, unless the connection was reset before that
/// arrived. Others are served meanwhile.
fn are_cut_off(attacked: &Attacked, what: &(dyn Fn(&mut Http2) + Sync), reasons: &[u32]) {
    thread::scope(|scope| {
        let attacks: Vec<_> = (0..ATTACKERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = begin(attacked);
                    what(&mut client);
                    let reason = client.closed();
                    assert!(reason.is_none_or(|reason| reasons.contains(&reason)), "{reason:?}");
                })
            })
            .collect();
        while !attacks.iter().all(|attack| attack.is_finished()) {
            attacked.serves();
        }
    });
}

/// The log says once what was done.
fn is_told_once(log: &str) {
    assert_eq!(log.matches("clients were cut off").count(), 1, "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

/// Sends so many bursts of requests, each request with a frame behind it, until the server closes the connection.
fn ask_and_follow(client: &mut Http2, bursts: u32, requests: u32, frame: impl Fn(u32) -> Vec<u8>) {
    for burst in 0..bursts {
        let pairs = (0..requests).flat_map(|number| {
            let stream = 2 * (requests * burst + number) + 1;
            [get(stream, "/big.bin"), frame(stream)].concat()
        });
        if client.stream.write_all(&pairs.collect::<Vec<u8>>()).is_err() {
            return;
        }
    }
    panic!("{} requests were accepted", bursts * requests);
}

/// CVE-2023-44487: requests that are begun and reset.
#[test]
fn requests_that_are_reset_again_and_again() {
    let attacked = Attacked::start(&[]);
    let attack = |client: &mut Http2| {
        ask_and_follow(client, 1_000, 100, |stream| frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
    };
    are_cut_off(&attacked, &attack, &[ENHANCE_YOUR_CALM]);
    assert!(attacked.growth() < 96 * MIB, "{} KiB", attacked.growth());
    is_told_once(&attacked.end());
}

/// CVE-2025-8671: the client makes the server reset its requests, by more window than there can be.
#[test]
fn requests_that_the_server_must_reset_again_and_again() {
    let attacked = Attacked::start(&[]);
    let attack = |client: &mut Http2| {
        let overflow = |stream| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffffu32.to_be_bytes());
        ask_and_follow(client, 20_000, 50, overflow);
    };
    are_cut_off(&attacked, &attack, &[ENHANCE_YOUR_CALM]);
    assert!(attacked.growth() < 96 * MIB, "{} KiB", attacked.growth());
    is_told_once(&attacked.end());
}

/// CVE-2024-27316: a head that never ends.
#[test]
fn heads_that_go_on_and_on() {
    let attacked = Attacked::start(&[]);
    let more = frame(CONTINUATION, 0, 1, &field("x", &[b'a'; 16_000], false));
    let empty = frame(CONTINUATION, 0, 1, &[]).repeat(1_000);
    for parts in [more, empty] {
        let attack = |client: &mut Http2| {
            client.stream.write_all(&frame(HEADERS, END_STREAM, 1, &request("/app.js"))).unwrap();
            assert!(client.flood(&parts).is_err(), "a head without an end was accepted");
        };
        are_cut_off(&attacked, &attack, &[ENHANCE_YOUR_CALM, 1]);
    }
    // 64 KiB of each head, twice while the list grows, and 16 KiB of input.
    assert!(attacked.growth() < ATTACKERS as u64 * 256, "{} KiB", attacked.growth());
    is_told_once(&attacked.end());
}

/// Fields in the table of the connection are repeated: each costs the client one byte.
#[test]
fn short_heads_that_stand_for_long_ones() {
    let attacked = Attacked::start(&[]);
    let mut clients: Vec<Http2> = (0..ATTACKERS).map(|_| begin(&attacked)).collect();
    // The newest entry of the table has the number 62: 4 kB. A frame has 16,000 of it: 64 MB.
    let long = field("x", &[b'a'; 4_000], true);
    for client in &mut clients {
        let head = [request("/app.js"), long.clone()].concat();
        client.stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head)).unwrap();
        for number in 1..20 {
            let head = [request("/app.js"), vec![0x80 | 62; 16_000]].concat();
            let _ = client.stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, &head));
        }
    }
    attacked.serves();
    for client in &mut clients {
        // The first one is answered, the others are refused: 431, or the connection is closed.
        let answered = client.settled().unwrap_or_default();
        let served = answered.iter().filter(|frame| frame.kind == DATA && frame.payload == b"let app").count();
        assert!(served <= 1, "{served}");
    }
    assert!(attacked.growth() < ATTACKERS as u64 * 512, "{} KiB", attacked.growth());
    attacked.end();
}

/// Frames that ask for an answer, or say nothing, without end. None of the answers is read.
#[test]
fn floods_of_frames_without_a_request() {
    let attacked = Attacked::start(&[]);
    let frames = [
        ("pings", frame(PING, 0, 0, &[0; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
        ("resets of streams that never were", frame(RST_STREAM, 0, 1, &8u32.to_be_bytes())),
        ("empty data", frame(DATA, 0, 1, &[])),
        ("windows of one byte", frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes())),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("frames of an unknown kind", frame(0xfa, 0, 0, &[0; 8])),
    ];
    thread::scope(|scope| {
        let attacked = &attacked;
        let floods = frames.map(|(name, one)| {
            scope.spawn(move || {
                let mut client = begin(attacked);
                if name == "empty data" {
                    let head = post("/app.js.driblet/signature");
                    client.stream.write_all(&frame(HEADERS, END_HEADERS, 1, &head)).unwrap();
                }
                (name, client.flood(&one.repeat(1_000)))
            })
        });
        while !floods.iter().all(thread::ScopedJoinHandle::is_finished) {
            attacked.serves();
        }
        for flood in floods {
            let (name, sent) = flood.join().unwrap();
            assert!(sent.is_err(), "{name}: the connection is closed, or the server takes nothing more");
        }
    });
    // What the sockets and one read of each connection hold.
    assert!(attacked.growth() < 32 * MIB, "{} KiB", attacked.growth());
    attacked.end();
}

/// Every stream of every connection asks for 10 MB, and the client allows nothing, or one byte, or everything without
/// reading it.
#[test]
fn answers_that_nobody_takes() {
    for (window, of_connection) in [(0, None), (1, None), (0x7fff_ffff, Some(0x7fff_0000u32))] {
        let attacked = Attacked::start(&[]);
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = Http2::begin(attacked.serving.connect(), &[(INITIAL_WINDOW_SIZE, window)]);
            if let Some(window) = of_connection {
                client.stream.write_all(&frame(WINDOW_UPDATE, 0, 0, &window.to_be_bytes())).unwrap();
            }
            for number in 0..100 {
                client.stream.write_all(&get(2 * number + 1, "/big.bin")).unwrap();
            }
            clients.push(client);
        }
        for _ in 0..100 {
            attacked.serves();
        }
        // Each answer holds a piece in hyper and one in h2, of 16 KiB at first and 32 KiB then, and all answers on a
        // connection hold 1 MiB beyond that. The sockets hold the rest. The server itself needs some too.
        let most = 20 * (100 * 48 + MIB) + 32 * MIB;
        assert!(attacked.growth() < most, "a window of {window}: {} KiB", attacked.growth());
        drop(clients);
        attacked.end();
    }
}

/// Bodies of requests that have none. The requests wait, and nobody reads the bodies.
#[test]
fn bodies_that_nobody_reads() {
    let attacked = Attacked::start(&[]);
    let head = attacked.ask("GET /app.js.driblet/head HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let head: serde_json::Value = serde_json::from_str(head.split_once("\r\n\r\n").unwrap().1).unwrap();
    let path = format!("/app.js.driblet/head?since={}&wait=60", head["counter"]);
    // So many that what they cost stands out.
    let count = 400;
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = begin(&attacked);
        client.agree();
        client.stream.write_all(&frame(HEADERS, END_HEADERS, 1, &request(&path))).unwrap();
        // As much as the server allows.
        for _ in 0..16 {
            client.stream.write_all(&frame(DATA, 0, 1, &[0; 16_000])).unwrap();
        }
        assert!(client.settled().is_some());
        clients.push(client);
    }
    attacked.serves();
    // Less than half of what was sent: a connection itself, with its buffers, needs up to 100 KiB.
    assert!(attacked.growth() < count * 128, "{} KiB", attacked.growth());
    drop(clients);
    attacked.end();
}
