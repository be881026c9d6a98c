//! What a token says, and where a request carries it.

use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `iss` of our tokens.
pub const ISSUER: &str = "marsad";
/// `aud` of our tokens.
pub const AUDIENCE: &str = "marsad";
/// How long a token lives (R3.3-19: one hour).
pub const LIFETIME: Duration = Duration::from_secs(3600);

/// The claims of a person's access token. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed: [`ISSUER`].
    pub iss: String,
    /// For whom: [`AUDIENCE`].
    pub aud: String,
    /// The user's id.
    pub sub: String,
    /// The user's name, for people to read.
    pub name: String,
    /// Issued at.
    pub iat: i64,
    /// Not valid before; absent in tokens that are valid at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Not valid from this second on.
    pub exp: i64,
    /// Id of the token, for the audit log.
    pub jti: String,
}

impl Claims {
    /// Claims of a fresh token for a user, valid from `now` for [`LIFETIME`].
    pub fn new(id: impl Into<String>, name: impl Into<String>, now: Timestamp) -> Self {
        let iat = now.as_second();
        Self {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: id.into(),
            name: name.into(),
            iat,
            nbf: None,
            exp: iat.saturating_add(LIFETIME.as_secs().cast_signed()),
            jti: uuid::Uuid::new_v4().to_string(),
        }
    }

    /// When the token ends; the last instant that can be told for figures beyond it.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_second(self.exp).unwrap_or(Timestamp::MAX)
    }
}

/// Namespace of user ids; never changed, since leases and the audit log hold ids.
const USER_ID_NAMESPACE: uuid::Uuid = uuid::Uuid::from_u128(0x3d0f_6c52_9a7e_5b1c_8f04_2be6_71d9_a35e);

/// The id of a user known by name only (the Secret `marsad-users`): UUIDv5 of the name, `sub` of the token.
pub fn user_id(name: &str) -> uuid::Uuid {
    uuid::Uuid::new_v5(&USER_ID_NAMESPACE, name.as_bytes())
}

/// A caller whose token was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// The user's id: `sub`.
    pub id: String,
    /// The user's name.
    pub name: String,
    /// Id of the token; never the token itself.
    #[serde(skip)]
    pub token_id: String,
    /// When the token ends.
    #[serde(skip)]
    pub expires_at: Timestamp,
}

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        let expires_at = claims.expires_at();
        Self {
            id: claims.sub,
            name: claims.name,
            token_id: claims.jti,
            expires_at,
        }
    }
}

/// The token of `Authorization: Bearer …` (the scheme in any case, RFC 9110 §11.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r3_3_19_a_token_lives_one_hour() {
        let claims = Claims::new("1", "admin", Timestamp::from_second(1000).unwrap());
        assert_eq!((claims.iat, claims.exp), (1000, 4600));
        assert_eq!(claims.expires_at().as_second(), 4600);
    }

    #[test]
    fn the_id_of_a_user_never_changes() {
        assert_eq!(
            user_id("admin").to_string(),
            "29be9fe2-8b89-50ca-8940-671de9f15331"
        );
    }

    #[test]
    fn the_bearer_is_found_in_any_case_and_nothing_else_is() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc", Some("abc")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic abc", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(bearer(&headers), token, "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
