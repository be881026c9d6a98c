//! `kubectl delete ns` and what may never hold it up.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use marsad_e2e::camera;
use marsad_e2e::scenario::scenario;
use marsad_e2e::wait;
use serde_json::json;

/// Also with the operator away: nothing of ours has a finalizer.
#[tokio::test]
async fn nothing_is_left_terminating() -> Result<()> {
    scenario("gone", |test| async move {
        for name in ["a", "b", "c"] {
            test.add(name, json!({"video": "clip"})).await?;
        }
        for name in ["a", "b", "c"] {
            let camera = camera::up(&test.cameras(), name, Duration::from_secs(30)).await?;
            assert_eq!(camera.metadata.finalizers, None, "contracts.md 9a");
        }
        for operator in test.cluster.pods_of("operator").await? {
            test.cluster
                .kill(operator.metadata.name.as_deref().unwrap_or_default())
                .await?;
        }
        let namespaces: Api<Namespace> = Api::all(test.cluster.client.clone());
        namespaces
            .delete(&test.namespace, &DeleteParams::default())
            .await?;
        wait::gone(&namespaces, &test.namespace, Duration::from_secs(30)).await
    })
    .await
}
