//! nginx and Caddy in front of a server: child processes on loopback, each with a folder of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running proxy. It ends with the test.
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    process: Child,
    _folder: TempDir,
}

impl Proxy {
    /// nginx with these lines in its `server`.
    pub(crate) fn nginx(lines: &str) -> Proxy {
        Proxy::start(|folder, addr| {
            let folder = folder.display();
            let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("{kind}_temp_path {folder}/{kind};"))
                .join("\n");
            let config = format!(
                "daemon off; master_process off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temp}\nserver {{ listen {addr};\n{lines}\n}}\n}}\n"
            );
            std::fs::write(format!("{folder}/nginx.conf"), config).unwrap();
            let mut command = Command::new("nginx");
            command.args(["-p", &folder.to_string(), "-c", "nginx.conf", "-e", "stderr"]);
            command
        })
    }

    /// Caddy with these lines for its one site.
    pub(crate) fn caddy(lines: &str) -> Proxy {
        Proxy::start(|folder, addr| {
            let config = format!("{{\nadmin off\n}}\nhttp://:{} {{\nbind 127.0.0.1\n{lines}\n}}\n", addr.port());
            std::fs::write(folder.join("Caddyfile"), config).unwrap();
            let mut command = Command::new("caddy");
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(folder.join("Caddyfile"));
            command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
            command
        })
    }

    fn start(command: impl Fn(&std::path::Path, SocketAddr) -> Command) -> Proxy {
        // Another process may take the port before the proxy uses it.
        for _ in 0..5 {
            let folder = TempDir::new().unwrap();
            let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut process = command(folder.path(), addr)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("nginx and caddy, which scripts/setup.sh proxies installs");
            let mut has_started = false;
            super::wait::eventually_on_thread(|| {
                has_started = TcpStream::connect(addr).is_ok();
                has_started || process.try_wait().unwrap().is_some()
            });
            if has_started {
                return Proxy { addr, process, _folder: folder };
            }
        }
        panic!("the proxy does not start");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
