//! All connections: what each is doing, and which of them gives way when there are too many.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::options::ServeOptions;

/// How long a connection on which nothing has come yet is new rather than idle: its first request may be on its way.
pub(super) const NEW: Duration = Duration::from_secs(1);

pub(super) struct Connections {
    pub(super) options: ServeOptions,
    open: Mutex<Open>,
    /// A connection ended, or became idle.
    changed: Notify,
    stopping: watch::Sender<bool>,
    killed: AtomicBool,
}

#[derive(Default)]
struct Open {
    next: u64,
    entries: HashMap<u64, Arc<Entry>>,
}

/// One connection, as the loop and the connection itself see it.
pub(super) struct Entry {
    state: Mutex<State>,
    pub(super) reader: AtomicWaker,
    pub(super) writer: AtomicWaker,
}

pub(super) struct State {
    pub(super) phase: Phase,
    /// When the phase began.
    pub(super) since: Instant,
    /// The connection is to end if it is not busy.
    pub(super) gives_way: bool,
    /// The client has not yet taken what was written.
    pub(super) is_blocked: bool,
}

/// What a connection does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Nothing has come yet.
    New,
    /// An answer was given, and nothing has come since.
    Idle,
    /// A request's head comes.
    Head,
    /// A request is answered.
    Busy,
    /// Another protocol has taken over.
    Upgraded,
}

impl Connections {
    pub(super) fn new(options: ServeOptions) -> Arc<Connections> {
        Arc::new(Connections {
            options,
            open: Mutex::default(),
            changed: Notify::new(),
            stopping: watch::Sender::new(false),
            killed: AtomicBool::new(false),
        })
    }

    /// Enters a connection, which stays until its place is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Place {
        let state = State { phase: Phase::New, since: Instant::now(), gives_way: false, is_blocked: false };
        let entry =
            Arc::new(Entry { state: Mutex::new(state), reader: AtomicWaker::new(), writer: AtomicWaker::new() });
        let mut open = lock(&self.open);
        let id = open.next;
        open.next += 1;
        open.entries.insert(id, entry.clone());
        Place { connections: self.clone(), entry, id }
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.open).entries.len()
    }

    /// Waits for a connection that ends or becomes idle.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) async fn none_left(&self) {
        while 0 < self.len() {
            self.changed().await;
        }
    }

    /// Has the connection end that has waited longest for a request, unless one is about to. One whose request has begun to come is only
    /// chosen where no other waits.
    pub(super) fn give_way(&self) {
        let (open, now) = (lock(&self.open), Instant::now());
        let mut chosen: Option<(bool, Instant, &Arc<Entry>)> = None;
        for entry in open.entries.values() {
            let state = entry.state();
            let waits = match state.phase {
                Phase::New => NEW <= now - state.since,
                Phase::Idle => !state.is_blocked,
                Phase::Head => true,
                Phase::Busy | Phase::Upgraded => false,
            };
            if waits && state.gives_way {
                return;
            }
            let rank = (state.phase == Phase::Head, state.since);
            if waits && chosen.is_none_or(|(is_head, since, _)| rank < (is_head, since)) {
                chosen = Some((rank.0, rank.1, entry));
            }
        }
        if let Some((_, _, entry)) = chosen {
            entry.state().gives_way = true;
            entry.reader.wake();
        }
    }

    /// Has every connection end as soon as it waits for a request.
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

impl Entry {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A connection's place among the others.
pub(super) struct Place {
    pub(super) connections: Arc<Connections>,
    pub(super) entry: Arc<Entry>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.connections.open).entries.remove(&self.id);
        self.connections.changed.notify_one();
    }
}

/// A request that is being answered; its connection waits for the next one when this is dropped.
pub(super) struct Running {
    connections: Arc<Connections>,
    entry: Arc<Entry>,
}

impl Running {
    pub(super) fn begin(connections: &Arc<Connections>, entry: &Arc<Entry>) -> Running {
        entry.state().enter(Phase::Busy);
        // Who waits for this connection to give way must choose another.
        connections.changed.notify_one();
        Running { connections: connections.clone(), entry: entry.clone() }
    }

    /// The connection speaks another protocol from now on.
    pub(super) fn upgrade(&self) {
        self.entry.state().enter(Phase::Upgraded);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.entry.state();
        if state.phase == Phase::Busy {
            state.enter(Phase::Idle);
        }
        drop(state);
        // The connection has looked for the next request already, while this one was there, and must look how long it may wait for it.
        self.entry.reader.wake();
        self.connections.changed.notify_one();
    }
}

impl State {
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
