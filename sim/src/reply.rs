//! RTSP responses (RFC 2326) on the wire.

use rtsp_types::headers::{CONTENT_TYPE, CSEQ, HeaderName, PUBLIC, SERVER};
use rtsp_types::{Response, StatusCode, Version};

/// A response, and what becomes of the connection after it.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    /// `WWW-Authenticate` headers: two challenges in one header confuse clients, and `rtsp_types`
    /// folds headers of one name into one.
    challenges: Vec<String>,
    body: Vec<u8>,
}

impl Reply {
    /// A response without a body.
    #[must_use]
    pub(crate) fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            challenges: Vec::new(),
            body: Vec::new(),
        }
    }

    /// 200, with the methods that are understood.
    #[must_use]
    pub(crate) fn options() -> Self {
        Self::new(StatusCode::Ok).with(PUBLIC, "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
    }

    /// 401, with the ways to prove oneself.
    #[must_use]
    pub(crate) fn unauthorized(challenges: impl IntoIterator<Item = String>) -> Self {
        Self {
            challenges: challenges.into_iter().collect(),
            ..Self::new(StatusCode::Unauthorized)
        }
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds a session description.
    #[must_use]
    pub(crate) fn with_sdp(mut self, sdp: String) -> Self {
        self.body = sdp.into_bytes();
        self.with(CONTENT_TYPE, "application/sdp")
    }

    /// The bytes to send, in answer to the request with this `CSeq`.
    #[must_use]
    pub(crate) fn into_bytes(self, cseq: &str) -> Vec<u8> {
        let mut response = Response::builder(Version::V1_0, self.status)
            .header(CSEQ, cseq)
            .header(SERVER, "marsad-sim");
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let mut bytes = Vec::new();
        // Writing to a Vec can't fail.
        let _ = response.build(self.body).write(&mut bytes);
        // After the status line.
        let at = bytes
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .map_or(0, |end| end + 2);
        let lines = self
            .challenges
            .iter()
            .flat_map(|challenge| format!("WWW-Authenticate: {challenge}\r\n").into_bytes());
        let lines: Vec<u8> = lines.collect();
        bytes.splice(at..at, lines);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_challenge_is_a_header_of_its_own() {
        let bytes = Reply::unauthorized(["A x=1".to_owned(), "B y=2".to_owned()]).into_bytes("7");
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with(
                "RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: A x=1\r\nWWW-Authenticate: B y=2\r\n"
            ),
            "{text}"
        );
        assert!(text.contains("\r\nCSeq: 7\r\n"));
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_description_has_its_length() {
        let text = String::from_utf8(
            Reply::new(StatusCode::Ok)
                .with_sdp("v=0\r\n".to_owned())
                .into_bytes("1"),
        )
        .unwrap();
        assert!(text.contains("\r\nContent-Length: 5\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nv=0\r\n"));
    }
}
