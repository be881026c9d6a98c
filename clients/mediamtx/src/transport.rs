//! HTTP to a shard, as a rule by TLS. A shard is another pod of the cluster: no proxy that the environment names is used, and its
//! certificate is our own authority's, not the world's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that nobody used for this long is closed: shards are polled more often, by one that stays.
const IDLE: Duration = Duration::from_secs(10);
/// A connection reads this much at a time: as much as a record of TLS holds. hyper's own measure grows with the answers up to 400 kB,
/// and there is one for each shard.
const BUFFER: usize = 16 * 1024;

/// Who vouches for a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Certificates of authorities, in PEM.
    pub authorities: String,
    /// The name in the shard's certificate.
    pub name: String,
}

impl Trust {
    fn roots(&self) -> Result<RootCertStore, Error> {
        let unusable = |why: String| Error::Protocol(format!("the shards' authority is unusable: {why}"));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.authorities.as_bytes()) {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| unusable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unusable("there is no certificate".to_owned()));
        }
        Ok(roots)
    }
}

/// Sends requests and reads whole answers. Clones share connections.
#[derive(Clone)]
pub struct Transport(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Transport {
    /// With no one to vouch, every certificate is refused.
    ///
    /// # Errors
    /// [`Error::Protocol`] when `trust` holds no certificates, or a name that is none.
    pub fn new(trust: Option<&Trust>) -> Result<Self, Error> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let roots = trust.map_or_else(|| Ok(RootCertStore::empty()), Trust::roots)?;
        // Named here, not the process's default: a library sets nothing for the whole process.
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Protocol(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // There is one server to come back to: rustls makes room for the sessions of 32.
        config.resumption = Resumption::in_memory_sessions(1);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http();
        let connector = match trust {
            // A shard is called by its address, and vouched for by its name.
            Some(trust) => {
                let name = ServerName::try_from(trust.name.clone())
                    .map_err(|error| Error::Protocol(format!("the shards' name is unusable: {error}")))?;
                connector.with_server_name_resolver(FixedServerNameResolver::new(name))
            }
            None => connector,
        };
        Ok(Self(
            Client::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE)
                .pool_timer(TokioTimer::new())
                .http1_max_buf_size(BUFFER)
                .build(connector.enable_http1().wrap_connector(tcp)),
        ))
    }

    /// Status and body, whatever the status is.
    ///
    /// # Errors
    /// When there is no answer, or none that can be trusted.
    pub async fn send(&self, request: Request<Bytes>) -> Result<(StatusCode, Bytes), Error> {
        let whole = async {
            let answer = self
                .0
                .request(request.map(Full::new))
                .await
                .map_err(|error| Error::transport(&error))?;
            let status = answer.status();
            let body = answer
                .into_body()
                .collect()
                .await
                .map_err(|error| Error::Protocol(format!("the answer broke off: {error}")))?;
            Ok((status, body.to_bytes()))
        };
        tokio::time::timeout(REQUEST_TIMEOUT, whole)
            .await
            .unwrap_or_else(|_| {
                Err(Error::Unreachable(format!(
                    "no answer within {REQUEST_TIMEOUT:?}"
                )))
            })
    }
}
