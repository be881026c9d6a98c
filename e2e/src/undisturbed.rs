//! What must not change while something happens that is no business of a camera's viewers.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use marsad_crds::Camera;

use crate::cluster::Cluster;
use crate::{camera, restarts};

/// A camera's picture and the containers of the release, as they were.
pub struct Undisturbed {
    online_since: Option<String>,
    restarts: BTreeMap<String, i32>,
}

impl Undisturbed {
    /// As they are now.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn now(cluster: &Cluster, camera: &Camera) -> Result<Self> {
        Ok(Self {
            online_since: camera::online_since(camera),
            restarts: restarts::of_ours(cluster).await?,
        })
    }

    /// That they are so still.
    ///
    /// # Errors
    /// When the camera was not Online all the time, or a container was started again.
    pub async fn still(&self, cluster: &Cluster, camera: &Camera) -> Result<()> {
        let (since, restarts) = (camera::online_since(camera), restarts::of_ours(cluster).await?);
        ensure!(
            since == self.online_since,
            "the picture was disturbed: Online since {since:?}, it was {:?}",
            self.online_since
        );
        ensure!(
            restarts == self.restarts,
            "a container was restarted: {restarts:?}, it was {:?}",
            self.restarts
        );
        Ok(())
    }
}
