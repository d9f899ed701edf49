//! Sends the events of one asset to its streams.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use super::asset::{Asset, AssetHead};
use crate::history::Epoch;
use crate::live::{LiveEvent, Newest, spread_of};
use crate::site::Site;
use crate::task::caught;

/// The longest delta that is part of an event, in bytes.
const INLINE: u64 = 32 << 10;
/// How long an event waits for its delta.
const INLINE_TIMEOUT: Duration = Duration::from_millis(50);

/// Sends the events of an asset as long as it has streams.
pub(super) async fn follow(site: Arc<Site>, asset: Asset, newest: Arc<watch::Sender<Newest>>) {
    let key = asset.key();
    // After a panic, the streams end and their receivers come back.
    if caught(send_events(&site, &asset, &key, &newest)).await.is_err() {
        site.live.end_all(&key);
    }
}

async fn send_events(site: &Arc<Site>, asset: &Asset, key: &str, newest: &watch::Sender<Newest>) {
    let epoch = site.history.epoch();
    let mut watched = site.publisher.watch(asset.file());
    let mut before: Option<AssetHead> = None;
    loop {
        let counter = counter_of(site, key);
        watched.renew().await;
        match asset.head(site).await {
            Ok(Some(head)) if before.is_none_or(|before| before.counter != head.counter) => {
                let event = event(site, asset, epoch, (before, head), newest.receiver_count()).await;
                newest.send_replace(Some(Arc::new(event)));
                before = Some(head);
            }
            Ok(_) => {}
            // The next look may succeed. A request for the asset is told.
            Err(error) => debug!(key, %error, "an asset with live streams cannot be looked at"),
        }
        tokio::select! {
            () = is_published(site, key, counter) => {}
            () = watched.changed() => {}
            () = newest.closed() => {
                if site.live.end(key, newest) {
                    return;
                }
            }
        }
    }
}

/// Waits until the history has another head of an asset than the one with this counter: a request may publish one. Each
/// publication of any path is told here, so this asks the history, and not the disk.
async fn is_published(site: &Site, key: &str, counter: Option<u64>) {
    loop {
        let published = site.publisher.published().notified();
        if counter_of(site, key) != counter {
            return;
        }
        published.await;
    }
}

fn counter_of(site: &Site, key: &str) -> Option<u64> {
    site.history.head(key).map(|head| head.counter)
}

async fn event(
    site: &Site,
    asset: &Asset,
    epoch: Epoch,
    (before, head): (Option<AssetHead>, AssetHead),
    streams: usize,
) -> LiveEvent {
    let AssetHead { version, len, counter } = head;
    let mut data = json!({
        "version": version.to_string(), "length": len, "counter": counter, "epoch": epoch.to_string()
    });
    if let Some(before) = before {
        // If it takes longer, receivers ask for the delta, and share it.
        let delta = timeout(INLINE_TIMEOUT, asset.short_delta(site, before.version, version, INLINE)).await;
        match delta {
            Ok(Ok(Some(delta))) => {
                data["from"] = before.version.to_string().into();
                data["delta"] = STANDARD.encode(delta).into();
            }
            _ => data["spread"] = spread_of(streams).into(),
        }
    }
    let text = format!("id: {epoch}.{counter}\nevent: head\ndata: {data}\n\n");
    LiveEvent { counter, text: text.into() }
}
