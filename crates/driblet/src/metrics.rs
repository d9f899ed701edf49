//! All metrics: their names, units and labels.
//!
//! They go to the recorder of the crate `metrics` that is installed when a server is built; without one they cost some
//! nanoseconds each. The set of series is fixed: no label has a value that comes from a request. Handles are made once,
//! so that no request looks a metric up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::metrics::{Counter, Gauge, Histogram, Unit};
use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const REQUESTS: &str = "driblet_requests_total";
const REQUEST_SECONDS: &str = "driblet_request_duration_seconds";
const SENT: &str = "driblet_sent_bytes_total";
const SYNCS: &str = "driblet_syncs_total";
const SAVED: &str = "driblet_sync_saved_bytes_total";
const ENCODE_SECONDS: &str = "driblet_encode_duration_seconds";
const QUEUE: &str = "driblet_encode_queue_jobs";
const HISTORY_BYTES: &str = "driblet_history_bytes";
const HISTORY_VERSIONS: &str = "driblet_history_versions";
const CONNECTIONS: &str = "driblet_connections";
const LIVE_STREAMS: &str = "driblet_live_streams";
const PUBLISHES: &str = "driblet_publishes_total";

/// The histograms among the metrics, and the upper bounds of their buckets, in seconds.
///
/// A recorder may take these bounds or others.
///
/// ```
/// for (name, bounds) in driblet::HISTOGRAMS {
///     println!("{name} has {} buckets", bounds.len());
/// }
/// ```
pub const HISTOGRAMS: [(&str, &[f64]); 2] = [
    // From a file in memory to a poll that waits for a minute.
    (REQUEST_SECONDS, &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0]),
    // From a short file to the densest delta of a long one.
    (ENCODE_SECONDS, &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
];

/// Tells the recorder what each metric says. Repeated calls have no effect.
fn describe() {
    describe_counter!(
        REQUESTS,
        Unit::Count,
        "Requests that were answered, by what they ask for and by the class of the status."
    );
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time from the head of a request to the end of its answer, but for live streams. Requests for a head may wait for a change."
    );
    describe_counter!(SENT, Unit::Bytes, "Bytes of the bodies of answers, before TLS.");
    describe_counter!(SYNCS, Unit::Count, "Deltas that receivers were sent, by what the delta was made from.");
    describe_counter!(
        SAVED,
        Unit::Bytes,
        "Length of what receivers got by deltas that were sent to their ends, without the bytes that were sent."
    );
    describe_histogram!(
        ENCODE_SECONDS,
        Unit::Seconds,
        "Time that an encoder ran for a delta or an encoded file, without waiting for a free encoder."
    );
    describe_gauge!(QUEUE, Unit::Count, "Deltas and encoded files that wait to be made in the background.");
    describe_gauge!(HISTORY_BYTES, Unit::Bytes, "Bytes of the versions in the history.");
    describe_gauge!(HISTORY_VERSIONS, Unit::Count, "Versions in the history; one that several paths have counts once.");
    describe_gauge!(CONNECTIONS, Unit::Count, "Open connections.");
    describe_gauge!(LIVE_STREAMS, Unit::Count, "Open live streams.");
    describe_counter!(
        PUBLISHES,
        Unit::Count,
        "New heads of files and of directories, those found at the start included."
    );
}

/// The values of a label.
macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $text:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $name { $($(#[$doc])* $value),* }

        impl $name {
            const TEXTS: [&str; [$($text),*].len()] = [$($text),*];
        }
    };
}

label! {
    /// What a request asks for.
    RequestKind {
        /// A file itself.
        Plain = "plain",
        /// The delta of a file or a directory.
        Delta = "delta",
        /// A part of the delta of a directory.
        Part = "part",
        Signature = "signature",
        /// A directory's delta from what a receiver says that it holds.
        Have = "have",
        Head = "head",
        Manifest = "manifest",
        /// A live stream.
        Live = "live",
        /// The browser client.
        Client = "client",
        Other = "other",
    }
}

label! {
    /// What a delta is made from.
    Basis {
        /// The receiver holds the target already.
        Same = "same",
        /// A version in the history.
        History = "history",
        /// Nothing.
        None = "none",
        /// A version of another path.
        Grant = "grant",
        /// What matched a signature.
        Signature = "signature",
        /// What a receiver says that it holds of a directory.
        Have = "have",
        /// A later part of a directory's delta, whatever that is made from. It is no sync of its own.
        Part = "part",
    }
}

label! {
    /// A codec of deltas, or a content coding.
    EncodeCodec {
        Fast = "fast",
        Dense = "dense",
        Auto = "auto",
        Brotli = "br",
        Zstd = "zstd",
        Gzip = "gzip",
        /// Brotli against a dictionary.
        #[cfg_attr(not(feature = "shared-brotli"), allow(dead_code))]
        DictionaryBrotli = "dcb",
        /// Zstandard against a dictionary.
        DictionaryZstd = "dcz",
    }
}

label! {
    /// Whether a request waited for the encoder.
    EncodeEffort { Interactive = "interactive", Background = "background" }
}

/// The classes of statuses.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is counted of requests.
pub(crate) struct RequestMetrics {
    requests: [[Counter; CLASSES.len()]; RequestKind::TEXTS.len()],
    seconds: [Histogram; RequestKind::TEXTS.len()],
    sent: [Counter; RequestKind::TEXTS.len()],
    syncs: [Counter; Basis::TEXTS.len() - 1],
    saved: [Counter; Basis::TEXTS.len()],
}

impl RequestMetrics {
    pub(crate) fn new() -> Arc<RequestMetrics> {
        describe();
        let kinds = RequestKind::TEXTS;
        let [syncs @ .., _part] = Basis::TEXTS;
        Arc::new(RequestMetrics {
            requests: kinds.map(|kind| CLASSES.map(|status| counter!(REQUESTS, "kind" => kind, "status" => status))),
            seconds: kinds.map(|kind| histogram!(REQUEST_SECONDS, "kind" => kind)),
            sent: kinds.map(|kind| counter!(SENT, "kind" => kind)),
            syncs: syncs.map(|basis| counter!(SYNCS, "basis" => basis)),
            saved: Basis::TEXTS.map(|basis| counter!(SAVED, "basis" => basis)),
        })
    }

    /// Counts a request whose answer has ended.
    pub(crate) fn answered(&self, kind: RequestKind, status: u16, time: Duration, bytes: u64) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.requests[kind as usize][class].increment(1);
        // A stream takes as long as its receiver stays.
        if kind != RequestKind::Live {
            self.seconds[kind as usize].record(time);
        }
        self.sent[kind as usize].increment(bytes);
    }

    /// Counts a delta whose answer begins.
    pub(crate) fn synced(&self, basis: Basis) {
        if let Some(syncs) = self.syncs.get(basis as usize) {
            syncs.increment(1);
        }
    }

    /// Counts a delta that was sent to its end.
    pub(crate) fn saved(&self, basis: Basis, bytes: u64) {
        self.saved[basis as usize].increment(bytes);
    }
}

/// What is measured of encoders.
pub(crate) struct EncodeMetrics {
    seconds: [[Histogram; EncodeEffort::TEXTS.len()]; EncodeCodec::TEXTS.len()],
}

impl EncodeMetrics {
    pub(crate) fn new() -> Arc<EncodeMetrics> {
        describe();
        let of = |codec, effort| histogram!(ENCODE_SECONDS, "codec" => codec, "effort" => effort);
        let seconds = EncodeCodec::TEXTS.map(|codec| EncodeEffort::TEXTS.map(|effort| of(codec, effort)));
        Arc::new(EncodeMetrics { seconds })
    }

    /// Runs an encoder, and notes how long it took if it succeeds.
    pub(crate) fn time<T, E>(
        &self,
        codec: EncodeCodec,
        effort: EncodeEffort,
        encode: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let begin = Instant::now();
        let encoded = encode()?;
        self.seconds[codec as usize][effort as usize].record(begin.elapsed());
        Ok(encoded)
    }
}

/// What is counted of publications.
pub(crate) struct PublishMetrics {
    pub(crate) files: Counter,
    pub(crate) directories: Counter,
}

impl PublishMetrics {
    pub(crate) fn new() -> PublishMetrics {
        describe();
        let [files, directories] = ["file", "directory"].map(|kind| counter!(PUBLISHES, "kind" => kind));
        PublishMetrics { files, directories }
    }
}

/// What is read from the state of a server, when somebody asks.
pub(crate) struct StateMetrics {
    pub(crate) queue: Gauge,
    pub(crate) history_bytes: Gauge,
    pub(crate) history_versions: Gauge,
}

impl StateMetrics {
    pub(crate) fn new() -> StateMetrics {
        describe();
        StateMetrics {
            queue: gauge!(QUEUE),
            history_bytes: gauge!(HISTORY_BYTES),
            history_versions: gauge!(HISTORY_VERSIONS),
        }
    }
}

/// How many connections are open.
pub(crate) fn connections() -> Gauge {
    describe();
    gauge!(CONNECTIONS)
}

/// How many live streams are open.
pub(crate) fn live_streams() -> Gauge {
    describe();
    gauge!(LIVE_STREAMS)
}
