//! Fetches the parts of a directory delta, up to four at a time.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::decode::Parts;
use super::error::PullDirectoryError;
use super::fetch::{Fetched, Resource, Resume};
use super::part_file::{Arrival, PartFile, PartReader};
use super::requests::Requests;
use crate::client::request::{Asset, DeltaBody};
use crate::client::{PullError, PullState};
use crate::task::{TaskFailed, blocking};

/// Parts that are fetched at the same time.
const IN_FLIGHT: usize = 4;
/// Parts that are decoded at the same time. A decoder takes some 10 MiB of memory.
const DECODERS: usize = 2;
/// The most pieces that wait for the thread that writes them.
const QUEUE: usize = 8;

/// Why the parts could not be fetched.
pub(super) enum PartsError {
    /// The server no longer has a part: ask for another directory delta.
    Gone,
    Failed(PullDirectoryError),
}

impl<E: Into<PullDirectoryError>> From<E> for PartsError {
    fn from(error: E) -> PartsError {
        PartsError::Failed(error.into())
    }
}

/// The bytes of part 0 that follow the directory delta, if they are still to come.
pub(super) type Inline = Option<DeltaBody>;

/// Fetches all wanted parts. `pair` names the directory delta, such as `H-T`. If one fails, the others keep what they
/// have.
pub(super) async fn fetch_all(
    requests: &Requests,
    parts: Arc<Parts>,
    folder: PathBuf,
    pair: &str,
    mut inline: Inline,
) -> Result<(), PartsError> {
    let (stop, stopped) = watch::channel(false);
    let (flights, decoders) = (Arc::new(Semaphore::new(IN_FLIGHT)), Arc::new(Semaphore::new(DECODERS)));
    let mut running = JoinSet::new();
    let mut result = Ok(());
    let wanted = (0..parts.parts.len()).filter(|number| parts.is_wanted(&parts.parts[*number]));
    for number in wanted.collect::<Vec<_>>() {
        let Ok(flight) = flights.clone().acquire_owned().await else { break };
        while let Some(ended) = running.try_join_next() {
            note(ended, &mut result, &stop);
        }
        if result.is_err() {
            break;
        }
        let planned = &parts.parts[number];
        let key = format!("{}-{}", planned.name, &planned.basis.to_string()[..16]);
        let resource = match planned.bases.is_empty() {
            true => format!("part/{}", planned.name),
            false => format!("{pair}/{number}"),
        };
        let fetch = PartFetch {
            parts: parts.clone(),
            number,
            resource,
            path: folder.join(key),
            requests: requests.clone(),
            asset: requests.asset()?,
            stopped: stopped.clone(),
            decoders: decoders.clone(),
        };
        let body = inline.take().filter(|_| number == 0);
        running.spawn(async move {
            let _flight = flight;
            fetch.run(body).await
        });
    }
    // The connection with part 0 is closed if the part is not wanted.
    drop(inline);
    while let Some(ended) = running.join_next().await {
        note(ended, &mut result, &stop);
    }
    result
}

fn note(
    ended: Result<Result<(), PartsError>, tokio::task::JoinError>,
    result: &mut Result<(), PartsError>,
    stop: &watch::Sender<bool>,
) {
    let ended = ended.unwrap_or_else(|error| Err(TaskFailed::of(error).into()));
    if let Err(error) = ended {
        // The error of a part that was stopped says less than the one that stopped it.
        if result.is_ok() {
            *result = Err(error);
        }
        stop.send_replace(true);
    }
}

/// One part that is fetched.
struct PartFetch {
    parts: Arc<Parts>,
    number: usize,
    resource: String,
    path: PathBuf,
    requests: Requests,
    asset: Asset,
    stopped: watch::Receiver<bool>,
    decoders: Arc<Semaphore>,
}

impl PartFetch {
    async fn run(mut self, inline: Option<DeltaBody>) -> Result<(), PartsError> {
        let result = self.fetch(inline).await;
        self.requests.add(self.asset.cost());
        result
    }

    async fn fetch(&mut self, inline: Option<DeltaBody>) -> Result<(), PartsError> {
        let (path, resource) = (self.path.clone(), self.asset.resource(&self.resource).to_string());
        let mut file = blocking(move || Ok::<_, PullDirectoryError>(PartFile::open(&path, &resource))).await?;
        // What an earlier pull kept can be continued; the bytes that follow the directory delta cannot.
        let body = match inline.filter(|_| file.len() == 0) {
            Some(body) => {
                file = restart(file, None).await?;
                Some(body)
            }
            None if file.is_whole => None,
            None => match self.ask(&file).await? {
                Fetched::Body(body) => {
                    if !body.continues() {
                        file = restart(file, body.etag()).await?;
                    }
                    Some(body)
                }
                Fetched::NoMore => {
                    file.complete().map_err(unwritten)?;
                    None
                }
                Fetched::Missing(_) | Fetched::NotTaken => {
                    file.discard();
                    return Err(PartsError::Gone);
                }
            },
        };
        let reader = file.reader().map_err(unwritten)?;
        let arrival = Arc::new(Arrival::default());
        arrival.add(file.len());
        let decoding = self.decode(reader, arrival.clone());
        let (file, written) = match body {
            Some(body) => {
                let writing = self.receive(body, file, &arrival);
                let ((file, written), decoded) = tokio::join!(writing, decoding);
                (file, merge(written, decoded))
            }
            None => {
                arrival.end(true);
                (Some(file), decoding.await)
            }
        };
        // Complete or wrong bytes are of no use; those that were cut off are continued by the next pull.
        if let Some(mut file) = file
            && written.as_ref().map_or_else(PullDirectoryError::is_about_bytes, |()| true)
        {
            file.discard();
        }
        Ok(written?)
    }

    async fn ask(&mut self, file: &PartFile) -> Result<Fetched, PullError> {
        let resume = (file.len() != 0).then(|| Resume { len: file.len(), etag: &file.label.etag });
        self.asset.fetch(Resource::Part, &self.resource, resume).await
    }

    /// Writes a body into its file until it ends, the decoder fails, or another part fails. A response that is cut off
    /// is continued, as long as each one brings something.
    async fn receive(
        &mut self,
        mut body: DeltaBody,
        mut file: PartFile,
        arrival: &Arc<Arrival>,
    ) -> (Option<PartFile>, Result<(), PullDirectoryError>) {
        let result = loop {
            let before = file.len();
            let received = match self.write(body, file, arrival).await {
                Ok((written, received)) => {
                    file = written;
                    received
                }
                Err(error) => {
                    arrival.end(false);
                    return (None, Err(error));
                }
            };
            match received {
                Ok(true) => break file.complete().map_err(unwritten),
                Ok(false) => {
                    arrival.end(false);
                    return (Some(file), Ok(()));
                }
                Err(error) => match self.rest(&file, before).await {
                    Some(rest) => body = rest,
                    None => break Err(error.into()),
                },
            }
        };
        arrival.end(result.is_ok());
        (Some(file), result)
    }

    /// The rest of a response that was cut off; `None` if it brought nothing, or cannot be continued.
    async fn rest(&mut self, file: &PartFile, before: u64) -> Option<DeltaBody> {
        if file.len() <= before || file.label.etag.is_empty() || *self.stopped.borrow() {
            return None;
        }
        match self.ask(file).await {
            Ok(Fetched::Body(body)) if body.continues() => Some(body),
            _ => None,
        }
    }

    /// Writes one response. Gives whether it is complete: it is not if the decoder or another part failed.
    async fn write(
        &mut self,
        mut body: DeltaBody,
        mut file: PartFile,
        arrival: &Arc<Arrival>,
    ) -> Result<(PartFile, Result<bool, PullError>), PullDirectoryError> {
        let (pieces, mut queue) = mpsc::channel::<bytes::Bytes>(QUEUE);
        let arriving = arrival.clone();
        let writer = tokio::spawn(blocking(move || {
            while let Some(bytes) = queue.blocking_recv() {
                file.append(&bytes).map_err(unwritten)?;
                if !arriving.add(file.len()) {
                    break;
                }
            }
            Ok(file)
        }));
        let received = loop {
            let next = tokio::select! {
                next = body.next(self.asset.cost()) => next,
                _ = self.stopped.wait_for(|stop| *stop) => break Ok(false),
            };
            match next {
                Ok(Some(bytes)) => {
                    self.requests.received(bytes.len());
                    if pieces.send(bytes).await.is_err() {
                        break Ok(false);
                    }
                }
                Ok(None) => break Ok(true),
                Err(error) => break Err(error),
            }
        };
        drop(pieces);
        let written: Result<_, PullDirectoryError> =
            writer.await.unwrap_or_else(|error| Err(TaskFailed::of(error).into()));
        written.map(|file| (file, received))
    }

    fn decode(
        &self,
        reader: PartReader,
        arrival: Arc<Arrival>,
    ) -> impl Future<Output = Result<(), PullDirectoryError>> + use<> {
        let (parts, number, decoders) = (self.parts.clone(), self.number, self.decoders.clone());
        let requests = self.requests.clone();
        async move {
            let _permit = decoders.acquire().await;
            blocking(move || {
                let decoded = parts
                    .decode(&parts.parts[number], &reader, &arrival, &|| requests.report_state(PullState::Receiving));
                arrival.refuse();
                decoded
            })
            .await
        }
    }
}

/// Begins with another response.
async fn restart(mut file: PartFile, etag: Option<&str>) -> Result<PartFile, PullDirectoryError> {
    let etag = etag.map(str::to_owned);
    blocking(move || file.restart(etag.as_deref()).map(|()| file).map_err(unwritten)).await
}

/// The error that says why both ended.
fn merge(
    written: Result<(), PullDirectoryError>,
    decoded: Result<(), PullDirectoryError>,
) -> Result<(), PullDirectoryError> {
    match (written, decoded) {
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(decoded)) if decoded.is_network() => Err(error),
        (_, decoded) => decoded,
    }
}

fn unwritten(error: std::io::Error) -> PullDirectoryError {
    PullDirectoryError::store("cannot keep the bytes of a part", error)
}
