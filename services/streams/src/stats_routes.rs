//! `GET /api/v1/stream/stats` and `/ws/stream/stats` (R1.3-04, -17, -18): what is live, as last read from the ledger. A connection gets a
//! snapshot at once and another whenever the figures change; who is slow gets the newest only.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::{SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::leases::stats::Snapshot;
use crate::problem::Refusal;
use crate::routes::{Shared, answer, caller};

/// The server pings this often; whoever is silent for two of them is gone.
const PING: Duration = Duration::from_secs(25);
/// A message that a client has not taken in this time: it is gone.
const SEND_DEADLINE: Duration = Duration::from_secs(20);
/// Clients have nothing to say.
const LARGEST_MESSAGE: usize = 4 * 1024;

pub(crate) async fn stats(State(shared): State<Shared>, uri: OriginalUri, headers: HeaderMap) -> Response {
    let outcome = async {
        caller(&shared.verifier, &headers).await?;
        let snapshot = shared.live.leases().snapshot();
        let snapshot = snapshot.ok_or(Refusal::LedgerUnavailable)?;
        Ok(([(header::CACHE_CONTROL, "no-store")], Json(&*snapshot)).into_response())
    };
    answer(outcome.await, &uri, &headers)
}

pub(crate) async fn connect(
    State(shared): State<Shared>,
    uri: OriginalUri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let outcome = async {
        let claims = caller(&shared.verifier, &headers).await?;
        let left = claims.expires_at().duration_since(jiff::Timestamp::now());
        let ends = tokio::time::Instant::now() + Duration::try_from(left).unwrap_or_default();
        let stats = shared.live.leases().follow_stats();
        Ok(upgrade
            .max_message_size(LARGEST_MESSAGE)
            .max_frame_size(LARGEST_MESSAGE)
            .on_upgrade(async move |socket| talk(socket, stats, ends).await))
    };
    answer(outcome.await, &uri, &headers)
}

async fn talk(
    socket: WebSocket,
    mut stats: watch::Receiver<Option<Arc<Snapshot>>>,
    ends: tokio::time::Instant,
) {
    let (mut sink, mut incoming) = socket.split();
    let mut ping = tokio::time::interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent = 0_u8;
    // The first one is news to a new connection.
    stats.mark_changed();
    loop {
        let message = tokio::select! {
            changed = stats.changed() => {
                if changed.is_err() {
                    return;
                }
                let snapshot = stats.borrow_and_update().clone();
                match snapshot.map(|snapshot| serde_json::to_string(&*snapshot)) {
                    Some(Ok(text)) => Message::text(text),
                    Some(Err(_)) | None => continue,
                }
            }
            received = incoming.next() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {
                    silent = 0;
                    continue;
                }
            },
            _ = ping.tick() => {
                if silent >= 2 {
                    return;
                }
                silent = silent.saturating_add(1);
                Message::Ping(bytes::Bytes::new())
            }
            () = tokio::time::sleep_until(ends) => return,
        };
        if !matches!(
            tokio::time::timeout(SEND_DEADLINE, sink.send(message)).await,
            Ok(Ok(()))
        ) {
            return;
        }
    }
}
