//! `/ws/updates`: a snapshot of the cameras, then every change, in order. Who falls behind gets a new snapshot
//! instead of a backlog.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{
    CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection,
};
use axum::extract::{Query, State};
use axum::response::Response;
use futures::{SinkExt, StreamExt};
use marsad_identity::Caller;
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, MissedTickBehavior};

use crate::cameras::store::{Cameras, Entry, Update};
use crate::problem::{Code, Problem};
use crate::request::Client;
use crate::router::Api;

/// The server pings this often; whoever is silent for two of them is gone.
const PING: Duration = Duration::from_secs(25);
/// A message that a client has not taken in this time: it is gone, or hopelessly behind.
const SEND_DEADLINE: Duration = Duration::from_secs(20);
/// Largest message from a client, bytes. Clients have nothing to say.
const LARGEST_MESSAGE: usize = 4 * 1024;
/// Close codes: RFC 6455 "going away", and ours for the end of a session.
const GOING_AWAY: u16 = 1001;
const SESSION_ENDED: u16 = 4401;

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    pub(crate) ticket: String,
}

pub(crate) async fn connect(
    State(api): State<Api>,
    client: Client,
    Query(asked): Query<Asked>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    // First, so that a plain GET does not use the ticket up.
    let upgrade = upgrade.map_err(|_| Problem::from(Code::UpgradeRequired))?;
    let now = api.now();
    let caller = api
        .tickets()
        .redeem(&asked.ticket, now.steady)
        .ok_or(Code::TicketInvalid)?;
    if !api.cameras().is_ready() {
        return Err(Problem::from(Code::CamerasNotReady).retry_after(1));
    }
    let left = caller.expires_at.duration_since(now.wall);
    let ends = Instant::now() + Duration::try_from(left).unwrap_or_default();
    tracing::debug!(
        user_id = caller.id,
        request_id = client.request_id,
        "updates_opened"
    );
    Ok(upgrade
        .max_message_size(LARGEST_MESSAGE)
        .max_frame_size(LARGEST_MESSAGE)
        .on_upgrade(async move |socket| talk(api, caller, socket, ends).await))
}

async fn talk(api: Api, caller: Caller, socket: WebSocket, ends: Instant) {
    api.metrics().updates_open.inc();
    let why = converse(&api, socket, ends).await;
    api.metrics().updates_open.dec();
    tracing::debug!(user_id = caller.id, why, "updates_closed");
}

async fn converse(api: &Api, socket: WebSocket, ends: Instant) -> &'static str {
    let (mut sink, mut incoming) = socket.split();
    let mut feed = Feed::new(api.cameras().clone());
    let mut ping = tokio::time::interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent = 0_u8;
    loop {
        let (message, last) = tokio::select! {
            text = feed.next() => match text {
                Some((text, snapshot)) => {
                    if let Some(reason) = snapshot {
                        api.metrics().snapshot(reason);
                    }
                    (Message::Text(text), None)
                }
                None => return "no more updates",
            },
            received = incoming.next() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return "the client left",
                Some(Ok(_)) => {
                    silent = 0;
                    continue;
                }
            },
            _ = ping.tick() => {
                if silent >= 2 {
                    return "the client is silent";
                }
                silent = silent.saturating_add(1);
                (Message::Ping(bytes::Bytes::new()), None)
            }
            () = tokio::time::sleep_until(ends) => (closing(SESSION_ENDED, "session ended"), Some("the session ended")),
            () = api.stop().cancelled() => (closing(GOING_AWAY, "restarting"), Some("we stop")),
        };
        match tokio::time::timeout(SEND_DEADLINE, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return "the connection broke",
            Err(_) => return "the client takes nothing",
        }
        if let Some(why) = last {
            return why;
        }
    }
}

fn closing(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    }))
}

/// What one connection is to be told next.
struct Feed {
    cameras: Cameras,
    pending: Option<Vec<Arc<Entry>>>,
    told: Receiver<Update>,
    seq: u64,
}

impl Feed {
    fn new(cameras: Cameras) -> Self {
        let (snapshot, told) = cameras.subscribe();
        Self {
            cameras,
            pending: Some(snapshot),
            told,
            seq: 0,
        }
    }

    /// The next message, and why, when it is a snapshot. Safe to drop while it waits.
    async fn next(&mut self) -> Option<(Utf8Bytes, Option<&'static str>)> {
        if let Some(snapshot) = self.pending.take() {
            return Some((self.snapshot(&snapshot), Some("first")));
        }
        let update = match self.told.recv().await {
            Ok(update) => update,
            Err(RecvError::Lagged(_)) => {
                let (snapshot, told) = self.cameras.subscribe();
                self.told = told;
                return Some((self.snapshot(&snapshot), Some("lagged")));
            }
            Err(RecvError::Closed) => return None,
        };
        self.seq = self.seq.saturating_add(1);
        let seq = self.seq;
        let text = match update {
            Update::Changed(entry) => format!(r#"{{"type":"camera","seq":{seq},"camera":{}}}"#, entry.json),
            Update::Deleted(id) => format!(r#"{{"type":"camera_deleted","seq":{seq},"id":"{id}"}}"#),
        };
        Some((text.into(), None))
    }

    fn snapshot(&mut self, entries: &[Arc<Entry>]) -> Utf8Bytes {
        self.seq = self.seq.saturating_add(1);
        let cameras: Vec<&str> = entries.iter().map(|entry| entry.json.as_ref()).collect();
        format!(
            r#"{{"type":"snapshot","seq":{},"cameras":[{}]}}"#,
            self.seq,
            cameras.join(",")
        )
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::store::BACKLOG;
    use crate::cameras::testing::{apply, camera, delete, listed};
    use serde_json::Value;

    async fn told(feed: &mut Feed) -> (Value, Option<&'static str>) {
        let (text, why) = feed.next().await.unwrap();
        (serde_json::from_str(&text).unwrap(), why)
    }

    #[tokio::test]
    async fn a_snapshot_then_each_change_with_seq_one_higher() {
        let cameras = Cameras::default();
        listed(&cameras, &[camera("police", "b"), camera("metro", "a")]);
        let mut feed = Feed::new(cameras.clone());
        let (snapshot, why) = told(&mut feed).await;
        assert_eq!(
            (snapshot["type"].as_str(), snapshot["seq"].as_u64(), why),
            (Some("snapshot"), Some(1), Some("first"))
        );
        assert_eq!(
            (
                snapshot["cameras"][0]["name"].as_str(),
                snapshot["cameras"][1]["name"].as_str()
            ),
            (Some("a"), Some("b"))
        );

        let mut changed = camera("police", "b");
        changed.spec.suspend = true;
        apply(&cameras, changed.clone());
        // Nothing of the view changed: nothing is told.
        changed.metadata.resource_version = Some("2".into());
        apply(&cameras, changed.clone());
        delete(&cameras, changed);
        let (update, _) = told(&mut feed).await;
        assert_eq!(
            (update["type"].as_str(), update["seq"].as_u64()),
            (Some("camera"), Some(2))
        );
        assert_eq!(update["camera"]["state"], "suspended");
        let (update, _) = told(&mut feed).await;
        assert_eq!(
            (update["type"].as_str(), update["seq"].as_u64()),
            (Some("camera_deleted"), Some(3))
        );
        assert_eq!(update["id"], marsad_crds::camera_id("police", "b").to_string());
    }

    #[tokio::test]
    async fn who_is_slow_gets_a_fresh_snapshot_instead_of_the_backlog() {
        let cameras = Cameras::default();
        listed(&cameras, &[camera("police", "a")]);
        let mut feed = Feed::new(cameras.clone());
        told(&mut feed).await;
        for n in 0..=BACKLOG {
            let mut camera = camera("police", "a");
            camera.spec.suspend = n % 2 == 0;
            apply(&cameras, camera);
        }
        apply(&cameras, camera("police", "last"));
        let (snapshot, why) = told(&mut feed).await;
        assert_eq!(
            (snapshot["type"].as_str(), snapshot["seq"].as_u64(), why),
            (Some("snapshot"), Some(2), Some("lagged"))
        );
        assert_eq!(snapshot["cameras"].as_array().unwrap().len(), 2);
        // Nothing of the backlog follows.
        apply(&cameras, camera("police", "new"));
        let (update, _) = told(&mut feed).await;
        assert_eq!(
            (update["seq"].as_u64(), update["camera"]["name"].as_str()),
            (Some(3), Some("new"))
        );
    }
}
