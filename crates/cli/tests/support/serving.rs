use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::wait::{LIMIT, eventually_on_thread, within_on_thread};
use super::{Limited, finished};

/// A running server. It ends with the test.
pub(crate) struct Serving {
    pub(crate) url: String,
    pub(crate) addr: SocketAddr,
    process: Running,
    /// Always there between calls.
    stderr: Option<BufReader<ChildStderr>>,
    /// Removed after the server's end.
    folder: Option<TempDir>,
}

/// A process that is killed when it is dropped.
struct Running(Option<Child>);

impl Serving {
    pub(crate) fn start(path: &Path, history: &Path, more: &[&str]) -> Serving {
        Serving::within(&[], path, history, more)
    }

    /// `around` is a command that runs driblet.
    pub(crate) fn within(around: &[&str], path: &Path, history: &Path, more: &[&str]) -> Serving {
        let (path, history) = (path.to_str().unwrap(), history.to_str().unwrap());
        let own = [env!("CARGO_BIN_EXE_driblet"), "serve", path, "--history", history, "--listen", "127.0.0.1:0"];
        let line: Vec<&str> = around.iter().chain(&own).chain(more).copied().collect();
        Serving::of(Command::new(line[0]).args(&line[1..]))
    }

    /// Runs a command that serves.
    pub(crate) fn of(command: &mut Command) -> Serving {
        let mut process = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let process = Running(Some(process));
        let (stderr, said) = next_line(stderr);
        let url = said.strip_prefix("listening on ").unwrap_or_else(|| panic!("{said}")).trim_end().to_owned();
        let addr = url.split_once("://").and_then(|(_, url)| url.strip_suffix('/'));
        let addr = addr.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
        Serving { url, addr, process, stderr: Some(stderr), folder: None }
    }

    /// Keeps a folder as long as the server runs.
    pub(crate) fn keeping(self, folder: TempDir) -> Serving {
        Serving { folder: Some(folder), ..self }
    }

    pub(crate) fn process(&self) -> u32 {
        self.process.0.as_ref().unwrap().id()
    }

    /// The next line on stderr.
    pub(crate) fn line(&mut self) -> String {
        let (stderr, line) = next_line(self.stderr.take().unwrap());
        self.stderr = Some(stderr);
        line
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// A request on a connection of its own, and the connection.
    pub(crate) fn ask(&self, path: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
        stream
    }

    pub(crate) fn signal(&self, name: &str) {
        send(name, self.process());
    }

    /// Waits until no connection is accepted any more.
    pub(crate) fn refuses(&self) {
        eventually_on_thread(|| TcpStream::connect(self.addr).is_err());
    }

    /// Waits until the server has ended. Gives its exit status, and the text on stderr since it began to listen.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let mut stderr = self.stderr.take().unwrap();
        let said = within_on_thread(move || {
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            said
        });
        (finished(self.process.0.take().unwrap()).status, said)
    }
}

/// The next line of a process, and the reader of those after it.
fn next_line(mut stderr: BufReader<ChildStderr>) -> (BufReader<ChildStderr>, String) {
    within_on_thread(move || {
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        (stderr, line)
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut process) = self.0.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn send(signal: &str, process: u32) {
    assert!(Command::new("kill").args(["-s", signal, &process.to_string()]).status_within().success());
}
