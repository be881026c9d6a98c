//! Access tokens: HS256, signed with LiveKit's API secret.

use std::fmt;
use std::time::Duration;

use livekit_api::access_token::{AccessToken, AccessTokenError, VideoGrants};

/// No token could be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The API key or secret is empty.
    #[error("the API key or secret is empty")]
    NoKey,
    /// The room or the identity is empty: LiveKit answers such a token with 400 or 401.
    #[error("the room or the identity is empty")]
    NoName,
    /// It could not be signed.
    #[error("the token could not be signed")]
    Signing(#[source] AccessTokenError),
}

/// Makes tokens. Cheap to clone; `Debug` shows no secret.
///
/// LiveKit takes a token for 60 s past its end, and a session once begun outlasts its token
/// (research/whip-lab.md §1, §2c): ending a session is [`crate::Client::remove_participant`].
#[derive(Clone)]
pub struct Tokens {
    api_key: String,
    api_secret: String,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tokens(***)")
    }
}

impl Tokens {
    /// Signs with LiveKit's API key and secret.
    pub fn new(api_key: impl Into<String>, api_secret: impl Into<String>) -> Self {
        Self {
            api_key: api_key.into(),
            api_secret: api_secret.into(),
        }
    }

    /// A camera's publisher: it may publish one camera into `room`, and nothing else. Without `camera` as its only source
    /// MediaMTX would publish a silent sound track beside it (research/whip-lab.md §1).
    ///
    /// # Errors
    /// When a name or the key is empty.
    pub fn publisher(
        &self,
        room: &str,
        identity: &str,
        name: &str,
        ttl: Duration,
    ) -> Result<String, TokenError> {
        let grants = VideoGrants {
            room_join: true,
            room: room.to_owned(),
            can_publish: Some(true),
            can_publish_sources: vec!["camera".to_owned()],
            can_subscribe: Some(false),
            can_publish_data: Some(false),
            ..VideoGrants::default()
        };
        self.sign(grants, identity, name, ttl, None)
    }

    /// A viewer of `room`: it may see, and nothing else. `metadata` is shown to everybody in the room.
    ///
    /// # Errors
    /// When a name or the key is empty.
    pub fn viewer(
        &self,
        room: &str,
        identity: &str,
        name: &str,
        ttl: Duration,
        metadata: Option<&str>,
    ) -> Result<String, TokenError> {
        let grants = VideoGrants {
            room_join: true,
            room: room.to_owned(),
            can_subscribe: Some(true),
            can_publish: Some(false),
            can_publish_data: Some(false),
            can_update_own_metadata: Some(false),
            ..VideoGrants::default()
        };
        self.sign(grants, identity, name, ttl, metadata)
    }

    fn sign(
        &self,
        grants: VideoGrants,
        identity: &str,
        name: &str,
        ttl: Duration,
        metadata: Option<&str>,
    ) -> Result<String, TokenError> {
        AccessToken::with_api_key(&self.api_key, &self.api_secret)
            .with_grants(grants)
            .with_identity(identity)
            .with_name(name)
            .with_metadata(metadata.unwrap_or_default())
            .with_ttl(ttl)
            .to_jwt()
            .map_err(|error| match error {
                AccessTokenError::InvalidKeys => TokenError::NoKey,
                AccessTokenError::InvalidClaims(_) => TokenError::NoName,
                error => TokenError::Signing(error),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    fn claims(token: &str) -> Value {
        let part = |at| URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&part(0)).unwrap()["alg"], "HS256");
        serde_json::from_slice(&part(1)).unwrap()
    }

    fn tokens() -> Tokens {
        Tokens::new("key", "a secret of thirty-two characters")
    }

    /// contracts.md 14a, design.md §5: that room only, camera only, no subscribe, no data.
    #[test]
    fn a_publisher_may_publish_a_camera_and_nothing_else() {
        let token = tokens()
            .publisher("camera_7", "7.1", "Exit 12", Duration::from_secs(3600))
            .unwrap();
        let claims = claims(&token);
        assert_eq!(
            claims["video"],
            json!({"roomJoin": true, "room": "camera_7", "canPublish": true, "canPublishSources": ["camera"],
                "canSubscribe": false, "canPublishData": false})
        );
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["name"]),
            (&json!("key"), &json!("7.1"), &json!("Exit 12"))
        );
        assert_eq!(
            claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap(),
            3600
        );
    }

    #[test]
    fn a_viewer_may_see_and_nothing_else() {
        let token = tokens()
            .viewer("camera_7", "amal.1", "Amal", Duration::from_secs(600), Some("{}"))
            .unwrap();
        let claims = claims(&token);
        assert_eq!(
            claims["video"],
            json!({"roomJoin": true, "room": "camera_7", "canSubscribe": true, "canPublish": false,
                "canPublishData": false, "canUpdateOwnMetadata": false})
        );
        assert_eq!(claims["metadata"], "{}");
    }

    #[test]
    fn a_token_without_names_or_key_is_not_made() {
        let hour = Duration::from_secs(3600);
        assert!(matches!(
            tokens().publisher("", "7.1", "", hour),
            Err(TokenError::NoName)
        ));
        assert!(matches!(
            tokens().viewer("camera_7", "", "", hour, None),
            Err(TokenError::NoName)
        ));
        assert!(matches!(
            Tokens::new("key", "").viewer("camera_7", "a", "", hour, None),
            Err(TokenError::NoKey)
        ));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", tokens()).contains("secret"));
    }
}
