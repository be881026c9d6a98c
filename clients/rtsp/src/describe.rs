//! Asks a camera for its stream's description, and says what is wrong when it does not give it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::{Credentials, Failure, Trust, exchange, sdp, tls};

/// What a camera told, however far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// SHA-256 of the certificate that was trusted, in hexadecimal; none over `rtsp`, or when it was not trusted.
    pub certificate: Option<String>,
    /// RTP's name of the video's codec, `H264`, or what is wrong; another codec is wrong too.
    pub codec: Result<String, Failure>,
}

/// Asks the camera at `url` for its description, and nothing else, in at most `deadline`. Over `rtsps` its certificate must be one that
/// `trust` vouches for. With an `address` only that is asked: whoever has judged where the camera's name leads does not ask the name
/// again.
pub async fn diagnose(
    url: &str,
    address: Option<IpAddr>,
    credentials: Option<&Credentials>,
    trust: &Trust,
    deadline: Duration,
) -> Told {
    let mut certificate = None;
    let codec = ask(url, address, credentials, trust, deadline, &mut certificate).await;
    Told { certificate, codec }
}

async fn ask(
    url: &str,
    address: Option<IpAddr>,
    credentials: Option<&Credentials>,
    trust: &Trust,
    deadline: Duration,
    certificate: &mut Option<String>,
) -> Result<String, Failure> {
    let until = Instant::now() + deadline;
    let place = Place::parse(url)?;
    let connection = connect(&place, address, until).await?;
    let description = timeout_at(until, async {
        if place.tls {
            let mut stream = tls::connect(connection, &place.host, trust).await?;
            *certificate = tls::fingerprint(&stream);
            exchange::describe(&mut stream, &place.url, credentials).await
        } else {
            let mut stream = connection;
            exchange::describe(&mut stream, &place.url, credentials).await
        }
    })
    .await
    .map_err(|_| Failure::Timeout)??;
    match sdp::video_codec(&description) {
        None => Err(Failure::NoVideo),
        Some(codec) if codec == "H264" => Ok(codec),
        Some(codec) => Err(Failure::UnsupportedCodec { codec }),
    }
}

async fn connect(place: &Place, address: Option<IpAddr>, until: Instant) -> Result<TcpStream, Failure> {
    let addresses = match address {
        Some(address) => vec![SocketAddr::new(address, place.port)],
        None => resolve(place, until).await?,
    };
    timeout_at(until, TcpStream::connect(addresses.as_slice()))
        .await
        .map_err(|_| Failure::ConnectTimeout)?
        .map_err(|error| Failure::connect(&error))
}

async fn resolve(place: &Place, until: Instant) -> Result<Vec<SocketAddr>, Failure> {
    let unknown = || Failure::Dns {
        host: place.host.clone(),
    };
    let addresses: Vec<_> = timeout_at(until, lookup_host((place.host.as_str(), place.port)))
        .await
        .map_err(|_| unknown())?
        .map_err(|_| unknown())?
        .collect();
    if addresses.is_empty() {
        return Err(unknown());
    }
    Ok(addresses)
}

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    tls: bool,
    host: String,
    port: u16,
    /// Without user and password.
    url: Url,
}

impl Place {
    fn parse(text: &str) -> Result<Self, Failure> {
        let bad = |why: &str| Failure::Url { why: why.to_owned() };
        let mut url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        let tls = match url.scheme() {
            "rtsp" => false,
            "rtsps" => true,
            _ => return Err(bad("its scheme is neither rtsp nor rtsps")),
        };
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| bad("it has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        // Ports of the registry, RFC 7826.
        let port = url.port().unwrap_or(if tls { 322 } else { 554 });
        // They fail only for URLs without a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self { tls, host, port, url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_somewhere() {
        for (text, expected) in [
            (
                "rtsp://10.1.2.3:8554/a?b=1",
                Some((false, "10.1.2.3", 8554, "rtsp://10.1.2.3:8554/a?b=1")),
            ),
            (
                "rtsps://op:geheim@camera.local/a",
                Some((true, "camera.local", 322, "rtsps://camera.local/a")),
            ),
            ("rtsp://[::1]/a", Some((false, "::1", 554, "rtsp://[::1]/a"))),
            ("http://10.1.2.3/a", None),
            ("rtsp:///a", None),
            ("camera", None),
        ] {
            let place = Place::parse(text);
            let seen = place
                .as_ref()
                .ok()
                .map(|at| (at.tls, at.host.as_str(), at.port, at.url.as_str()));
            assert_eq!(seen, expected, "{text}");
            assert!(!format!("{place:?}").contains("geheim"));
        }
    }
}
