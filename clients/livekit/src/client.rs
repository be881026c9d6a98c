//! The calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use livekit_api::access_token::{AccessToken, VideoGrants};
use livekit_api::services::ServiceError;
use livekit_api::services::room::RoomClient;
use url::Url;

use crate::{Error, Participant, ParticipantState, Permission, Room, RoomOptions, Track, TrackSource};

/// A viewer is told within 3 s that LiveKit is away (issue 3): a call may not take longer than this.
const TIMEOUT: Duration = Duration::from_secs(2);

/// LiveKit's API. Cheap to clone; clones share connections. `Debug` shows no secret.
#[derive(Clone)]
pub struct Client {
    base: Url,
    rooms: Arc<RoomClient>,
    http: reqwest::Client,
    keys: Keys,
}

#[derive(Clone)]
struct Keys {
    key: String,
    secret: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the LiveKit at `url` (`http`, `https`, `ws` or `wss`). Connects with the first call.
    ///
    /// # Errors
    /// [`Error::Address`] when `url` is none.
    pub fn new(url: &str, api_key: &str, api_secret: &str) -> Result<Self, Error> {
        let http_url = match url.split_once("://") {
            Some(("ws", rest)) => format!("http://{rest}"),
            Some(("wss", rest)) => format!("https://{rest}"),
            _ => url.to_owned(),
        };
        let base = Url::parse(&http_url).map_err(|error| Error::Address(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(Error::Address(format!("its scheme is {}", base.scheme())));
        }
        // Failover is between regions of LiveKit's own cloud.
        let rooms = RoomClient::with_api_key(&http_url, api_key, api_secret)
            .with_failover(false)
            .with_request_timeout(TIMEOUT);
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        let keys = Keys {
            key: api_key.to_owned(),
            secret: api_secret.to_owned(),
        };
        Ok(Self {
            base,
            rooms: Arc::new(rooms),
            http,
            keys,
        })
    }

    /// Whether LiveKit takes work. Stays so while it drains (research/whip-lab.md §2b).
    ///
    /// # Errors
    /// When it does not.
    pub async fn health(&self) -> Result<(), Error> {
        let status = self.http.get(self.base.clone()).send().await?.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(Error::Unhealthy(status.as_u16()))
        }
    }

    /// All rooms.
    ///
    /// # Errors
    /// When they can't be had.
    pub async fn list_rooms(&self) -> Result<Vec<Room>, Error> {
        // Taken apart here, so that the TURN password goes no further.
        let rooms = self
            .answer(self.rooms.list_rooms(Vec::new()).await)
            .await?
            .into_iter()
            .map(|room| Room {
                sid: room.sid,
                name: room.name,
                participants: room.num_participants,
                publishers: room.num_publishers,
                metadata: room.metadata,
            });
        Ok(rooms.collect())
    }

    /// Makes a room, or gives new times to one that is there.
    ///
    /// # Errors
    /// When LiveKit refuses or is away.
    pub async fn create_room(&self, name: &str, options: RoomOptions) -> Result<(), Error> {
        self.answer(self.rooms.create_room(name, options.into()).await)
            .await?;
        Ok(())
    }

    /// Ends a room and sends everybody out; one that is not there is no error. A publisher whose forward is still on makes it
    /// anew within 8 s (research/whip-lab.md §2c).
    ///
    /// # Errors
    /// When LiveKit is away.
    pub async fn delete_room(&self, name: &str) -> Result<(), Error> {
        absent_is_ok(self.answer(self.rooms.delete_room(name).await).await)
    }

    /// Who is in a room; nobody when there is no such room.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn list_participants(&self, room: &str) -> Result<Vec<Participant>, Error> {
        let participants = match self.answer(self.rooms.list_participants(room).await).await {
            // LiveKit answers with an empty list; with several nodes also with this.
            Err(Error::NotFound) => return Ok(Vec::new()),
            answer => answer?,
        };
        let participants = participants.into_iter().map(|info| {
            let state = ParticipantState::parse(info.state().as_str_name());
            let permission = info.permission.map(|permission| Permission {
                subscribe: permission.can_subscribe,
                publish: permission.can_publish,
                publish_data: permission.can_publish_data,
                publish_sources: permission
                    .can_publish_sources()
                    .map(|source| TrackSource::parse(source.as_str_name()))
                    .collect(),
                update_metadata: permission.can_update_metadata,
            });
            let tracks = info.tracks.into_iter().map(|track| Track {
                source: TrackSource::parse(track.source().as_str_name()),
                sid: track.sid,
                mime_type: track.mime_type,
                muted: track.muted,
                width: track.width,
                height: track.height,
            });
            Participant {
                sid: info.sid,
                identity: info.identity,
                name: info.name,
                is_publisher: info.is_publisher,
                state,
                joined_at: info.joined_at,
                permission: permission.unwrap_or_default(),
                tracks: tracks.collect(),
            }
        });
        Ok(participants.collect())
    }

    /// Sends somebody out of a room; who is not there is no error. They can come back while their token lives.
    ///
    /// # Errors
    /// When LiveKit is away.
    pub async fn remove_participant(&self, room: &str, identity: &str) -> Result<(), Error> {
        absent_is_ok(
            self.answer(self.rooms.remove_participant(room, identity).await)
                .await,
        )
    }

    /// livekit-api loses the status of an answer whose body is not JSON, and LiveKit refuses a wrong key in plain text: only
    /// then the status is asked for once more.
    async fn answer<T>(&self, answer: Result<T, ServiceError>) -> Result<T, Error> {
        match answer.map_err(Error::from) {
            Err(error @ Error::Protocol(_)) => Err(if self.key_is_refused().await {
                Error::Unauthorized
            } else {
                error
            }),
            answer => answer,
        }
    }

    async fn key_is_refused(&self) -> bool {
        let grants = VideoGrants {
            room_list: true,
            ..VideoGrants::default()
        };
        let token = AccessToken::with_api_key(&self.keys.key, &self.keys.secret)
            .with_grants(grants)
            .with_ttl(Duration::from_secs(60))
            .to_jwt();
        let Ok(token) = token else { return false };
        let mut url = self.base.clone();
        url.set_path("/twirp/livekit.RoomService/ListRooms");
        let question = self
            .http
            .post(url)
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body("{}");
        question
            .send()
            .await
            .is_ok_and(|answer| matches!(answer.status().as_u16(), 401 | 403))
    }
}

fn absent_is_ok(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(Error::NotFound) => Ok(()),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, base) in [
            ("ws://livekit:7880", Some("http://livekit:7880/")),
            ("wss://livekit", Some("https://livekit/")),
            ("http://livekit:7880", Some("http://livekit:7880/")),
            ("ftp://livekit", None),
            ("livekit", None),
        ] {
            let client = Client::new(url, "key", "geheim").ok();
            assert_eq!(client.as_ref().map(|client| client.base.as_str()), base, "{url}");
            assert!(!format!("{client:?}").contains("geheim"));
        }
    }
}
