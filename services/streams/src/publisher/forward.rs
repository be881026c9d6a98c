//! MediaMTX's own forward: it dials LiveKit by WHIP with a token that allows one camera in one room. `streams` patches
//! the field `forward` of a path and nothing else, and compares first (contracts.md 13a).

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use marsad_livekit::Tokens;
use marsad_mediamtx::{Error, ForwardEntry, ForwardState};
use serde::Deserialize;
use uuid::Uuid;

use super::{PublishError, Publisher};
use crate::camera::Placement;
use crate::reconcile::now;
use crate::shards::{Api, Shards};
use crate::standing::{Published, Shard};
use crate::track_watch::Source;

/// Life of a publisher's token; replaced at half of it. A forward whose token has ended can neither redial nor take its
/// leave (whip-lab.md §2c).
const TOKEN_LIFE: Duration = Duration::from_secs(12 * 3600);
const HALF: Duration = Duration::from_secs(6 * 3600);

/// Publishes by MediaMTX's forward.
pub struct ForwardPublisher {
    shards: Shards,
    whip_url: String,
    tokens: Tokens,
    key: DecodingKey,
    validation: Validation,
}

/// What is read back of a publisher's token.
#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    video: Grants,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grants {
    room: String,
    #[serde(default)]
    can_publish: bool,
}

impl ForwardPublisher {
    /// Publishes to `whip_url` (`whip://host:port/whip/v1`, as the shards resolve it) with tokens of this LiveKit key.
    pub fn new(shards: Shards, whip_url: impl Into<String>, api_key: &str, api_secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[api_key]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // How much is left is judged below.
        validation.validate_exp = false;
        Self {
            shards,
            whip_url: whip_url.into(),
            tokens: Tokens::new(api_key, api_secret),
            key: DecodingKey::from_secret(api_secret.as_bytes()),
            validation,
        }
    }

    fn api(&self, shard: &str) -> Result<Api, PublishError> {
        self.shards
            .api(shard)
            .ok_or_else(|| PublishError::Silent(shard.to_owned()))
    }

    fn is_ours(&self, entry: &ForwardEntry) -> bool {
        entry.dest == self.whip_url
    }

    /// What is left of the token of our entry, when it is the only one, and of that room and identity.
    fn remaining(
        &self,
        forward: &[ForwardEntry],
        room: &str,
        identity: &str,
        now: Timestamp,
    ) -> Option<Duration> {
        let mut ours = forward.iter().filter(|entry| self.is_ours(entry));
        let (entry, None) = (ours.next()?, ours.next()) else {
            return None;
        };
        let claims = jsonwebtoken::decode::<Claims>(&entry.whip_bearer_token, &self.key, &self.validation)
            .ok()?
            .claims;
        let fits = claims.sub == identity && claims.video.room == room && claims.video.can_publish;
        let left = u64::try_from(claims.exp.saturating_sub(now.as_second())).ok()?;
        fits.then(|| Duration::from_secs(left))
    }

    async fn set(
        &self,
        camera: Uuid,
        placement: &Placement,
        room: &str,
        fresh: bool,
    ) -> Result<Published, PublishError> {
        let api = self.api(&placement.shard)?;
        let _turn = api.calls.acquire().await;
        let identity = format!("{camera}.{}", api.epoch);
        let published = |rotate_at: Instant, identity: String| Published {
            placement: placement.clone(),
            room: room.to_owned(),
            identity,
            epoch: api.epoch,
            rotate_at,
        };
        let conf = api
            .client
            .get_path_config(&placement.path)
            .await
            .map_err(|error| refused(placement, error))?;
        let conf = conf.ok_or_else(|| refused(placement, Error::NotFound))?;
        let left = self
            .remaining(&conf.forward, room, &identity, Timestamp::now())
            .filter(|&left| left > HALF);
        if let Some(left) = left.filter(|_| !fresh) {
            tracing::info!(%camera, shard = placement.shard, "forward_adopted");
            return Ok(published(now() + left.saturating_sub(HALF), identity));
        }
        let name = placement.path.trim_end_matches("/main");
        let token = self.tokens.publisher(room, &identity, name, TOKEN_LIFE);
        let token = token.map_err(|error| PublishError::Token(error.to_string()))?;
        let mut forward = conf.forward;
        forward.retain(|entry| !self.is_ours(entry));
        forward.push(ForwardEntry::whip(&self.whip_url, token));
        api.client
            .patch_forward(&placement.path, forward)
            .await
            .map_err(|error| refused(placement, error))?;
        tracing::info!(%camera, shard = placement.shard, room, fresh, "forward_set");
        Ok(published(now() + TOKEN_LIFE.saturating_sub(HALF), identity))
    }

    async fn unset(&self, placement: &Placement) -> Result<(), PublishError> {
        let api = self.api(&placement.shard)?;
        let _turn = api.calls.acquire().await;
        let conf = api
            .client
            .get_path_config(&placement.path)
            .await
            .map_err(|error| refused(placement, error))?;
        let Some(conf) = conf else { return Ok(()) };
        let mut forward = conf.forward;
        let before = forward.len();
        forward.retain(|entry| !self.is_ours(entry));
        if forward.len() == before {
            return Ok(());
        }
        match api.client.patch_forward(&placement.path, forward).await {
            Err(Error::NotFound) => Ok(()),
            answer => answer.map_err(|error| refused(placement, error)),
        }
    }
}

impl Publisher for ForwardPublisher {
    fn shard(&self, shard: &str) -> Shard {
        self.shards.state(shard)
    }

    fn ensure<'a>(
        &'a self,
        camera: Uuid,
        placement: &'a Placement,
        room: &'a str,
        fresh: bool,
    ) -> BoxFuture<'a, Result<Published, PublishError>> {
        Box::pin(self.set(camera, placement, room, fresh))
    }

    fn remove<'a>(&'a self, placement: &'a Placement) -> BoxFuture<'a, Result<(), PublishError>> {
        Box::pin(self.unset(placement))
    }

    fn status<'a>(&'a self, placement: &'a Placement) -> BoxFuture<'a, Source> {
        Box::pin(async move {
            let Some(api) = self.shards.api(&placement.shard) else {
                return Source::Unknown;
            };
            let forwards = match api.client.list_forwards(&placement.path).await {
                Ok(forwards) => forwards,
                Err(Error::NotFound) => return Source::Absent,
                Err(error) => {
                    tracing::warn!(
                        shard = placement.shard,
                        error = &error as &dyn std::error::Error,
                        "forward_not_seen"
                    );
                    return Source::Unknown;
                }
            };
            match forwards.into_iter().find(|forward| forward.dest == self.whip_url) {
                None => Source::Absent,
                // Cleared at each dial, so an error counts whatever the state says (whip-lab.md §2e).
                Some(forward) if !forward.last_error.is_empty() => Source::Failed(forward.last_error),
                Some(forward) => match forward.state {
                    ForwardState::Idle => Source::Idle,
                    ForwardState::Forwarding => Source::Forwarding,
                    ForwardState::Error => Source::Failed("no reason given".to_owned()),
                },
            }
        })
    }

    fn all(&self) -> BoxFuture<'_, Vec<(String, Vec<Placement>)>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for shard in self.shards.up() {
                let Some(api) = self.shards.api(&shard) else {
                    continue;
                };
                match api.client.list_path_configs().await {
                    Ok(paths) => {
                        let ours = paths
                            .into_iter()
                            .filter(|path| path.forward.iter().any(|entry| self.is_ours(entry)));
                        let ours = ours
                            .map(|path| Placement {
                                shard: shard.clone(),
                                path: path.name,
                            })
                            .collect();
                        all.push((shard, ours));
                    }
                    Err(error) => {
                        tracing::warn!(shard, error = &error as &dyn std::error::Error, "shard_not_swept");
                    }
                }
            }
            all
        })
    }
}

fn refused(placement: &Placement, error: Error) -> PublishError {
    match error {
        Error::NotFound => PublishError::PathMissing {
            shard: placement.shard.clone(),
            path: placement.path.clone(),
        },
        Error::Unreachable(_) => PublishError::Silent(placement.shard.clone()),
        error => PublishError::Refused {
            shard: placement.shard.clone(),
            message: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHIP: &str = "whip://livekit:7880/whip/v1";
    const SECRET: &str = "a secret of thirty-two characters";

    fn publisher() -> ForwardPublisher {
        ForwardPublisher::new(Shards::default(), WHIP, "key", SECRET)
    }

    fn entry(secret: &str, room: &str, identity: &str, life: Duration) -> ForwardEntry {
        ForwardEntry::whip(
            WHIP,
            Tokens::new("key", secret)
                .publisher(room, identity, "n", life)
                .unwrap(),
        )
    }

    #[test]
    fn c13a_a_forward_with_a_valid_token_for_that_room_is_adopted_and_no_other() {
        let (publisher, hour) = (publisher(), Duration::from_secs(3600));
        let good = entry(SECRET, "camera_7", "7.1", hour);
        let other = ForwardEntry::whip("whip://elsewhere/whip", "x");
        let viewer = Tokens::new("key", SECRET)
            .viewer("camera_7", "7.1", "n", hour, None)
            .unwrap();
        let table = [
            ("ours", vec![good.clone()], true),
            ("beside another's", vec![other.clone(), good.clone()], true),
            ("none", vec![], false),
            ("another's", vec![other], false),
            ("twice", vec![good.clone(), good], false),
            (
                "another room",
                vec![entry(SECRET, "camera_8", "7.1", hour)],
                false,
            ),
            (
                "a former epoch",
                vec![entry(SECRET, "camera_7", "7.0", hour)],
                false,
            ),
            (
                "another key",
                vec![entry(
                    "another secret of 32 characters..",
                    "camera_7",
                    "7.1",
                    hour,
                )],
                false,
            ),
            ("may not publish", vec![ForwardEntry::whip(WHIP, viewer)], false),
            ("no token", vec![ForwardEntry::whip(WHIP, "nonsense")], false),
        ];
        for (what, forward, adopted) in table {
            let left = publisher.remaining(&forward, "camera_7", "7.1", Timestamp::now());
            assert_eq!(left.is_some(), adopted, "{what}");
        }
    }

    #[test]
    fn an_ended_token_is_not_adopted() {
        let forward = [entry(SECRET, "camera_7", "7.1", Duration::from_secs(60))];
        let later = Timestamp::now() + Duration::from_secs(120);
        assert_eq!(publisher().remaining(&forward, "camera_7", "7.1", later), None);
    }
}
