//! Passwords in URLs, busy servers, and error messages.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::Output;
use std::time::Duration;

use support::{LIMIT, Serving, Tap, code, driblet, http, let_pass, lines, pair, path, refused, text};
use tempfile::TempDir;

/// user:p@ss w0rd, in a URL and as it is sent.
const SECRET: &str = "user:p%40ss%20w0rd@";
const SENT: &str = "authorization: Basic dXNlcjpwQHNzIHcwcmQ=";

/// A server of `app.js`, some 60 kB that hardly compress.
fn serving(folder: &TempDir) -> Serving {
    let root = folder.path().join("root");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("app.js"), lines("x\n")).unwrap();
    Serving::start(&root, &folder.path().join("history"), &[])
}

fn keeps_secret(output: &Output) {
    for said in [text(&output.stdout), text(&output.stderr)] {
        for secret in ["p%40ss", "p@ss", "w0rd", "dXNlcjpwQHNz"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

fn asks(tap: &Tap) -> Vec<bool> {
    tap.heads().iter().map(|head| head.contains(SENT)).collect()
}

#[test]
fn a_password_is_sent_and_never_shown() {
    let folder = TempDir::new().unwrap();
    let (serving, dest) = (serving(&folder), path(&folder, "dest"));
    let tap = Tap::new(Some(&serving.url), |_, head| match head.contains(SENT) {
        true => None,
        false => Some(http("401 Unauthorized", &[], "")),
    });
    let url = format!("http://{SECRET}{}/app.js", tap.address);
    let output = driblet(&["pull", &url, &dest, "--stats", "json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    keeps_secret(&output);
    assert!(fs::read(&dest).unwrap() == lines("x\n"));
    // The signature to a server without the held version is sent with the password too.
    fs::write(&dest, lines("y\n")).unwrap();
    assert_eq!(code(&driblet(&["pull", &url, &dest])), 0);
    assert_eq!(asks(&tap), [true; 3]);
    let wrong = driblet(&["pull", &url.replace("w0rd", "w0rd1"), &dest]);
    refused(&wrong, &["401 Unauthorized", &format!("http://{}/app.js", tap.address)]);
    keeps_secret(&wrong);

    let by_websocket = Tap::new(Some(&serving.url), |_, head| match head.contains(SENT) {
        true => None,
        false => Some(http("401 Unauthorized", &[], "")),
    });
    let url = format!("ws://{SECRET}{}/app.js", by_websocket.address);
    let output = driblet(&["pull", &url, &path(&folder, "by WebSocket"), "--stats", "json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    keeps_secret(&output);
    let wrong = driblet(&["pull", &url.replace("w0rd", "w0rd1"), &dest]);
    refused(&wrong, &["401 Unauthorized"]);
    keeps_secret(&wrong);
}

#[test]
fn no_error_shows_a_password() {
    let folder = TempDir::new().unwrap();
    let dest = path(&folder, "dest");
    let html = Tap::new(None, |_, _| Some(http("200 OK", &["content-type: text/html"], "<p>")));
    let loops = Tap::new(None, |_, _| Some(http("302 Found", &["location: /again"], "")));
    let silent = Tap::new(None, |_, _| Some(Vec::new()));
    for (rest, scheme) in [
        ("127.0.0.1:1/x", "http"),
        ("127.0.0.1:1/x", "https"),
        (&format!("{}/x", silent.address), "https"),
        (&format!("{}/x", silent.address), "http"),
        (&format!("{}/x", html.address), "http"),
        (&format!("{}/x", loops.address), "http"),
        ("127.0.0.1/x", "ftp"),
        ("127.0.0.1/x", "ws"),
        ("127.0.0.1:99999/x", "http"),
        ("[bad/x", "http"),
    ] {
        let output = driblet(&["pull", &format!("{scheme}://{SECRET}{rest}"), &dest, "--timeout", "0.5"]);
        assert_ne!(code(&output), 0);
        assert_eq!(text(&output.stderr).lines().count(), 1, "{}", text(&output.stderr));
        keeps_secret(&output);
        let by_websocket = driblet(&["pull", &format!("ws://{SECRET}{rest}"), &dest, "--timeout", "0.5"]);
        assert_ne!(code(&by_websocket), 0);
        keeps_secret(&by_websocket);
    }
    let url = format!("http://{SECRET}127.0.0.1/x");
    for args in [
        &[&url[..]][..],
        &["pull", &dest, &dest, &url],
        &["pull", "user:p@ss/w0rd@host/x", &dest],
        &["pull", "//user:p@ss/w0rd@host/x", &dest],
        &["pull", &url, &dest, "--rabin", &url],
        &["serve", ".", "--listen", &url],
    ] {
        let output = driblet(args);
        assert_ne!(code(&output), 0, "{args:?}");
        keeps_secret(&output);
    }
}

#[test]
fn a_password_is_sent_to_no_other_host() {
    let folder = TempDir::new().unwrap();
    let (serving, dest) = (serving(&folder), path(&folder, "dest"));
    let other = Tap::new(Some(&serving.url), |_, _| None);
    let elsewhere = format!("location: http://{}/app.js.driblet/none", other.address);
    let tap = Tap::new(None, move |_, head| {
        Some(match head.contains("/moved") {
            true => http("302 Found", &[&elsewhere], ""),
            false => http("302 Found", &["location: /moved"], ""),
        })
    });
    let output = driblet(&["pull", &format!("http://{SECRET}{}/app.js", tap.address), &dest]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!((asks(&tap), asks(&other)), (vec![true, true], vec![false]));
    assert!(!other.heads()[0].to_lowercase().contains("authorization"));
}

#[test]
fn what_a_cut_leaves_is_private_and_holds_no_password() {
    let folder = TempDir::new().unwrap();
    let serving = serving(&folder);
    let host = serving.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    // The first of three responses is cut in its body.
    let tap = Tap::speaking(Some(&serving.url), move |number, head, client| {
        if number % 3 != 0 {
            return Ok(false);
        }
        let mut server = TcpStream::connect(&host)?;
        server.set_read_timeout(Some(LIMIT))?;
        server.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes())?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        client.write_all(&answer[..answer.len() - 500])?;
        Ok(true)
    });
    for name in ["dest", &"n".repeat(255)] {
        let (dest, into) = (path(&folder, &format!("into/{name}")), folder.path().join("into"));
        fs::create_dir(&into).unwrap();
        let url = format!("http://{SECRET}{}/app.js", tap.address);
        let cut = driblet(&["pull", &url, &dest]);
        refused(&cut, &["reading the delta from"]);
        keeps_secret(&cut);
        let left: Vec<_> = fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [partial] = &left[..] else { panic!("{left:?}") };
        assert_eq!(fs::metadata(partial).unwrap().mode() & 0o777, 0o600);
        let kept = String::from_utf8_lossy(&fs::read(partial).unwrap()).into_owned();
        assert!(kept.contains(&format!("http://{}/app.js", tap.address)) && !kept.contains("p%40ss"), "{kept:.200}");
        let resumed = driblet(&["pull", &url, &dest, "--stats", "json"]);
        let stats: serde_json::Value = serde_json::from_slice(&resumed.stdout).unwrap();
        assert_eq!(stats["received"], 500 + 37, "the rest, and that the head is the same: {stats}");
        assert_eq!(stats["requests"], 2, "{stats}");
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
        fs::remove_dir_all(&into).unwrap();
    }
}

#[test]
fn a_busy_server_is_asked_again() {
    let folder = TempDir::new().unwrap();
    let (serving, dest) = (serving(&folder), path(&folder, "dest"));
    let busy = |number, _: &str| match number {
        0 => Some(http("503 Service Unavailable", &["retry-after: 0"], "{\"code\":\"busy\",\"detail\":\"later\"}")),
        1 => Some(http("429 Too Many Requests", &["Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"], "<html>")),
        _ => None,
    };
    let tap = Tap::new(Some(&serving.url), busy);
    let output = driblet(&["pull", &format!("http://{}/app.js", tap.address), &dest, "--stats", "json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(fs::read(&dest).unwrap() == lines("x\n"));
    let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(stats["requests"], 3);
    let tap = Tap::new(Some(&serving.url), busy);
    let output = driblet(&["pull", &format!("ws://{}/app.js", tap.address), &path(&folder, "by WebSocket")]);
    assert_eq!((code(&output), tap.heads().len()), (0, 3), "{}", text(&output.stderr));
    // Without Retry-After it is a refusal.
    let tap = Tap::new(None, |_, _| Some(http("503 Service Unavailable", &[], "")));
    let output = driblet(&["pull", &format!("http://{}/app.js", tap.address), &dest]);
    refused(&output, &["503 Service Unavailable"]);
    assert_eq!(tap.heads().len(), 1);
}

#[test]
fn bytes_that_come_slowly_are_waited_for() {
    let folder = pair();
    let (new, dest) = (fs::read(path(&folder, "new")).unwrap(), path(&folder, "dest"));
    assert_eq!(code(&driblet(&["diff", "/dev/null", &path(&folder, "new"), "-o", &path(&folder, "delta")])), 0);
    let delta = fs::read(path(&folder, "delta")).unwrap();
    let tap = Tap::speaking(None, move |_, _, client| {
        let len = delta.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/vnd.driblet.delta\r\ncontent-length: {len}\r\n\r\n");
        client.write_all(head.as_bytes())?;
        // The pace is what is tested: in total longer than the command waits for one piece.
        for piece in delta.chunks(len / 6 + 1) {
            let_pass(Duration::from_millis(500));
            client.write_all(piece)?;
        }
        Ok(true)
    });
    let output = driblet(&["pull", &format!("http://{}/app.js", tap.address), &dest, "--timeout", "2"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(fs::read(&dest).unwrap() == new);
}

#[test]
fn an_error_says_what_failed() {
    let folder = TempDir::new().unwrap();
    let dest = path(&folder, "dest");
    let pull = |url: &str| driblet(&["pull", url, &dest, "--timeout", "0.5"]);
    let by_websocket = |url: &str| driblet(&["pull", url, &dest, "--timeout", "0.5"]);
    let reached = |output: &Output| assert!(!text(&output.stderr).contains("cannot reach"), "{}", text(&output.stderr));

    refused(&pull("http://127.0.0.1:1/x"), &["cannot reach http://127.0.0.1:1/x", "Connection refused"]);
    refused(&pull("https://127.0.0.1:1/x"), &["cannot reach https://127.0.0.1:1/x", "Connection refused"]);
    refused(&by_websocket("ws://127.0.0.1:1/x"), &["cannot reach ws://127.0.0.1:1/x", "Connection refused"]);

    // Accepts, and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap();
    for output in [pull(&format!("http://{address}/x")), by_websocket(&format!("ws://{address}/x"))] {
        refused(&output, &["was reached, but does not answer", "nothing came for 500ms"]);
        reached(&output);
    }
    let output = pull(&format!("https://{address}/x"));
    refused(&output, &["cannot connect to https://", "no TLS session within 500ms"]);
    reached(&output);

    // Accepts, and hangs up.
    let rude = Tap::new(None, |_, _| Some(Vec::new()));
    for output in [pull(&format!("http://{}/x", rude.address)), by_websocket(&format!("ws://{}/x", rude.address))] {
        refused(&output, &["was reached, but closed the connection before it answered"]);
        reached(&output);
    }

    // Speaks no TLS.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let _ = client.read(&mut [0; 100]);
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    for output in [pull(&format!("https://{address}/x")), by_websocket(&format!("wss://{address}/x"))] {
        refused(&output, &["cannot set up TLS with"]);
        reached(&output);
    }

    // Stops in the answer.
    let stalls = Tap::speaking(None, |_, _, client| {
        client.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.driblet.delta\r\ncontent-length: 100\r\n\r\n\xdb\x10",
        )?;
        let _ = client.read(&mut [0]);
        Ok(true)
    });
    let output = pull(&format!("http://{}/x", stalls.address));
    refused(&output, &["reading the delta from", "nothing came for 500ms"]);
    reached(&output);
    assert!(!fs::exists(&dest).unwrap());
}

#[test]
fn a_servers_words_cannot_write_to_the_terminal() {
    let folder = TempDir::new().unwrap();
    let body = "{\"code\":\"x\",\"detail\":\"\\u001b[2J\\u001b]0;title\\u0007\\nsecond line\"}";
    let tap = Tap::new(None, move |_, _| Some(http("403 Forbidden", &[], body)));
    let output = driblet(&["pull", &format!("http://{}/x", tap.address), &path(&folder, "dest")]);
    refused(&output, &["403 Forbidden", "\\u{1b}[2J", "\\nsecond line"]);
}
