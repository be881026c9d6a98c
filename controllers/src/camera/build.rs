//! The paths that a camera should have on its shard. Pure.

use std::net::IpAddr;

use marsad_crds::Transport;
use marsad_mediamtx::{Credentials, PathConf, RtspTransport};
use url::Url;

use super::validate::ValidCamera;
use crate::fleet::path_name;

/// A path as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedPath {
    /// `{namespace}/{name}/main` or `/sub`.
    pub name: String,
    /// Its fields, all but `forward`, which is another writer's (contracts.md 13a).
    pub conf: PathConf,
}

/// The camera's URL can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{field} is not a URL: {source}")]
pub(crate) struct BuildError {
    field: &'static str,
    #[source]
    source: url::ParseError,
}

/// Builds the paths of `camera`.
///
/// # Errors
/// When a URL passes the schema's pattern but is none to the parser.
pub(crate) fn build(camera: &ValidCamera) -> Result<Vec<WantedPath>, BuildError> {
    camera
        .streams
        .iter()
        .map(|stream| {
            let source =
                source_url(&stream.url, stream.address, camera.login.as_ref()).map_err(|source| {
                    BuildError {
                        field: stream.field(),
                        source,
                    }
                })?;
            let pull = PathConf::pull(source, transport(camera.transport));
            // The main stream is what is recorded: the substream is for small tiles.
            let conf = if stream.name == "main" {
                PathConf {
                    record: camera.recording,
                    record_delete_after: camera.retention.clone(),
                    ..pull
                }
            } else {
                pull
            };
            Ok(WantedPath {
                name: path_name(&camera.namespace, &camera.name, stream.name),
                conf,
            })
        })
        .collect()
}

/// The URL with user and password, percent-encoded, and the address instead of the name: MediaMTX asks nobody where the camera is.
/// Never to be logged.
fn source_url(
    url: &str,
    address: Option<IpAddr>,
    login: Option<&Credentials>,
) -> Result<String, url::ParseError> {
    let mut parsed = Url::parse(url)?;
    let named = address.filter(|address| parsed.host_str() != Some(address.to_string().as_str()));
    if named.is_none() && login.is_none() {
        return Ok(url.to_owned());
    }
    // All three fail only for URLs without a host, which the schema refuses.
    if let Some(address) = named {
        let _ = parsed.set_ip_host(address);
    }
    if let Some(login) = login {
        let _ = parsed.set_username(login.username());
        let _ = parsed.set_password(Some(login.password()));
    }
    Ok(parsed.into())
}

fn transport(transport: Transport) -> RtspTransport {
    match transport {
        Transport::Tcp => RtspTransport::Tcp,
        Transport::Udp => RtspTransport::Udp,
        Transport::Automatic => RtspTransport::Automatic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_stream_is_recorded_and_only_when_asked() {
        let mut camera = crate::camera::fixtures::valid();
        camera.streams.push(crate::camera::validate::Stream {
            name: "sub",
            url: "rtsp://10.1.2.3:554/sub".into(),
            address: Some([10, 1, 2, 3].into()),
            resolves: true,
        });
        let records = |camera: &ValidCamera| -> Vec<(bool, Option<String>)> {
            let paths = build(camera).unwrap();
            paths
                .into_iter()
                .map(|path| (path.conf.record, path.conf.record_delete_after))
                .collect()
        };
        assert_eq!(records(&camera), [(false, None), (false, None)]);
        (camera.recording, camera.retention) = (true, Some("72h".into()));
        assert_eq!(records(&camera), [(true, Some("72h".into())), (false, None)]);
        // Stopped: what is there goes when its time is over.
        camera.recording = false;
        assert_eq!(records(&camera)[0], (false, Some("72h".into())));
    }

    #[test]
    fn credentials_are_percent_encoded_into_the_source() {
        let login = Credentials::new("op@hq", "p:/ä");
        let at = |url: &str, address: Option<&str>, login| {
            source_url(url, address.map(|address| address.parse().unwrap()), login).unwrap()
        };
        assert_eq!(
            at("rtsp://10.1.2.3:554/main?x=1", Some("10.1.2.3"), Some(&login)),
            "rtsp://op%40hq:p%3A%2F%C3%A4@10.1.2.3:554/main?x=1"
        );
        assert_eq!(
            at("rtsp://10.1.2.3:554/main", Some("10.1.2.3"), None),
            "rtsp://10.1.2.3:554/main"
        );
        assert_eq!(
            at(
                "rtsps://cam.police.example:322/a?b=1",
                Some("10.1.2.3"),
                Some(&login)
            ),
            "rtsps://op%40hq:p%3A%2F%C3%A4@10.1.2.3:322/a?b=1"
        );
        assert_eq!(
            at("rtsp://cam:554/a", Some("fd00::7"), None),
            "rtsp://[fd00::7]:554/a"
        );
    }
}
