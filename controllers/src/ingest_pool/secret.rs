//! The Secrets of a pool: `ingest-{pool}`, for those who use its shards, and `ingest-{pool}-shards`, for the shards themselves.
//! What was made once is kept; certificates are renewed in time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use marsad_mediamtx::{AUTHORITIES_KEY, Access, Logins, ServerConfig, render_config, server_name};
use marsad_runtime::certificates::{self, Bundle, CertificateError, Pair};
use sha2::{Digest, Sha256};

use super::build::child_name;
use super::plan::Plan;
use super::validate::ValidPool;
use crate::fleet::{API_PORT, METRICS_PORT, POOL_LABEL, RTSP_PORT};
use crate::random;
use crate::secret_value::text;

/// Where the shards record to.
pub(crate) const RECORDINGS: &str = "/recordings";
/// Where the shards have their certificate.
pub(crate) const CERTIFICATE: &str = "/certificate";
/// Key of the newest authority's private key: only the operator needs it.
const AUTHORITY_KEY: &str = "ca.key";
/// Keys of a shard's certificate, and the names of its files.
pub(crate) const PAIR: [&str; 2] = ["tls.crt", "tls.key"];

/// Name of the Secret that the shards read.
pub(crate) fn shards_name(pool: &str) -> String {
    format!("{}-shards", child_name(pool))
}

/// Key of a shard's configuration, less the name of its pod.
pub(crate) const CONFIG_SUFFIX: &str = ".yml";

/// A pool's Secrets, and what follows from them.
pub(crate) struct Secrets {
    /// For those who use the shards: logins and authorities.
    pub users: Secret,
    /// For the shards: a configuration for each, and their certificate.
    pub shards: Secret,
    /// Changes when what all shards read at their start does.
    pub config_hash: String,
    /// When certificates are to be seen to next.
    pub due: Timestamp,
}

/// How the shards of the pool whose Secret this is are reached.
///
/// # Errors
/// When a key is missing or empty.
pub(crate) fn access(
    secret: &Secret,
    name: &str,
    namespace: &str,
) -> Result<Access, marsad_mediamtx::MissingKey> {
    Access::read(name, namespace, |key| text(secret, key))
}

/// What is to be there, from what is there.
///
/// # Errors
/// When no certificate can be made.
pub(crate) fn build(
    pool: &ValidPool,
    plan: &Plan,
    users: Option<&Secret>,
    shards: Option<&Secret>,
    now: Timestamp,
) -> Result<Secrets, CertificateError> {
    // Kept for ever once made: new ones would restart every shard.
    let logins = users
        .and_then(|secret| Logins::read(|key| text(secret, key)).ok())
        .unwrap_or_else(|| Logins::generate(|| random::text(40)));
    let service = server_name(&child_name(&pool.name), &pool.namespace);
    let names = [service.clone(), format!("*.{service}")];
    let step = certificates::step(kept(users, shards).as_ref(), &names, now)?;
    let Bundle {
        authorities,
        authority_key,
        server: Pair { certificate, key },
    } = step.bundle;

    let mut of_users: BTreeMap<String, String> = logins
        .entries()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    of_users.insert(AUTHORITIES_KEY.to_owned(), authorities);
    of_users.insert(AUTHORITY_KEY.to_owned(), authority_key);
    let mut of_shards: BTreeMap<String, String> = (0..plan.replicas)
        .map(|ordinal| {
            let shard = format!("{}-{ordinal}", child_name(&pool.name));
            (format!("{shard}{CONFIG_SUFFIX}"), config(&logins, &shard))
        })
        .collect();
    for (name, value) in PAIR.into_iter().zip([certificate, key]) {
        of_shards.insert(name.to_owned(), value);
    }
    // One shard's stands for all: the others differ by their names alone. With no shard there is one to come.
    let first = config(&logins, &format!("{}-0", child_name(&pool.name)));
    let config_hash = Sha256::digest(first.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Secrets {
        users: secret(pool, child_name(&pool.name), of_users),
        shards: secret(pool, shards_name(&pool.name), of_shards),
        config_hash,
        due: step.due,
    })
}

fn kept(users: Option<&Secret>, shards: Option<&Secret>) -> Option<Bundle> {
    let users = users?;
    let of_shards = |key| shards.and_then(|shards| text(shards, key)).unwrap_or_default();
    let [certificate, key] = PAIR.map(of_shards);
    Some(Bundle {
        authorities: text(users, AUTHORITIES_KEY)?,
        authority_key: text(users, AUTHORITY_KEY)?,
        server: Pair { certificate, key },
    })
}

fn config(logins: &Logins, shard: &str) -> String {
    render_config(&ServerConfig {
        api_port: API_PORT,
        metrics_port: METRICS_PORT,
        rtsp_port: RTSP_PORT,
        api: logins.api(shard),
        metrics: logins.metrics.clone(),
        reader: logins.reader.clone(),
        recordings: RECORDINGS.to_owned(),
        certificate: CERTIFICATE.to_owned(),
    })
}

fn secret(pool: &ValidPool, name: String, values: BTreeMap<String, String>) -> Secret {
    let mut labels = crate::labels::of("mediamtx");
    labels.insert(POOL_LABEL.to_owned(), pool.name.clone());
    let bytes = |(key, value): (String, String)| (key, ByteString(value.into_bytes()));
    Secret {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(pool.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![OwnerReference {
                controller: Some(true),
                ..pool.owner.clone()
            }]),
            ..ObjectMeta::default()
        },
        data: Some(values.into_iter().map(bytes).collect()),
        ..Secret::default()
    }
}
