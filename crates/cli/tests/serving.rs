//! `driblet serve` under a service manager, in a container, and with many clients.

#[path = "../../driblet/tests/support/wait.rs"]
#[allow(dead_code)]
mod wait;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use tempfile::TempDir;
use wait::eventually_on_thread;

const BIG: usize = 64 << 20;

/// A running server with a file that is longer than any socket's buffer. It is killed at the end of the test.
struct Serving {
    process: Child,
    stderr: BufReader<ChildStderr>,
    addr: SocketAddr,
    _folder: TempDir,
}

impl Serving {
    /// `around` is a command that runs driblet.
    fn start(around: &[&str], more: &[&str]) -> Serving {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        fs::write(folder.path().join("root/a.txt"), "a").unwrap();
        fs::write(folder.path().join("root/big.bin"), vec![7; BIG]).unwrap();
        let (root, history) = (folder.path().join("root"), folder.path().join("history"));
        let own =
            [env!("CARGO_BIN_EXE_driblet"), "serve", root.to_str().unwrap(), "--history", history.to_str().unwrap()];
        let line: Vec<&str> =
            around.iter().chain(&own).chain(&["--listen", "127.0.0.1:0"]).chain(more).copied().collect();
        let mut process =
            Command::new(line[0]).args(&line[1..]).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        stderr.read_line(&mut said).unwrap();
        let addr = said.trim_end().strip_prefix("listening on http://").and_then(|url| url.strip_suffix('/'));
        let addr = addr.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
        Serving { process, stderr, addr, _folder: folder }
    }

    /// A request on a connection of its own, and the connection.
    fn ask(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
        stream
    }

    /// A connection whose answer has begun.
    fn reader(&self) -> TcpStream {
        let mut stream = self.ask("/big.bin");
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        stream
    }

    fn is_answered(&self) -> bool {
        let mut stream = self.ask("/a.txt");
        let mut start = [0; 12];
        stream.read_exact(&mut start).is_ok() && &start == b"HTTP/1.1 200"
    }

    fn signal(&self, name: &str) {
        send(name, self.process.id());
    }

    /// Waits until no connection is accepted any more.
    fn refuses(&self) {
        eventually_on_thread(|| TcpStream::connect(self.addr).is_err());
    }

    /// The exit status, and the text on stderr.
    fn end(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (self.process.wait().unwrap(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn send(signal: &str, process: u32) {
    assert!(Command::new("kill").args(["-s", signal, &process.to_string()]).status().unwrap().success());
}

/// Bytes until the server closes.
fn rest(mut stream: TcpStream) -> usize {
    let (mut piece, mut len) = (vec![0; 1 << 20], 0);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        len += read;
    }
    len
}

#[test]
fn a_signal_lets_a_slow_reader_finish() {
    for signal in ["TERM", "INT"] {
        let serving = Serving::start(&[], &["--grace", "3600"]);
        let (reader, idle) = (serving.reader(), TcpStream::connect(serving.addr).unwrap());
        serving.signal(signal);
        serving.refuses();
        assert_eq!(rest(idle), 0);
        assert!(BIG <= rest(reader), "{signal}");
        let (status, said) = serving.end();
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{signal}");
    }
}

#[test]
fn a_reader_that_does_not_read_is_cut_in_the_end() {
    let serving = Serving::start(&[], &["--grace", "0"]);
    let reader = serving.reader();
    serving.signal("TERM");
    let (status, said) = serving.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("1 connections did not end"), "{said}");
    assert!(rest(reader) < BIG);
}

#[test]
fn a_second_signal_ends_at_once() {
    let serving = Serving::start(&[], &["--grace", "3600"]);
    let _reader = serving.reader();
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
    let denied =
        Command::new(container[0]).args(&container[1..]).arg("true").output().map_or(true, |it| !it.status.success());
    if denied {
        eprintln!("skipped: a PID namespace is denied here");
        return;
    }
    for signal in ["TERM", "INT"] {
        let serving = Serving::start(&container, &["--grace", "3600"]);
        let reader = serving.reader();
        send(signal, child_of(serving.process.id()));
        serving.refuses();
        assert!(BIG <= rest(reader), "{signal}");
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
    crowd.extend((0..len / 4).map(|_| TcpStream::connect(serving.addr).unwrap()));
    crowd
}

#[test]
fn idle_connections_give_way_under_a_limit_of_open_files() {
    for (limit, more) in [("ulimit -n 100", &[][..]), ("ulimit -n 60", &["--max-connections", "1000"])] {
        let shell = format!("{limit}; exec \"$@\"");
        let mut serving = Serving::start(&["sh", "-c", &shell, "sh"], more);
        let crowd = crowd(&serving, 80);
        for _ in 0..20 {
            assert!(serving.is_answered(), "{limit}");
        }
        serving.process.kill().unwrap();
        let (_, said) = serving.end();
        assert_eq!(said.lines().filter(|line| line.contains("idle ones")).count(), 1, "{limit}: {said}");
        drop(crowd);
    }
}

#[test]
fn as_many_files_are_opened_as_the_system_allows() {
    let serving = Serving::start(&["sh", "-c", "ulimit -S -n 100; exec \"$@\"", "sh"], &[]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", serving.process.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let columns: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(columns[3], columns[4], "{line}");
    assert_ne!(columns[3], "100");
}
