//! How long a server is waited for.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tower::{Layer, Service};

/// The longest that a server's word is taken for: whoever says "in an hour" is asked again after this long.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The first wait where the server says "at once"; each further one is twice as long, up to [`LONGEST_STEP`].
const FIRST_STEP: Duration = Duration::from_millis(250);
const LONGEST_STEP: Duration = Duration::from_secs(8);

/// When a server last gave a sign of life: a connection that was set up, or bytes.
#[derive(Clone, Debug)]
pub(crate) struct Life(Arc<watch::Sender<Sign>>);

#[derive(Clone, Copy, Debug)]
struct Sign {
    at: Instant,
    connecting: bool,
}

impl Life {
    pub(crate) fn new() -> Life {
        Life(Arc::new(watch::Sender::new(Sign { at: Instant::now(), connecting: false })))
    }

    /// There is one now.
    pub(crate) fn sign(&self) {
        self.0.send_replace(Sign { at: Instant::now(), connecting: false });
    }

    fn connecting(&self) {
        self.0.send_replace(Sign { at: Instant::now(), connecting: true });
    }

    /// Ends when there was no sign for so long. While a connection is being set up that has its own limit, which comes first.
    pub(crate) async fn silence(&self, timeout: Duration) {
        let mut signs = self.0.subscribe();
        loop {
            let sign = *signs.borrow_and_update();
            let limit = if sign.connecting { timeout.saturating_mul(2) } else { timeout };
            let Some(end) = sign.at.checked_add(limit) else { return std::future::pending().await };
            tokio::select! {
                _ = signs.changed() => {}
                () = sleep_until(end) => return,
            }
        }
    }
}

/// Tells of the connections that a client sets up.
impl<S> Layer<S> for Life {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, life: self.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Watched<S> {
    inner: S,
    life: Life,
}

impl<S, R> Service<R> for Watched<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.life.connecting();
        let (life, connected) = (self.life.clone(), self.inner.call(request));
        Box::pin(async move {
            let connected = connected.await;
            life.sign();
            connected
        })
    }
}

/// A stream whose every byte is a sign of life.
pub(crate) struct Heard<S>(pub(crate) S, pub(crate) Life);

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.0).poll_read(context, buf));
        if before < buf.filled().len() {
            self.1.sign();
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Waits for a server that says that it is busy.
pub(crate) struct Patience {
    most: Duration,
    step: Duration,
    until: Option<Instant>,
}

impl Patience {
    /// At most so long in all.
    pub(crate) fn new(most: Duration) -> Patience {
        Patience { most, step: FIRST_STEP, until: None }
    }

    /// How long to wait before asking again; `None` when it has been long enough.
    pub(crate) fn next(&mut self, told: Duration) -> Option<Duration> {
        let now = Instant::now();
        let until = *self.until.get_or_insert(now.checked_add(self.most)?);
        let rest = until.checked_duration_since(now).filter(|rest| !rest.is_zero())?;
        let wait = told.max(self.step).min(LONGEST_WAIT);
        self.step = (self.step * 2).min(LONGEST_STEP);
        // Clients that were told the same come back spread over a quarter of the time.
        Some((wait + wait.mul_f64(share() / 4.0)).min(rest))
    }
}

/// When to ask again, as the server's `Retry-After` has it: seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// From 0 to 1.
fn share() -> f64 {
    let mut bytes = [0; 2];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX),
        Err(_) => 0.5,
    }
}

/// Whether TLS is what failed.
pub(crate) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    // The source of an error in an `io::Error` is not that error, but its source.
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let inner = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    error.is::<rustls::Error>() || inner.is_some_and(is_tls)
}

/// What a limit of time says.
pub(crate) fn silent(limit: Duration) -> String {
    format!("nothing came for {limit:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_as_told_and_not_without_end() {
        let mut patience = Patience::new(Duration::from_secs(300));
        let wait = patience.next(Duration::from_secs(8)).unwrap();
        assert!((8.0..=10.0).contains(&wait.as_secs_f64()), "{wait:?}");
        assert!(patience.next(Duration::MAX).unwrap() <= LONGEST_WAIT.mul_f64(1.25));
        let steps = [0.5, 1.0, 2.0, 4.0, 8.0, 8.0];
        // The second of two waits was a step too.
        steps[1..].iter().for_each(|step| {
            let wait = patience.next(Duration::ZERO).unwrap().as_secs_f64();
            assert!((*step..=step * 1.25).contains(&wait), "{wait} for {step}");
        });
        assert_eq!(Patience::new(Duration::ZERO).next(Duration::ZERO), None);
    }

    #[test]
    fn reads_seconds_and_dates() {
        let told = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(told("7"), Some(Duration::from_secs(7)));
        assert_eq!(told("99999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(told("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(Duration::from_secs(1 << 30) < told("Fri, 31 Dec 9999 23:59:59 GMT").unwrap());
        for nothing in ["", "-1", "1.5", "soon"] {
            assert_eq!(told(nothing), None, "{nothing}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
