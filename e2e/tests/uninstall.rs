//! `helm uninstall` leaves nothing, and the release can be installed again.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Result, bail};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, ResourceExt as _};
use marsad_crds::StreamQuota;
use marsad_e2e::camera;
use marsad_e2e::cluster::Cluster;
use marsad_e2e::diagnostics;
use marsad_e2e::helm::{Helm, chart_dir, checkout};
use marsad_e2e::manifests;
use marsad_e2e::wait;
use serde::de::DeserializeOwned;

/// Everything is owned by something that Helm removes: the garbage collector's time.
const GONE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn nothing_is_left_and_it_can_be_installed_again() -> Result<()> {
    let cluster = Cluster::from_env().await?;
    let helm = Helm::from_env()?;
    let namespace = cluster.namespace.as_str();
    // What was there before the release and is the administrator's.
    let kept: BTreeSet<String> = ["Secret/marsad-users", "ServiceAccount/default"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    let values = tempfile::NamedTempFile::new()?;
    fs::write(
        values.path(),
        helm.check(&[
            "get",
            "values",
            "marsad",
            "--namespace",
            namespace,
            "--output",
            "yaml",
        ])?,
    )?;

    // The kinds go with the release, and with them the ranges that the simulator's cameras may be in.
    let quotas: Api<StreamQuota> = Api::all(cluster.client.clone());
    let agencies = quotas.get("default").await?.spec.agencies;

    helm.check(&[
        "uninstall",
        "marsad",
        "--namespace",
        namespace,
        "--wait",
        "--timeout",
        "2m",
    ])?;
    let cleared = wait::answer("nothing is left", GONE, async || {
        let left: Vec<String> = left(&cluster)
            .await?
            .into_iter()
            .filter(|id| !kept.contains(id))
            .collect();
        if left.is_empty() {
            Ok(())
        } else {
            bail!("left: {left:?}")
        }
    })
    .await;
    let report = if cleared.is_err() {
        diagnostics::dump(&cluster, namespace).await
    } else {
        String::new()
    };

    // Whatever the verdict, what comes after this test finds the release again.
    let chart = chart_dir();
    let arguments = [
        "install",
        "marsad",
        &chart.to_string_lossy(),
        "--namespace",
        namespace,
        "--values",
        &values.path().to_string_lossy(),
    ];
    helm.check(&[&arguments[..], &["--wait", "--timeout", "3m"]].concat())?;
    let mut objects = Vec::new();
    for file in manifests::files(&checkout().join("examples"))? {
        objects.extend(manifests::objects(&file)?);
    }
    manifests::apply(&cluster.client, &objects, false).await?;
    let as_before = Patch::Merge(serde_json::json!({"spec": {"agencies": agencies}}));
    quotas
        .patch("default", &PatchParams::default(), &as_before)
        .await?;
    cleared.map_err(|error| error.context(report))?;
    let cameras = Api::namespaced(cluster.client.clone(), "bus");
    camera::up(&cameras, "gold-souq-station", Duration::from_secs(60)).await?;
    Ok(())
}

/// Objects of the release's namespace, and of the cluster by name.
async fn left(cluster: &Cluster) -> Result<Vec<String>> {
    let mut found = Vec::new();
    namespaced::<Deployment>(cluster, &mut found).await?;
    namespaced::<StatefulSet>(cluster, &mut found).await?;
    namespaced::<Pod>(cluster, &mut found).await?;
    namespaced::<Service>(cluster, &mut found).await?;
    namespaced::<Secret>(cluster, &mut found).await?;
    namespaced::<ServiceAccount>(cluster, &mut found).await?;
    namespaced::<NetworkPolicy>(cluster, &mut found).await?;
    namespaced::<PodDisruptionBudget>(cluster, &mut found).await?;
    namespaced::<Role>(cluster, &mut found).await?;
    namespaced::<RoleBinding>(cluster, &mut found).await?;
    let client = &cluster.client;
    let ours = |name: &String| name.contains("marsad");
    let roles = Api::<ClusterRole>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    found.extend(
        roles
            .iter()
            .map(|object| object.name_any())
            .filter(ours)
            .map(|name| format!("ClusterRole/{name}")),
    );
    let bindings = Api::<ClusterRoleBinding>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    found.extend(
        bindings
            .iter()
            .map(|object| object.name_any())
            .filter(ours)
            .map(|name| format!("ClusterRoleBinding/{name}")),
    );
    let kinds = Api::<CustomResourceDefinition>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    found.extend(
        kinds
            .iter()
            .map(|object| object.name_any())
            .filter(ours)
            .map(|name| format!("CustomResourceDefinition/{name}")),
    );
    Ok(found)
}

async fn namespaced<K>(cluster: &Cluster, into: &mut Vec<String>) -> Result<()>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let objects = api.list_metadata(&ListParams::default()).await?;
    into.extend(
        objects
            .iter()
            .map(|object| format!("{}/{}", K::kind(&()), object.name_any())),
    );
    Ok(())
}
