//! What can go wrong at LiveKit's API.

use std::error::Error as _;
use std::io;

use livekit_api::services::{ServerError, ServerErrorCode, ServiceError};

/// A call to LiveKit failed. No variant holds a token or an address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens at the address: LiveKit is not running there.
    #[error("LiveKit refuses connections")]
    ConnectionRefused,
    /// No answer: no connection, or none in time. What was asked for may have happened all the same.
    #[error("LiveKit does not answer: {0}")]
    Unreachable(String),
    /// The key or secret is not LiveKit's.
    #[error("LiveKit refuses the API key")]
    Unauthorized,
    /// There is no such room or participant.
    #[error("LiveKit has no such room or participant")]
    NotFound,
    /// LiveKit lives and takes no work: its node statistics are old (`GET /` answers 406).
    #[error("LiveKit is not healthy: status {0}")]
    Unhealthy(u16),
    /// LiveKit refused what was asked.
    #[error("LiveKit refused: {code}: {message}")]
    Refused {
        /// Twirp's code, such as `failed_precondition`.
        code: String,
        /// LiveKit's words.
        message: String,
    },
    /// The address is no URL.
    #[error("the address of LiveKit is no URL: {0}")]
    Address(String),
    /// The answer is not what LiveKit answers.
    #[error("LiveKit answered what it should not: {0}")]
    Protocol(String),
    /// The key or the secret is empty, or a name is missing: no token can be made for the call.
    #[error("no token can be made for LiveKit: {0}")]
    Token(String),
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Twirp(ServerError::Twirp(said)) => said.into(),
            ServiceError::Twirp(ServerError::Request(error)) => error.into(),
            ServiceError::Twirp(ServerError::Url(error)) => Self::Address(error.to_string()),
            ServiceError::Twirp(ServerError::Prost(error)) => Self::Protocol(error.to_string()),
            ServiceError::AccessToken(error) => Self::Token(error.to_string()),
            ServiceError::Env(error) => Self::Token(error.to_string()),
        }
    }
}

impl From<ServerErrorCode> for Error {
    fn from(said: ServerErrorCode) -> Self {
        match said.code.as_str() {
            ServerErrorCode::UNAUTHENTICATED | ServerErrorCode::PERMISSION_DENIED => Self::Unauthorized,
            ServerErrorCode::NOT_FOUND => Self::NotFound,
            _ => Self::Refused {
                code: said.code,
                message: said.msg,
            },
        }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
            {
                return Self::ConnectionRefused;
            }
            text = format!("{text}: {error}");
            cause = error.source();
        }
        if error.is_decode() {
            Self::Protocol(text)
        } else {
            Self::Unreachable(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_livekit_says_is_classified() {
        let said = |code: &str| {
            Error::from(ServerErrorCode {
                code: code.into(),
                msg: "said".into(),
                meta: Default::default(),
            })
        };
        assert!(matches!(said("not_found"), Error::NotFound));
        assert!(matches!(said("unauthenticated"), Error::Unauthorized));
        assert!(matches!(said("permission_denied"), Error::Unauthorized));
        assert!(matches!(said("failed_precondition"), Error::Refused { .. }));
    }
}
