//! The Secret of a pool: credentials made once and kept, and the configuration that holds them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use marsad_crds::labels::{PASSWORD_KEY, READER_PASSWORD_KEY, READER_USERNAME_KEY, USERNAME_KEY};
use sha2::{Digest, Sha256};

use super::build::child_name;
use super::validate::ValidPool;
use crate::fleet::{API_PORT, METRICS_PORT, POOL_LABEL, RTSP_PORT};
use crate::random;

/// File that the shards read.
pub(crate) const CONFIG_FILE: &str = "mediamtx.yml";

/// Where the shards record to.
pub(crate) const RECORDINGS: &str = "/recordings";

/// A pool's credentials: one user for the API and metrics, one for reading pictures over RTSP.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PoolCredentials {
    /// User and password of the API.
    pub api: marsad_mediamtx::Credentials,
    /// User and password for RTSP reads.
    pub reader: marsad_mediamtx::Credentials,
}

impl PoolCredentials {
    /// New random ones.
    pub(crate) fn generate() -> Self {
        Self {
            api: marsad_mediamtx::Credentials::new("marsad", random::text(40)),
            reader: marsad_mediamtx::Credentials::new("reader", random::text(40)),
        }
    }

    /// Those in a Secret; none when a key is missing.
    pub(crate) fn read(secret: &Secret) -> Option<Self> {
        let text = |key: &str| {
            let bytes = &secret.data.as_ref()?.get(key)?.0;
            String::from_utf8(bytes.clone())
                .ok()
                .filter(|text| !text.is_empty())
        };
        Some(Self {
            api: marsad_mediamtx::Credentials::new(text(USERNAME_KEY)?, text(PASSWORD_KEY)?),
            reader: marsad_mediamtx::Credentials::new(text(READER_USERNAME_KEY)?, text(READER_PASSWORD_KEY)?),
        })
    }
}

impl std::fmt::Debug for PoolCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PoolCredentials(***)")
    }
}

/// The Secret and the hash of what the shards read of it.
pub(crate) fn build(pool: &ValidPool, credentials: &PoolCredentials) -> (Secret, String) {
    let config = marsad_mediamtx::render_config(&marsad_mediamtx::ServerConfig {
        api_port: API_PORT,
        metrics_port: METRICS_PORT,
        rtsp_port: RTSP_PORT,
        api: credentials.api.clone(),
        reader: credentials.reader.clone(),
        recordings: RECORDINGS.to_owned(),
    });
    let hash = Sha256::digest(config.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut labels = crate::labels::of("mediamtx");
    labels.insert(POOL_LABEL.to_owned(), pool.name.clone());
    let data: BTreeMap<String, ByteString> = [
        (USERNAME_KEY, credentials.api.username()),
        (PASSWORD_KEY, credentials.api.password()),
        (READER_USERNAME_KEY, credentials.reader.username()),
        (READER_PASSWORD_KEY, credentials.reader.password()),
        (CONFIG_FILE, config.as_str()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())))
    .collect();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(child_name(&pool.name)),
            namespace: Some(pool.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![OwnerReference {
                controller: Some(true),
                ..pool.owner.clone()
            }]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..Secret::default()
    };
    (secret, hash)
}
