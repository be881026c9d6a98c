//! TLS for `rtsps`.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, Error as TlsError, RootCertStore, crypto::ring};

use crate::Failure;

/// Whose certificates are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// The public authorities that browsers trust.
    #[default]
    Public,
    /// Only these, in PEM: an agency's own authority, or a camera's own certificate.
    Authorities(Vec<u8>),
}

impl Trust {
    fn roots(&self) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::Public => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Self::Authorities(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate =
                        certificate.map_err(|_| tls("the authorities' certificates are not in PEM"))?;
                    roots.add(certificate).map_err(|error| tls(error.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(tls("the authorities' certificates are missing"));
                }
            }
        }
        Ok(roots)
    }
}

/// Makes TLS on `connection` with the camera `host`.
pub(crate) async fn connect(
    connection: TcpStream,
    host: &str,
    trust: &Trust,
) -> Result<TlsStream<TcpStream>, Failure> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(error.to_string()))?
        .with_root_certificates(trust.roots()?)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| tls("the host's name is none for a certificate"))?;
    TlsConnector::from(Arc::new(config))
        .connect(name, connection)
        .await
        .map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
                Some(error) => judged(error),
                None => match Failure::talk(&error) {
                    // A port without TLS closes, or answers what is none.
                    Failure::Closed => tls("the camera closes the connection"),
                    failure => failure,
                },
            }
        })
}

/// rustls prints the clock beside a certificate that is over: the same failure must read the same.
fn judged(error: &TlsError) -> Failure {
    use tokio_rustls::rustls::CertificateError as Bad;
    let TlsError::InvalidCertificate(bad) = error else {
        return tls(error.to_string());
    };
    let why = match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => "it is over".to_owned(),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        // A bad signature is that of another authority of the same name.
        Bad::UnknownIssuer | Bad::BadSignature => "it is of no trusted authority".to_owned(),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "it is for another host".to_owned(),
        bad => bad.to_string(),
    };
    Failure::Certificate { why }
}

fn tls(why: impl Into<String>) -> Failure {
    Failure::Tls { why: why.into() }
}

/// SHA-256 of the camera's certificate in hexadecimal: MediaMTX's `sourceFingerprint`.
pub(crate) fn fingerprint(stream: &TlsStream<TcpStream>) -> Option<String> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let digest = Sha256::digest(certificate.as_ref());
    Some(digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
