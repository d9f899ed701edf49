//! Streams over HTTP/2, a hundred on a connection.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::board::Board;
use crate::events::{Event, Events};
use crate::{AT_A_TIME, Failure, Place, connect};

/// The most that a driblet server answers at a time on one connection.
const EACH: usize = 100;

/// Opens the streams, one connection after the other.
pub(crate) async fn open(place: &Place, count: usize, board: &Arc<Board>) -> Result<(), Failure> {
    let permits = Arc::new(Semaphore::new(AT_A_TIME));
    for first in (0..count).step_by(EACH) {
        let (client, connection) = h2::client::handshake(connect(place).await?).await?;
        tokio::spawn(connection);
        let mut client = client.ready().await?;
        for _ in first..count.min(first + EACH) {
            let permit = permits.clone().acquire_owned().await?;
            tokio::spawn(stream(place.clone(), client.clone(), board.clone(), permit));
            client = client.ready().await?;
        }
    }
    Ok(())
}

/// Reads one stream to its end.
async fn stream(
    place: Place,
    client: SendRequest<Bytes>,
    board: Arc<Board>,
    permit: OwnedSemaphorePermit,
) -> Result<(), Failure> {
    let request = Request::get(format!("http://{}{}", place.address, place.path)).body(())?;
    let (response, _) = client.ready().await?.send_request(request, true)?;
    let mut body = response.await?.into_body();
    let (mut events, mut has_begun, mut permit) = (Events::default(), false, Some(permit));
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        let now = Instant::now();
        events.take(&piece, |event| {
            board.note(|seen| match event {
                _ if !has_begun => seen.began.push(now),
                Event::Head => seen.heads.push(now),
                Event::Alive => {}
            });
            has_begun = true;
            permit = None;
        });
    }
    Ok(())
}
