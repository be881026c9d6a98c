//! The certificate of the simulated shards: made as the operator makes it, and found and kept by it.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use kube::{Api, Client};
use marsad_mediamtx::{AUTHORITIES_KEY, Logins, server_name};
use marsad_runtime::certificates::{Pair, step};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use super::SYSTEM;

/// The pool's Secret, and the Service that its shards' certificate is for.
const POOL: &str = "ingest-default";

/// What the shards of the pool show, from their Secret, which is made if absent.
pub(super) async fn acceptor(client: &Client) -> Result<TlsAcceptor> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    let shards = format!("{POOL}-shards");
    let pair = match secrets.get_opt(&shards).await? {
        Some(secret) => {
            let data = secret.data.unwrap_or_default();
            let text = |key: &str| -> Result<String> {
                let value = data.get(key).with_context(|| format!("{shards} has no {key}"))?;
                Ok(String::from_utf8(value.0.clone())?)
            };
            Pair {
                certificate: text("tls.crt")?,
                key: text("tls.key")?,
            }
        }
        None => {
            let service = server_name(POOL, SYSTEM);
            let made = step(
                None,
                &[service.clone(), format!("*.{service}")],
                jiff::Timestamp::now(),
            )?
            .bundle;
            let logins = Logins::generate(|| uuid::Uuid::new_v4().to_string());
            let of_users = logins.entries().into_iter().chain([
                (AUTHORITIES_KEY, made.authorities.as_str()),
                ("ca.key", &made.authority_key),
            ]);
            super::create(&secrets, &secret(POOL, of_users)).await?;
            let of_shards = [
                ("tls.crt", made.server.certificate.as_str()),
                ("tls.key", &made.server.key),
            ];
            super::create(&secrets, &secret(&shards, of_shards)).await?;
            made.server
        }
    };
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn secret<'a>(name: &str, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Secret {
    let bytes = |(key, value): (&str, &str)| (key.to_owned(), ByteString(value.as_bytes().to_vec()));
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(values.into_iter().map(bytes).collect()),
        ..Secret::default()
    }
}

/// Connections by TLS. Few come to a shard, so each is greeted before the next.
pub(super) struct Listener {
    pub(super) tcp: TcpListener,
    pub(super) acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (connection, address) = axum::serve::Listener::accept(&mut self.tcp).await;
            if let Ok(connection) = self.acceptor.accept(connection).await {
                return (connection, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
