//! The metrics of `driblet serve`, at an address of their own.

use std::net::SocketAddr;
use std::time::Duration;

use driblet::{HISTOGRAMS, Listener, ServeOptions, Server};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use crate::failure::Failure;

/// How often the samples of histograms are added up. Until then each takes 16 bytes.
const UPKEEP: Duration = Duration::from_secs(5);
/// The most connections: a collector or two, and somebody who looks.
const MAX_CONNECTIONS: usize = 16;

/// What keeps the metrics, and where they are read.
pub(crate) struct Metrics {
    recorder: PrometheusHandle,
    socket: TcpListener,
    /// Where they are, for people.
    pub(crate) url: String,
}

impl Metrics {
    /// Listens, and installs the recorder. Call it before the server is built, which takes its handles from the recorder.
    pub(crate) async fn begin(address: SocketAddr) -> Result<Metrics, Failure> {
        let cannot = |error| Failure::new(format_args!("cannot listen on {address} for metrics"), &error);
        let socket = TcpListener::bind(address).await.map_err(cannot)?;
        let url = format!("http://{}/metrics", socket.local_addr().map_err(cannot)?);
        let failed = |error| Failure::new("cannot keep metrics", &error);
        let builder = HISTOGRAMS.into_iter().try_fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)
        });
        let recorder = builder.map_err(failed)?.install_recorder().map_err(failed)?;
        Ok(Metrics { recorder, socket, url })
    }

    /// Answers until `stop` completes.
    pub(crate) async fn serve(self, server: &Server, stop: impl Future<Output = ()>) -> std::io::Result<usize> {
        let Metrics { recorder, socket, .. } = self;
        let upkeep = recorder.clone();
        let app = server.metrics_router(move || recorder.render());
        let options = ServeOptions::default().max_connections(MAX_CONNECTIONS).observed(false);
        tokio::select! {
            served = driblet::serve_until(Listener::from(socket), app, options, stop) => served,
            never = keep(upkeep) => match never {},
        }
    }
}

/// Adds up the samples of histograms again and again.
async fn keep(recorder: PrometheusHandle) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(UPKEEP).await;
        recorder.run_upkeep();
    }
}
