//! CameraSource: whether cameras may use it. Discovery (Milestone) is the `milestone` role's.

mod status;
mod validate;

use std::sync::Arc;

use jiff::Timestamp;
use kube::{Api, Client, ResourceExt};
use marsad_crds::{CameraSource, labels};
use marsad_runtime::controller::{self, Manager, Next, Reconcile};
use marsad_runtime::status::StatusError;
use marsad_runtime::watch::Watch;

struct Controller {
    client: Client,
}

/// Runs the controller until the manager's stop.
///
/// # Errors
/// Never; the type fits [`marsad_runtime::role::Role::supervise`].
pub async fn run(
    client: Client,
    sources: Watch<CameraSource>,
    manager: Manager,
) -> Result<(), std::convert::Infallible> {
    controller::run(
        Arc::new(Controller { client }),
        sources,
        |controller| controller,
        manager,
    )
    .await
}

impl Reconcile for Controller {
    type Kind = CameraSource;
    type Error = StatusError;
    const NAME: &'static str = "camerasource";

    async fn reconcile(&self, source: Arc<CameraSource>) -> Result<Next, StatusError> {
        let paused = crate::labels::is_set(source.as_ref(), labels::PAUSED);
        if source.metadata.deletion_timestamp.is_some() || paused {
            return Ok(Next::Change);
        }
        let wanted = status::status(&source, &validate::validate(&source), Timestamp::now());
        let api: Api<CameraSource> =
            Api::namespaced(self.client.clone(), &source.namespace().unwrap_or_default());
        marsad_runtime::status::apply(
            &api,
            source.as_ref(),
            labels::MANAGER_CAMERA_SOURCE,
            source.status.as_ref(),
            &wanted,
        )
        .await?;
        Ok(Next::Change)
    }

    fn reason(_: &StatusError) -> &'static str {
        "status"
    }
}
