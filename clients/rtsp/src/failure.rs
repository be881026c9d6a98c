//! Why a stream is not to be had. Pure.

use std::io;

/// Why a stream is not to be had. The text is the same for the same failure every time, so that a condition that
/// holds it does not change while nothing does; it never holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The URL is none for RTSP.
    #[error("the URL can't be used: {why}")]
    Url {
        /// What is wrong with it.
        why: String,
    },
    /// The host's name does not resolve.
    #[error("the name {host} does not resolve")]
    Dns {
        /// The name.
        host: String,
    },
    /// The host says that nothing listens on the port.
    #[error("the camera refuses the connection")]
    Refused,
    /// Nothing comes back from the host.
    #[error("the camera does not answer the connection")]
    ConnectTimeout,
    /// The network says that there is no way to the host.
    #[error("there is no way to the camera: {why}")]
    Unreachable {
        /// What the network says.
        why: String,
    },
    /// The connection was made and closed before an answer came: a camera that restarts, that has no session left, or
    /// that does not speak RTSP here.
    #[error("the camera closes the connection without an answer")]
    Closed,
    /// The connection was made, and no answer came in time.
    #[error("the camera is connected but does not answer")]
    Timeout,
    /// TLS failed: there is none, or of a kind that nobody speaks any more.
    #[error("TLS with the camera failed: {why}")]
    Tls {
        /// What TLS says.
        why: String,
    },
    /// Nobody who is trusted vouches for the camera's certificate.
    #[error("the camera's certificate is not trusted: {why}")]
    Certificate {
        /// What is wrong with it.
        why: String,
    },
    /// The camera sends its visitors elsewhere.
    #[error("the camera redirects to another address")]
    Redirected,
    /// User or password are wrong, or wanted and not given.
    #[error("the camera refuses the user name or password")]
    Unauthorized,
    /// There is no such stream.
    #[error("the camera has no such stream")]
    NotFound,
    /// Another answer than success.
    #[error("the camera answers with status {code}")]
    Status {
        /// RTSP's status code.
        code: u16,
    },
    /// The stream has no video.
    #[error("the stream has no video")]
    NoVideo,
    /// The video is not H.264.
    #[error("the video is {codec}")]
    UnsupportedCodec {
        /// RTP's name of it, in capitals: `H265`, `JPEG` …
        codec: String,
    },
    /// The stream plays and no frame comes.
    #[error("the stream plays but no frame comes")]
    NoFrames,
    /// The answer is not RTSP.
    #[error("the camera does not speak RTSP: {why}")]
    Protocol {
        /// What is wrong with it.
        why: String,
    },
}

impl Failure {
    /// A failure to connect.
    pub(crate) fn connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::TimedOut => Self::ConnectTimeout,
            // A firewall that says so answers "permission denied".
            kind => Self::Unreachable {
                why: kind.to_string(),
            },
        }
    }

    /// A failure to send or to receive on a connection.
    pub(crate) fn talk(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Closed,
            io::ErrorKind::TimedOut => Self::Timeout,
            kind => Self::Unreachable {
                why: kind.to_string(),
            },
        }
    }

    /// A status that is no success.
    pub(crate) fn status(code: u16) -> Self {
        match code {
            401 | 403 => Self::Unauthorized,
            404 => Self::NotFound,
            301 | 302 | 303 | 305 | 307 | 308 => Self::Redirected,
            code => Self::Status { code },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use io::ErrorKind as Kind;

    #[test]
    fn errors_of_the_network_are_told_apart() {
        let unreachable = |kind: Kind| Failure::Unreachable {
            why: kind.to_string(),
        };
        for (kind, connecting, talking) in [
            (
                Kind::ConnectionRefused,
                Failure::Refused,
                unreachable(Kind::ConnectionRefused),
            ),
            (Kind::ConnectionReset, Failure::Refused, Failure::Closed),
            (Kind::TimedOut, Failure::ConnectTimeout, Failure::Timeout),
            (
                Kind::HostUnreachable,
                unreachable(Kind::HostUnreachable),
                unreachable(Kind::HostUnreachable),
            ),
            (
                Kind::NetworkUnreachable,
                unreachable(Kind::NetworkUnreachable),
                unreachable(Kind::NetworkUnreachable),
            ),
            (
                Kind::PermissionDenied,
                unreachable(Kind::PermissionDenied),
                unreachable(Kind::PermissionDenied),
            ),
            (Kind::BrokenPipe, unreachable(Kind::BrokenPipe), Failure::Closed),
            (
                Kind::UnexpectedEof,
                unreachable(Kind::UnexpectedEof),
                Failure::Closed,
            ),
        ] {
            assert_eq!(Failure::connect(&kind.into()), connecting, "{kind}");
            assert_eq!(Failure::talk(&kind.into()), talking, "{kind}");
        }
    }

    #[test]
    fn statuses_are_told_apart() {
        for (code, failure) in [
            (401, Failure::Unauthorized),
            (403, Failure::Unauthorized),
            (404, Failure::NotFound),
            (302, Failure::Redirected),
            (304, Failure::Status { code: 304 }),
            (453, Failure::Status { code: 453 }),
            (503, Failure::Status { code: 503 }),
        ] {
            assert_eq!(Failure::status(code), failure);
        }
    }
}
