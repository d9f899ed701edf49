//! Follows an asset: live streams, one after the other, and requests for the head where there is no stream.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::awake::Awake;
use super::backoff::Backoff;
use super::events::{Event, EventStream};
use super::followed::{Followed, Verdict};
use super::head::{HeadId, LiveHead};
use super::newest::Newest;
use super::requests::{Opened, is_denied};
use crate::client::request::Asset;
use crate::client::retry::random_share;
use crate::transfer::{ProtocolCause, PullError};

/// The times of a receiver.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// How long the first event of a stream may take.
    pub(super) first_event: Duration,
    /// How long a stream may be silent: it says that it is alive every 15 s.
    pub(super) silence: Duration,
    /// The time between two requests for the head.
    pub(super) poll: Duration,
    /// How long to poll after something held a stream back. Twice as long after each further time.
    pub(super) held_back: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            first_event: Duration::from_secs(5),
            silence: Duration::from_secs(35),
            poll: Duration::from_secs(5),
            held_back: Duration::from_secs(60),
        }
    }
}

/// How often the time to poll is doubled.
const MOST_DOUBLED: u32 = 4;
/// The longest time that a busy server is polled before the next request for a stream.
const LONGEST_BUSY: Duration = Duration::from_secs(300);
/// How often a stream looks whether the machine slept.
const LOOK: Duration = Duration::from_secs(5);
/// How long to wait for the answer to a question again, if it failed.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// The most heads of a stream that `alive` events can name. An event that names another one leads to a request.
const MOST_TOLD: usize = 16;

/// Called with errors.
pub(super) type Report = Box<dyn FnMut(&PullError) + Send>;

pub(super) struct LiveSession {
    asset: Asset,
    pace: Pace,
    newest: Newest,
    report: Report,
    /// Whether the last request failed, which was reported.
    is_failing: bool,
    followed: Followed,
    /// The head that is followed, without its delta.
    head: Option<LiveHead>,
    /// A head that the consumer is told later, so that not all receivers ask for its delta at once.
    later: Option<(Instant, LiveHead)>,
    /// When to ask for the head, because an answer was doubtful.
    ask_at: Option<Instant>,
    backoff: Backoff,
    /// How often something held streams back.
    held_back: u32,
    awake: Awake,
}

/// How a stream ended.
enum End {
    /// It ended after its first event.
    Over,
    /// The machine slept.
    Slept,
    /// The first event did not come in time.
    HeldBack,
    /// The server has no room for it.
    Busy(Duration),
    /// The answer is no stream, or the stream is invalid.
    NoStream(PullError),
    /// The server cannot be reached.
    Failed(PullError),
}

/// What happened to a stream.
enum Heard {
    Bytes(Bytes),
    End,
    Silence,
    /// It is time to look at the clock.
    Time,
}

/// What one stream said so far.
struct Stream {
    events: EventStream,
    /// The heads that `alive` events can name.
    told: Vec<LiveHead>,
    has_begun: bool,
}

impl LiveSession {
    pub(super) fn new(asset: Asset, pace: Pace, newest: Newest) -> LiveSession {
        LiveSession {
            asset,
            pace,
            newest,
            report: Box::new(|_| {}),
            is_failing: false,
            followed: Followed::default(),
            head: None,
            later: None,
            ask_at: None,
            backoff: Backoff::default(),
            held_back: 0,
            awake: Awake::new(),
        }
    }

    /// Sets what is called with failures.
    pub(super) fn report_to(&mut self, report: Report) {
        self.report = report;
    }

    /// Follows the asset until the server refuses. Gives the refusal.
    pub(super) async fn run(mut self) -> PullError {
        match self.follow().await {
            Ok(never) => match never {},
            Err(refusal) => refusal,
        }
    }

    async fn follow(&mut self) -> Result<Infallible, PullError> {
        loop {
            match self.follow_stream().await? {
                End::Slept => {}
                End::Over => {
                    let wait = self.backoff.after_end(random_share());
                    self.pause_until(Instant::now() + wait).await?;
                }
                End::HeldBack => {
                    let wait = self.pace.held_back * (1 << self.held_back.min(MOST_DOUBLED));
                    self.held_back += 1;
                    self.poll(wait).await?;
                }
                End::Busy(wait) => self.poll(wait.clamp(self.pace.poll, LONGEST_BUSY)).await?,
                End::NoStream(error) => {
                    // The server may have no streams, or a proxy may not let them through.
                    if self.ask().await? {
                        tracing::debug!(%error, "there is no live stream; the head is polled");
                    }
                    self.back_off().await?;
                }
                End::Failed(error) => {
                    self.failed(&error);
                    self.back_off().await?;
                }
            }
        }
    }

    /// Follows one stream to its end. An error is a refusal.
    async fn follow_stream(&mut self) -> Result<End, PullError> {
        let first_by = Instant::now() + self.pace.first_event;
        let since = self.head.as_ref().map(LiveHead::id);
        let opened = timeout_at(first_by, self.asset.open_live(since)).await;
        let mut response = match opened {
            Err(_) => return Ok(End::HeldBack),
            Ok(Err(error)) => return Ok(End::Failed(error)),
            Ok(Ok(Opened::Denied(error))) => return Err(error),
            Ok(Ok(Opened::NoStream(error))) => return Ok(End::NoStream(error)),
            Ok(Ok(Opened::Busy(wait))) => return Ok(End::Busy(wait)),
            Ok(Ok(Opened::Stream(response))) => response,
        };
        let told = self.head.clone().into_iter().collect();
        let mut stream = Stream { events: EventStream::default(), told, has_begun: false };
        let mut dead_at = first_by;
        self.awake = Awake::new();
        loop {
            let heard = self.listen(&mut response, dead_at).await;
            if self.awake.has_slept() {
                return Ok(End::Slept);
            }
            match heard {
                Heard::Bytes(bytes) => {
                    if let Err(error) = self.handle_bytes(&mut stream, &bytes) {
                        return Ok(End::NoStream(error));
                    }
                }
                Heard::Time => {
                    self.handle_time().await?;
                    continue;
                }
                Heard::End | Heard::Silence if stream.has_begun => return Ok(End::Over),
                Heard::Silence => return Ok(End::HeldBack),
                Heard::End => {
                    let cause = ProtocolCause::Live("it ended before its first event");
                    let what = format!("cannot follow {}", self.asset.url());
                    return Ok(End::NoStream(PullError::protocol(what, cause)));
                }
            }
            if stream.has_begun {
                dead_at = Instant::now() + self.pace.silence;
            }
        }
    }

    /// Waits for bytes of the stream, for its death, or for the next thing to do.
    async fn listen(&mut self, response: &mut Response, dead_at: Instant) -> Heard {
        let look_at = Instant::now() + LOOK;
        tokio::select! {
            // What has arrived already is read first.
            biased;
            bytes = response.chunk() => match bytes {
                Ok(Some(bytes)) => Heard::Bytes(bytes),
                Ok(None) | Err(_) => Heard::End,
            },
            () = sleep_until(dead_at) => Heard::Silence,
            () = sleep_until(self.next_time().map_or(look_at, |next| next.min(look_at))) => Heard::Time,
        }
    }

    fn handle_bytes(&mut self, stream: &mut Stream, bytes: &[u8]) -> Result<(), PullError> {
        let url = self.asset.url().clone();
        let invalid =
            |why| PullError::protocol(format!("the live stream of {url} is invalid"), ProtocolCause::Live(why));
        let handled = stream.events.handle_input(bytes);
        while let Some(event) = stream.events.poll_event() {
            if !stream.has_begun {
                stream.has_begun = true;
                self.held_back = 0;
                self.backoff.handle_success();
            }
            self.is_failing = false;
            self.handle_event(stream, &event).map_err(invalid)?;
        }
        if let Some(milliseconds) = stream.events.retry() {
            self.backoff.handle_retry(milliseconds);
        }
        handled.map_err(|_| invalid("an event is longer than 128 KiB"))
    }

    fn handle_event(&mut self, stream: &mut Stream, event: &Event) -> Result<(), &'static str> {
        match event.name.as_str() {
            "head" => {
                let head = LiveHead::parse(event.data.as_bytes()).ok_or("an event is no head")?;
                if stream.told.len() == MOST_TOLD {
                    stream.told.remove(0);
                }
                stream.told.push(head.bare());
                self.handle_answer(head);
            }
            "alive" => {
                let Some(id) = HeadId::parse(&event.id) else { return Ok(()) };
                match stream.told.iter().rev().find(|head| head.id() == id) {
                    Some(head) => self.handle_answer(head.clone()),
                    None => self.ask_at = Some(Instant::now()),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn handle_answer(&mut self, head: LiveHead) {
        match self.followed.handle_answer(Instant::now(), head.id(), head.version) {
            Verdict::Follow => {
                self.ask_at = None;
                let is_first = self.head.replace(head.bare()).is_none();
                if is_first || head.spread.is_zero() {
                    self.later = None;
                    self.newest.put(head);
                } else {
                    let at = Instant::now() + head.spread.mul_f64(random_share());
                    let at = self.later.take().map_or(at, |(before, _)| before.min(at));
                    self.later = Some((at, head));
                }
            }
            Verdict::Same => {
                self.ask_at = None;
                self.head = Some(head.bare());
            }
            Verdict::Doubt { ask_at } => self.ask_at = Some(ask_at),
        }
    }

    /// Asks for the head. Gives whether there was an answer; an error is a refusal.
    async fn ask(&mut self) -> Result<bool, PullError> {
        match self.asset.head().await {
            Ok(head) => {
                self.is_failing = false;
                self.handle_answer(head);
                Ok(true)
            }
            Err(error) if self.is_refusal(&error) => Err(error),
            Err(error) => {
                self.failed(&error);
                Ok(false)
            }
        }
    }

    /// Whether to stop. An asset that was there once may come back: while it is deployed anew, it may be missing.
    fn is_refusal(&self, error: &PullError) -> bool {
        let PullError::Protocol { source, .. } = error else { return false };
        source.status().is_some_and(|status| is_denied(status) || status == 404 && self.head.is_none())
    }

    /// Asks for the head now and then, for a while.
    async fn poll(&mut self, wait: Duration) -> Result<(), PullError> {
        let end = Instant::now() + wait;
        loop {
            let pause = match self.ask().await? {
                // Receivers that began together do not stay together.
                true => self.pace.poll.mul_f64(0.8 + 0.4 * random_share()),
                false => self.backoff.after_failure(random_share()),
            };
            let next = Instant::now() + pause;
            if end <= next {
                return self.pause_until(end).await;
            }
            self.pause_until(next).await?;
        }
    }

    async fn back_off(&mut self) -> Result<(), PullError> {
        let wait = self.backoff.after_failure(random_share());
        self.pause_until(Instant::now() + wait).await
    }

    /// Waits, and does what there is to do meanwhile.
    async fn pause_until(&mut self, end: Instant) -> Result<(), PullError> {
        while let Some(next) = self.next_time().filter(|next| *next < end) {
            sleep_until(next).await;
            self.handle_time().await?;
        }
        sleep_until(end).await;
        Ok(())
    }

    /// When there is something to do, whatever the server sends.
    fn next_time(&self) -> Option<Instant> {
        let later = self.later.as_ref().map(|(at, _)| *at);
        later.into_iter().chain(self.ask_at).min()
    }

    async fn handle_time(&mut self) -> Result<(), PullError> {
        let now = Instant::now();
        if let Some((_, head)) = self.later.take_if(|(at, _)| *at <= now) {
            self.newest.put(head);
        }
        if self.ask_at.take_if(|at| *at <= now).is_some() && !self.ask().await? {
            self.ask_at = Some(now + ASK_AGAIN);
        }
        Ok(())
    }

    /// Reports the first of several failures.
    fn failed(&mut self, error: &PullError) {
        if !std::mem::replace(&mut self.is_failing, true) {
            (self.report)(error);
        }
    }
}
