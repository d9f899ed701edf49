use std::time::Duration;

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// How long a client may take nothing of an answer before it is dropped. Default: 30 s.
    pub write_timeout: Duration,
    /// How long a client may take to send a request's head, and to send the first byte of its first request. Default: 30 s.
    pub header_timeout: Duration,
    /// How long a connection may be idle between two requests. Default: 75 s, longer than the 60 s of most load balancers: a balancer
    /// that reuses a connection which the server is just closing answers 502.
    pub keep_alive: Duration,
    /// Connections at once. Default: 1,024. At this limit, and when the process may open no more files, a new connection takes the place
    /// of the one that has been idle longest; if none is idle, it waits.
    pub max_connections: usize,
    /// How long running answers may go on once [`serve_until`] was told to stop. Default: 8 s, shorter than the 10 s after which
    /// `docker stop` kills.
    pub grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        let patience = Duration::from_secs(30);
        ServeOptions {
            write_timeout: patience,
            header_timeout: patience,
            keep_alive: Duration::from_secs(75),
            max_connections: 1024,
            grace: Duration::from_secs(8),
        }
    }
}
