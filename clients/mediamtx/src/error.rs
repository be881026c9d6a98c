//! What can go wrong at MediaMTX's control API, and the removal of secrets from what it says.

use tokio_rustls::rustls::Error as TlsError;

/// A call to MediaMTX's control API failed. No variant holds a credential, a token or a query string.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer: no connection, or none in time. What was asked for may have happened all the same.
    #[error("MediaMTX does not answer: {0}")]
    Unreachable(String),
    /// There is somebody, but not one that our authority vouches for.
    #[error("MediaMTX can't be trusted: {0}")]
    Untrusted(String),
    /// The API user or its password is wrong, or lacks the permission `api`.
    #[error("MediaMTX refuses the API user")]
    Unauthorized,
    /// There is no such path.
    #[error("MediaMTX has no such path")]
    NotFound,
    /// There is a path of that name already.
    #[error("MediaMTX has a path of that name already")]
    AlreadyExists,
    /// MediaMTX does not accept what was written.
    #[error("MediaMTX refused: {message}")]
    Refused {
        /// What MediaMTX said, without user names, passwords and tokens.
        message: String,
    },
    /// The answer is not what MediaMTX 1.20 answers.
    #[error("MediaMTX answered what it should not: {0}")]
    Protocol(String),
}

impl Error {
    /// From a request without an answer.
    pub(crate) fn transport(error: &(dyn std::error::Error + 'static)) -> Self {
        if is_of_tls(error) {
            Self::Untrusted(chain(error))
        } else {
            Self::Unreachable(chain(error))
        }
    }

    /// From an answer that is no success.
    pub(crate) fn answer(status: u16, body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Body {
            error: String,
        }
        let said = serde_json::from_slice::<Body>(body).ok().map(|body| body.error);
        match (status, said.as_deref()) {
            (401 | 403, _) => Self::Unauthorized,
            (404, Some("path not found" | "path configuration not found")) => Self::NotFound,
            (400, Some("path already exists")) => Self::AlreadyExists,
            (400, Some(message)) => Self::Refused {
                message: redact(message),
            },
            (_, Some(message)) => Self::Protocol(format!("status {status}: {}", redact(message))),
            (_, None) => Self::Protocol(format!("status {status}")),
        }
    }
}

/// Whether TLS is what failed, anywhere among the causes.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    // What an io::Error wraps is not among its sources: it stands for it, and may be another io::Error.
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    error.is::<TlsError>()
        || wrapped.is_some_and(|wrapped| is_of_tls(wrapped))
        || error.source().is_some_and(is_of_tls)
}

/// The error with its causes, as its own text names only the step that failed.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Removes user and password of every URL in `text`, the values of its query, and whatever looks like a JSON web token.
/// MediaMTX repeats a refused URL whole (research/media-plane.md §1).
pub(crate) fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(&tokens(before));
        // What is no valid URL may have blanks or quotes in its password: all up to the last `@` goes.
        let end = after.find("://").unwrap_or(after.len());
        let (address, next) = after.split_at(end);
        let address = match address.rsplit_once('@') {
            Some((_, host)) => {
                clean.push_str("***@");
                host
            }
            None => address,
        };
        match address.split_once('?') {
            Some((path, query)) => {
                clean.push_str(path);
                clean.push_str("?***");
                // What follows the URL in the sentence is kept.
                let stop = query.find(['\'', '"', ' ']).unwrap_or(query.len());
                clean.push_str(&tokens(query.get(stop..).unwrap_or_default()));
            }
            None => clean.push_str(&tokens(address)),
        }
        rest = next;
    }
    clean.push_str(&tokens(rest));
    clean
}

/// Replaces words that begin as a JSON web token does.
fn tokens(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("eyJ") {
        let (before, token) = rest.split_at(at);
        clean.push_str(before);
        clean.push_str("***");
        let end = token
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_')))
            .unwrap_or(token.len());
        rest = token.get(end..).unwrap_or_default();
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R1.1-17: no credential in what is said or logged.
    #[test]
    fn what_mediamtx_repeats_is_cleaned() {
        for (said, clean) in [
            (
                "'rtsp://op:geheim@10.1.2.3/a' is not a valid URL",
                "'rtsp://***@10.1.2.3/a' is not a valid URL",
            ),
            (
                "'rtsp://op:ge@he im@10.1.2.3/a' is bad",
                "'rtsp://***@10.1.2.3/a' is bad",
            ),
            (
                "'rtsp://10.1.2.3/a?user=op&pw=geheim' is bad",
                "'rtsp://10.1.2.3/a?***' is bad",
            ),
            (
                "from rtsp://a:b@c to rtsp://d:e@f",
                "from rtsp://***@c to rtsp://***@f",
            ),
            ("token eyJhbGciOi.eyJpc3.sig_-x refused", "token *** refused"),
            ("json: unknown field \"nope\"", "json: unknown field \"nope\""),
            ("", ""),
        ] {
            assert_eq!(redact(said), clean);
        }
    }

    #[test]
    fn an_answer_is_classified() {
        let body = |text: &str| format!("{{\"status\":\"error\",\"error\":\"{text}\"}}").into_bytes();
        assert!(matches!(
            Error::answer(401, &body("authentication error")),
            Error::Unauthorized
        ));
        assert!(matches!(
            Error::answer(404, &body("path not found")),
            Error::NotFound
        ));
        assert!(matches!(
            Error::answer(404, &body("path configuration not found")),
            Error::NotFound
        ));
        assert!(matches!(
            Error::answer(400, &body("path already exists")),
            Error::AlreadyExists
        ));
        assert!(matches!(
            Error::answer(400, &body("invalid 'forward'")),
            Error::Refused { .. }
        ));
        assert!(matches!(
            Error::answer(500, &body("terminated")),
            Error::Protocol(_)
        ));
        // A wrong address answers 404 too: no path that is missing.
        assert!(matches!(
            Error::answer(404, b"404 page not found"),
            Error::Protocol(_)
        ));
    }
}
