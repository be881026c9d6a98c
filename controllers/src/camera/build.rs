//! The paths that a camera should have on its shard. Pure.

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
#[error("spec.stream.{field} is not a URL: {source}")]
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
            let field = if stream.name == "main" {
                "url"
            } else {
                "substreamUrl"
            };
            let source = source_url(&stream.url, camera.login.as_ref())
                .map_err(|source| BuildError { field, source })?;
            Ok(WantedPath {
                name: path_name(&camera.namespace, &camera.name, stream.name),
                conf: PathConf::pull(source, transport(camera.transport)),
            })
        })
        .collect()
}

/// The URL with user and password, percent-encoded. Never to be logged.
fn source_url(url: &str, login: Option<&Credentials>) -> Result<String, url::ParseError> {
    let Some(login) = login else {
        return Ok(url.to_owned());
    };
    let mut url = Url::parse(url)?;
    // Both fail only for URLs without a host, which the schema refuses.
    let _ = url.set_username(login.username());
    let _ = url.set_password(Some(login.password()));
    Ok(url.into())
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
    fn credentials_are_percent_encoded_into_the_source() {
        let login = Credentials::new("op@hq", "p:/ä");
        assert_eq!(
            source_url("rtsp://10.1.2.3:554/main?x=1", Some(&login)).unwrap(),
            "rtsp://op%40hq:p%3A%2F%C3%A4@10.1.2.3:554/main?x=1"
        );
        assert_eq!(
            source_url("rtsp://10.1.2.3:554/main", None).unwrap(),
            "rtsp://10.1.2.3:554/main"
        );
    }
}
