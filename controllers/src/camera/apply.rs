//! Brings the shard's paths to what they should be: `add` or `patch` of the fields that differ, after comparing;
//! never `replace` (contracts.md 13a). Removing is the observer's (contracts.md 9a).

use marsad_mediamtx::{self as mediamtx, diff};

use super::build::WantedPath;
use crate::fleet::{Fleet, Shard};

/// A path could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// The shard has no address now; its observer wakes the camera when it has.
    #[error("shard {0} has no address")]
    NoAddress(String),
    /// MediaMTX refused, or is away.
    #[error("can't configure path {path} on shard {shard}: {source}")]
    MediaMtx {
        /// Shard.
        shard: String,
        /// Path.
        path: String,
        /// What the client said; without credentials.
        #[source]
        source: mediamtx::Error,
    },
}

/// Writes what differs.
///
/// # Errors
/// When MediaMTX refuses or is away.
pub(crate) async fn apply(fleet: &Fleet, shard: &Shard, wanted: &[WantedPath]) -> Result<(), ApplyError> {
    let client = shard
        .client
        .as_ref()
        .ok_or_else(|| ApplyError::NoAddress(shard.name.clone()))?;
    for path in wanted {
        let written = one(client, shard, path)
            .await
            .map_err(|source| ApplyError::MediaMtx {
                shard: shard.name.clone(),
                path: path.name.clone(),
                source,
            })?;
        if written {
            fleet.written(&shard.name, &path.name);
        }
    }
    Ok(())
}

async fn one(client: &mediamtx::Client, shard: &Shard, path: &WantedPath) -> Result<bool, mediamtx::Error> {
    match shard.seen.configs.get(&path.name) {
        Some(have) => match diff(have, &path.conf) {
            Some(patch) => patch_or_add(client, path, &patch).await.map(|()| true),
            None => Ok(false),
        },
        None => match client.add_path(&path.name, &path.conf).await {
            Ok(()) => {
                tracing::info!(shard = shard.name, path = path.name, "path_added");
                Ok(true)
            }
            // The list we compared with was older than an earlier write of ours: look at the path itself.
            Err(mediamtx::Error::AlreadyExists) => match client.get_path_config(&path.name).await? {
                Some(have) => match diff(&have, &path.conf) {
                    Some(patch) => patch_or_add(client, path, &patch).await.map(|()| true),
                    None => Ok(false),
                },
                None => client.add_path(&path.name, &path.conf).await.map(|()| true),
            },
            Err(error) => Err(error),
        },
    }
}

async fn patch_or_add(
    client: &mediamtx::Client,
    path: &WantedPath,
    patch: &mediamtx::PathPatch,
) -> Result<(), mediamtx::Error> {
    match client.patch_path(&path.name, patch).await {
        // Gone since it was listed: MediaMTX restarted.
        Err(mediamtx::Error::NotFound) => client.add_path(&path.name, &path.conf).await,
        other => other,
    }
}
