//! The configuration file of a shard.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::Credentials;

/// How long recordings are kept of paths that MediaMTX does not know: of cameras that were deleted, or moved, before it was last
/// started. It removes files of paths in its configuration only (1.20.1, internal/recordcleaner), and what a path asked for goes
/// with the path. A month: rather a recording too many than evidence that is gone, and a volume does not fill for ever.
pub const ORPHANS: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// What differs between configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Port of the control API.
    pub api_port: u16,
    /// Port of the metrics.
    pub metrics_port: u16,
    /// Port of RTSP, over TCP.
    pub rtsp_port: u16,
    /// Who may use the API.
    pub api: Credentials,
    /// Who may read metrics.
    pub metrics: Credentials,
    /// Who may read every path over RTSP.
    pub reader: Credentials,
    /// Folder of recordings: a volume. A path's name is a folder in it.
    pub recordings: String,
    /// Folder of `tls.crt` and `tls.key`, which API and metrics show. MediaMTX takes a new pair from there while it runs.
    pub certificate: String,
}

/// `mediamtx.yml` of a shard: API, metrics and RTSP; all other protocols off; nobody without a password may do
/// anything; nobody may publish. Paths come over the API.
///
/// User names and passwords are given as SHA-256, which MediaMTX compares with what it is told. Its other way, Argon2, would be
/// worked out anew for each call: the passwords are long and random, so a slow hash protects nothing.
///
/// `readTimeout` is the connect timeout of a camera and the time after which a silent one is given up (R1.1-06). Changing any
/// of these is a rollout: MediaMTX drops every stream for it (research/media-plane.md §1).
pub fn render_config(config: &ServerConfig) -> String {
    let ServerConfig {
        api_port,
        metrics_port,
        rtsp_port,
        api,
        metrics,
        reader,
        recordings,
        certificate,
    } = config;
    let mut text = format!(
        "# Written by Marsad. Paths are made over the API; a change of this file drops them.\n\
         logLevel: info\n\
         logDestinations: [stdout]\n\
         logStructured: true\n\
         readTimeout: 10s\n\
         writeTimeout: 10s\n\
         api: true\n\
         apiAddress: :{api_port}\n\
         apiEncryption: true\n\
         apiServerCert: {certificate}/tls.crt\n\
         apiServerKey: {certificate}/tls.key\n\
         metrics: true\n\
         metricsAddress: :{metrics_port}\n\
         metricsEncryption: true\n\
         metricsServerCert: {certificate}/tls.crt\n\
         metricsServerKey: {certificate}/tls.key\n\
         pprof: false\n\
         playback: false\n\
         rtsp: true\n\
         rtspTransports: [tcp]\n\
         rtspEncryption: \"no\"\n\
         rtspAddress: :{rtsp_port}\n\
         rtmp: false\n\
         hls: false\n\
         webrtc: false\n\
         srt: false\n\
         moq: false\n\
         authMethod: internal\n\
         authInternalUsers:\n"
    );
    for (user, action) in [(api, "api"), (metrics, "metrics"), (reader, "read")] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  - user: \"{}\"", hashed(user.username()));
        let _ = writeln!(text, "    pass: \"{}\"", hashed(user.password()));
        let _ = writeln!(text, "    ips: []\n    permissions:\n      - action: {action}");
    }
    // `all_others` is every path that has no configuration of its own. Nobody may publish to it; it is there for the recordings.
    let orphans = ORPHANS.as_secs() / 3600;
    // Recorded in parts of a second, so that a crash loses that much; a file an hour (research/media-plane.md §1).
    let _ = write!(
        text,
        "pathDefaults:\n  rtspTransport: tcp\n  recordFormat: fmp4\n  recordPath: {recordings}/%path/%Y-%m-%d_%H-%M-%S-%f\n\
         \x20 recordPartDuration: 1s\n  recordSegmentDuration: 1h\npaths:\n  all_others:\n\
         \x20   recordDeleteAfter: {orphans}h\n"
    );
    text
}

/// As MediaMTX's internal authentication wants it; any letter may be in `secret`.
fn hashed(secret: &str) -> String {
    format!("sha256:{}", STANDARD.encode(Sha256::digest(secret.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_no_password_and_lets_in_nobody_else() {
        let text = render_config(&ServerConfig {
            api_port: 9997,
            metrics_port: 9998,
            rtsp_port: 8554,
            api: Credentials::new("marsad", "geheim-1"),
            metrics: Credentials::new("metrics", "geheim-3"),
            reader: Credentials::new("reader", "geheim-2"),
            recordings: "/recordings".into(),
            certificate: "/certificate".into(),
        });
        assert!(text.contains("\n  recordPath: /recordings/%path/"), "{text}");
        assert!(
            !text.contains("geheim") && !text.contains("any") && !text.contains("publish"),
            "{text}"
        );
        assert_eq!(text.matches("- user:").count(), 3);
        assert_eq!(text.matches("Encryption: true\n").count(), 2);
        assert!(
            text.ends_with("\npaths:\n  all_others:\n    recordDeleteAfter: 744h\n"),
            "{text}"
        );
        for off in ["rtmp", "hls", "webrtc", "srt", "moq", "pprof", "playback"] {
            assert!(text.contains(&format!("\n{off}: false\n")), "{off}");
        }
        // As `printf geheim-1 | sha256sum` says, in base64.
        assert!(hashed("").ends_with("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="));
    }
}
