//! All connections: the state of each, and which one ends when there are too many.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use ::metrics::Gauge;
use futures_util::task::AtomicWaker;
use hyper::Version;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::addresses::AddressCounts;
use super::cut_off::CutOffs;
use super::held::HeldBytes;
use super::memory::Peak;
use super::options::ServeOptions;
use crate::metrics;

/// How long a connection without any byte counts as new, since its first request may be on its way. Clients that have
/// something to say send it right behind the last packet that opens the connection. If it were longer, a flood of
/// connections that say nothing would hold all places for so long.
pub(super) const NEW: Duration = Duration::from_millis(100);

/// Bytes that count as progress of a client that takes a long body (HTTP/2): those that are written beyond those that
/// are read, because answers to pings are as long as the pings.
const PROGRESS: i64 = 16 << 10;
/// The most bytes that are read and not yet answered: no more pings arrive at a time.
const UNANSWERED: i64 = 256 << 10;

pub(super) struct Connections {
    pub(super) options: ServeOptions,
    pub(super) addresses: Arc<AddressCounts>,
    open: Mutex<OpenConnections>,
    /// A connection ended, or became idle.
    changed: Notify,
    stopping: watch::Sender<bool>,
    killed: AtomicBool,
    /// How many are open, in all servers of the process.
    gauge: Gauge,
    pub(super) cut_offs: CutOffs,
    peak: Peak,
    /// Connections with live streams.
    live: AtomicUsize,
}

/// The open connections, by number.
#[derive(Default)]
struct OpenConnections {
    next: u64,
    entries: HashMap<u64, Arc<ConnectionEntry>>,
}

/// What the accept loop and a connection share.
pub(super) struct ConnectionEntry {
    state: Mutex<ConnectionState>,
    pub(super) reader: AtomicWaker,
    pub(super) writer: AtomicWaker,
    /// The client must be told to leave (HTTP/2).
    pub(super) leave: Notify,
    /// What its answers hold (HTTP/2).
    pub(super) held: Arc<HeldBytes>,
    /// Wakes the body of a live stream when the client has read what was written.
    pub(super) unblocked: AtomicWaker,
}

pub(super) struct ConnectionState {
    pub(super) phase: ConnectionPhase,
    /// When the phase began.
    pub(super) since: Instant,
    /// Whether the connection must end as soon as it is not busy.
    pub(super) gives_way: bool,
    /// Whether the client has not read all that was written.
    pub(super) is_blocked: bool,
    /// Whether the client speaks HTTP/2: it may have several requests at a time, and sends other things between them.
    pub(super) is_http2: bool,
    /// Whether the client is told to leave (HTTP/2).
    pub(super) is_leaving: bool,
    /// Requests that are being answered.
    running: usize,
    /// Live streams that are being answered.
    pub(super) live: usize,
    /// Bodies of which the client has not taken the last piece yet.
    pub(super) waiting_bodies: usize,
    /// When the client last took a piece of a body, or [`PROGRESS`] bytes.
    pub(super) taken: Instant,
    /// Bytes that were written since then, beyond those that were read.
    written: i64,
}

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ConnectionPhase {
    /// No byte has arrived yet.
    New,
    /// A response was sent, and no byte has arrived since.
    Idle,
    /// The head of a request is arriving.
    Head,
    /// A response is being made or sent.
    Busy,
    /// The connection speaks another protocol.
    Upgraded,
}

impl Connections {
    pub(super) fn new(options: ServeOptions) -> Arc<Connections> {
        Arc::new(Connections {
            options,
            addresses: AddressCounts::new(options.max_connections_per_address),
            open: Mutex::default(),
            changed: Notify::new(),
            stopping: watch::Sender::new(false),
            killed: AtomicBool::new(false),
            gauge: if options.observed { metrics::connections() } else { Gauge::noop() },
            cut_offs: CutOffs::default(),
            peak: Peak::default(),
            live: AtomicUsize::new(0),
        })
    }

    /// Adds a connection. It is removed when its place is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> ConnectionPlace {
        let now = Instant::now();
        let state = ConnectionState {
            phase: ConnectionPhase::New,
            since: now,
            gives_way: false,
            is_blocked: false,
            is_http2: false,
            is_leaving: false,
            running: 0,
            live: 0,
            waiting_bodies: 0,
            taken: now,
            written: 0,
        };
        let entry = Arc::new(ConnectionEntry {
            state: Mutex::new(state),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
            leave: Notify::new(),
            held: Arc::default(),
            unblocked: AtomicWaker::new(),
        });
        let mut open = lock(&self.open);
        let id = open.next;
        open.next += 1;
        open.entries.insert(id, entry.clone());
        self.peak.opened(open.entries.len());
        self.gauge.increment(1);
        ConnectionPlace { connections: self.clone(), entry, id }
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.open).entries.len()
    }

    /// How many count for the limit of connections. Live streams have a limit of their own.
    pub(super) fn counted(&self) -> usize {
        self.len().saturating_sub(self.live.load(SeqCst))
    }

    /// Waits until a connection ends or becomes idle.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) async fn none_left(&self) {
        while 0 < self.len() {
            self.changed().await;
        }
    }

    /// Ends the connection that has waited longest for a request, unless one is about to end. A connection on which a
    /// request is arriving is chosen only if no other one waits.
    pub(super) fn give_way(&self) {
        let (open, now) = (lock(&self.open), Instant::now());
        let mut chosen: Option<(bool, Instant, &Arc<ConnectionEntry>)> = None;
        for entry in open.entries.values() {
            let state = entry.state();
            let waits = match state.phase {
                ConnectionPhase::New => NEW <= now - state.since,
                ConnectionPhase::Idle => !state.is_blocked,
                ConnectionPhase::Head => true,
                ConnectionPhase::Busy | ConnectionPhase::Upgraded => false,
            };
            if waits && state.gives_way {
                return;
            }
            let rank = (state.phase == ConnectionPhase::Head, state.since);
            if waits && chosen.is_none_or(|(is_head, since, _)| rank < (is_head, since)) {
                chosen = Some((rank.0, rank.1, entry));
            }
        }
        if let Some((_, _, entry)) = chosen {
            entry.state().gives_way = true;
            entry.reader.wake();
        }
    }

    /// Ends every connection as soon as it waits for a request.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
        self.wake_all();
    }

    pub(super) fn stopping(&self) -> &watch::Sender<bool> {
        &self.stopping
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Ends every connection at once.
    pub(super) fn kill(&self) {
        self.killed.store(true, SeqCst);
        self.wake_all();
    }

    pub(super) fn is_killed(&self) -> bool {
        self.killed.load(SeqCst)
    }

    fn wake_all(&self) {
        for entry in lock(&self.open).entries.values() {
            entry.reader.wake();
            entry.writer.wake();
        }
    }
}

impl ConnectionEntry {
    pub(super) fn state(&self) -> MutexGuard<'_, ConnectionState> {
        lock(&self.state)
    }

    /// Whether the client has not read all that was written. If so, the task is woken when it has.
    pub(super) fn is_blocked(&self, context: &Context<'_>) -> bool {
        self.unblocked.register(context.waker());
        self.state().is_blocked
    }

    /// Has the client told to leave.
    pub(super) fn begin_to_leave(&self) {
        let mut state = self.state();
        (state.is_leaving, state.since) = (true, Instant::now());
        self.leave.notify_one();
    }
}

/// The place of a connection. Dropping it removes the connection.
pub(super) struct ConnectionPlace {
    pub(super) connections: Arc<Connections>,
    pub(super) entry: Arc<ConnectionEntry>,
    id: u64,
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let left = {
            let mut open = lock(&self.connections.open);
            open.entries.remove(&self.id);
            open.entries.len()
        };
        if self.connections.peak.closed(left) {
            lock(&self.connections.open).entries.shrink_to_fit();
        }
        self.connections.gauge.decrement(1);
        self.connections.changed.notify_one();
    }
}

/// A request that is being answered. Dropping the last one of a connection makes the connection idle.
pub(super) struct RunningRequest {
    connections: Arc<Connections>,
    entry: Arc<ConnectionEntry>,
}

impl RunningRequest {
    pub(super) fn begin(
        connections: &Arc<Connections>,
        entry: &Arc<ConnectionEntry>,
        version: Version,
    ) -> RunningRequest {
        let mut state = entry.state();
        state.enter(ConnectionPhase::Busy);
        state.running += 1;
        state.is_http2 = version == Version::HTTP_2;
        drop(state);
        // The accept loop may be waiting for this connection to end. It must choose another one.
        connections.changed.notify_one();
        RunningRequest { connections: connections.clone(), entry: entry.clone() }
    }

    pub(super) fn entry(&self) -> &ConnectionEntry {
        &self.entry
    }

    /// Notes that the answer is a live stream.
    pub(super) fn live(&self) -> RunningStream {
        let mut state = self.entry.state();
        state.live += 1;
        if state.live == 1 {
            self.connections.live.fetch_add(1, SeqCst);
        }
        drop(state);
        // There is a place for another connection.
        self.connections.changed.notify_one();
        RunningStream { connections: self.connections.clone(), entry: self.entry.clone() }
    }

    /// Notes that the connection speaks another protocol from now on.
    pub(super) fn upgrade(&self) {
        self.entry.state().enter(ConnectionPhase::Upgraded);
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        let mut state = self.entry.state();
        state.running -= 1;
        if state.phase == ConnectionPhase::Busy && state.running == 0 {
            state.enter(ConnectionPhase::Idle);
        }
        drop(state);
        // The connection is waiting for the next request already. It must compute its deadline again.
        self.entry.reader.wake();
        self.connections.changed.notify_one();
    }
}

/// A live stream that is being answered. While a connection has one, it does not count for the limit of connections.
pub(super) struct RunningStream {
    connections: Arc<Connections>,
    entry: Arc<ConnectionEntry>,
}

impl Drop for RunningStream {
    fn drop(&mut self) {
        let mut state = self.entry.state();
        state.live -= 1;
        if state.live == 0 {
            self.connections.live.fetch_sub(1, SeqCst);
        }
    }
}

impl ConnectionState {
    /// Notes that the client took bytes.
    pub(super) fn note_written(&mut self, bytes: usize) {
        self.written += bytes as i64;
        if PROGRESS <= self.written {
            self.note_piece();
        }
    }

    /// Notes that the client sent bytes.
    pub(super) fn note_read(&mut self, bytes: usize) {
        self.written = (self.written - bytes as i64).max(-UNANSWERED);
    }

    /// Whether a client that sends without a pause has had the time for a request. A client that pauses is told to leave
    /// before that.
    pub(super) fn is_overdue(&self, options: &ServeOptions) -> bool {
        let limit = match self.phase {
            ConnectionPhase::Head => options.header_timeout,
            ConnectionPhase::Idle if self.is_http2 => options.keep_alive.saturating_add(options.header_timeout),
            ConnectionPhase::New | ConnectionPhase::Idle | ConnectionPhase::Busy | ConnectionPhase::Upgraded => {
                return false;
            }
        };
        limit < self.idle_since().elapsed()
    }

    /// When the phase began, or since then the client took the rest of an answer (HTTP/2).
    pub(super) fn idle_since(&self) -> Instant {
        if self.is_http2 { self.since.max(self.taken) } else { self.since }
    }

    /// Notes that the client took a piece of a body.
    pub(super) fn note_piece(&mut self) {
        self.taken = Instant::now();
        self.written = 0;
    }

    pub(super) fn enter(&mut self, phase: ConnectionPhase) {
        self.phase = phase;
        self.since = Instant::now();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
