use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits on connections.
///
/// ```
/// use std::time::Duration;
///
/// let options = driblet::ServeOptions::default()
///     .write_timeout(Duration::from_secs(10))
///     .header_timeout(Duration::from_secs(10))
///     .keep_alive(Duration::from_secs(620))
///     .grace(Duration::from_secs(25))
///     .max_connections(4096)
///     .max_connections_per_address(128);
/// assert_eq!(options.grace, Duration::from_secs(25));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ServeOptions {
    /// How long a client may read nothing of a response before the server drops it. Default: 30 s.
    pub write_timeout: Duration,
    /// How long a client may take to send the head of a request, and to send the first byte of its first request.
    /// Default: 30 s.
    pub header_timeout: Duration,
    /// How long a connection may be idle between two requests. Default: 75 s, longer than the 60 s of most load
    /// balancers. A load balancer that reuses a connection while the server closes it answers 502.
    pub keep_alive: Duration,
    /// The most connections, not counting those with live streams. Default: 1,024. At this limit, and when the process may open no more files, a new
    /// connection takes the place of the one that has been idle longest. If none is idle, it waits.
    pub max_connections: usize,
    /// The most connections of one client: an IPv4 address, or the first 64 bits of an IPv6 address. Default: 256. One
    /// more is closed at once. Programs on this machine and trusted proxies have no limit.
    pub max_connections_per_address: usize,
    /// How long running responses may take after [`serve_until`](crate::serve_until) was told to stop. Default: 8 s,
    /// shorter than the 10 s after which `docker stop` kills the process.
    pub grace: Duration,
    /// Whether connections count in the metrics, and answers are told to the access log. Default: yes.
    pub observed: bool,
}

impl ServeOptions {
    /// The defaults, with as many connections as the process may have open: at most the default number. Raises the
    /// limit of open files of the whole process (`RLIMIT_NOFILE`) as far as the system allows.
    ///
    /// ```
    /// let options = driblet::ServeOptions::for_open_files();
    /// assert!(options.max_connections <= driblet::ServeOptions::default().max_connections);
    /// ```
    #[must_use]
    pub fn for_open_files() -> ServeOptions {
        let now = getrlimit(Resource::Nofile);
        // If this fails, the limit stays as it was.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
        let options = ServeOptions::default();
        let max = connections_within(getrlimit(Resource::Nofile).current, options.max_connections);
        options.max_connections(max)
    }

    /// How many live streams may be open besides these connections, at most `max`: each needs a file of the limit of open
    /// files, see [`for_open_files`](ServeOptions::for_open_files).
    ///
    /// ```
    /// let options = driblet::ServeOptions::for_open_files();
    /// let server = driblet::Server::builder("dist").max_live(options.live_streams(16_384));
    /// # drop(server);
    /// ```
    #[must_use]
    pub fn live_streams(&self, max: usize) -> usize {
        streams_within(getrlimit(Resource::Nofile).current, self.max_connections, max)
    }

    /// Sets how long a client may read nothing of a response.
    #[must_use]
    pub fn write_timeout(self, write_timeout: Duration) -> ServeOptions {
        ServeOptions { write_timeout, ..self }
    }

    /// Sets how long a client may take to send the head of a request.
    #[must_use]
    pub fn header_timeout(self, header_timeout: Duration) -> ServeOptions {
        ServeOptions { header_timeout, ..self }
    }

    /// Sets how long a connection may be idle between two requests.
    #[must_use]
    pub fn keep_alive(self, keep_alive: Duration) -> ServeOptions {
        ServeOptions { keep_alive, ..self }
    }

    /// Sets the most connections.
    #[must_use]
    pub fn max_connections(self, max_connections: usize) -> ServeOptions {
        ServeOptions { max_connections, ..self }
    }

    /// Sets the most connections of one client.
    #[must_use]
    pub fn max_connections_per_address(self, max_connections_per_address: usize) -> ServeOptions {
        ServeOptions { max_connections_per_address, ..self }
    }

    /// Sets how long running responses may take after the server was told to stop.
    #[must_use]
    pub fn grace(self, grace: Duration) -> ServeOptions {
        ServeOptions { grace, ..self }
    }

    /// Sets whether connections count in the metrics, and answers are told to the access log: not for the pages of
    /// operators.
    #[must_use]
    pub fn observed(self, observed: bool) -> ServeOptions {
        ServeOptions { observed, ..self }
    }
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        let timeout = Duration::from_secs(30);
        ServeOptions {
            write_timeout: timeout,
            header_timeout: timeout,
            keep_alive: Duration::from_secs(75),
            max_connections: 1024,
            max_connections_per_address: 256,
            grace: Duration::from_secs(8),
            observed: true,
        }
    }
}

/// Files that the server may have open besides those of connections: its own, and short versions that it sent a moment
/// ago.
const OTHER_FILES: u64 = 160;

/// The most connections for a limit of open files, and at most `max`: each connection has a socket and may have a file,
/// and the server needs some files itself.
fn connections_within(files: Option<u64>, max: usize) -> usize {
    files.map_or(max, |files| (files.saturating_sub(OTHER_FILES) / 2).clamp(8, max as u64) as usize)
}

/// The most live streams for a limit of open files, and at most `max`.
fn streams_within(files: Option<u64>, connections: usize, max: usize) -> usize {
    let needed = OTHER_FILES.saturating_add(2 * connections as u64);
    files.map_or(max, |files| files.saturating_sub(needed).clamp(1, max.max(1) as u64) as usize)
}

#[cfg(test)]
mod tests {
    use super::{connections_within, streams_within};

    #[test]
    fn live_streams_get_the_files_that_connections_leave() {
        assert_eq!(streams_within(None, 1024, 16_384), 16_384);
        assert_eq!(streams_within(Some(1 << 20), 1024, 16_384), 16_384);
        assert_eq!(streams_within(Some(4096), 1024, 16_384), 1888);
        assert_eq!(streams_within(Some(1024), 432, 16_384), 1);
    }

    #[test]
    fn connections_leave_room_for_other_files() {
        assert_eq!(connections_within(None, 1024), 1024);
        assert_eq!(connections_within(Some(1 << 20), 1024), 1024);
        assert_eq!(connections_within(Some(1024), 1024), 432);
        assert_eq!(connections_within(Some(40), 1024), 8);
    }
}
