//! A test's own namespace, cleaned up whatever happens.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Secret};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use marsad_crds::{Camera, CameraSource, CameraSourceSpec, IngestPool, NameRef, RtspSource};
use serde_json::{Value, json};

use crate::camera::{SOURCE, camera};
use crate::cluster::Cluster;
use crate::kstatus::Witness;
use crate::pool::{pools, settled};
use crate::sim::Sim;
use crate::{diagnostics, wait};

/// Everything of a test must be gone within this time: nothing of ours has a finalizer.
const GONE: Duration = Duration::from_secs(60);

/// A namespace with a CameraSource, and the means to fill it. Cheap to clone.
#[derive(Clone)]
pub struct Scenario {
    /// The cluster.
    pub cluster: Cluster,
    /// The test's namespace.
    pub namespace: String,
    /// The camera simulator.
    pub sim: Sim,
    made: Arc<Mutex<Made>>,
}

#[derive(Default)]
struct Made {
    simulated: Vec<String>,
    pools: Vec<String>,
}

/// Runs `body` in a namespace of its own, and removes it and what the scenario made. A failure is reported with the state
/// of the cluster at that moment. Every version of every object of the scenario is held against kstatus at the end.
///
/// # Errors
/// What `body` says, or that something did not go away, or that kstatus reads an object otherwise than we do.
pub async fn scenario<F>(name: &str, body: impl FnOnce(Scenario) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let cluster = Cluster::from_env().await?;
    let short = uuid::Uuid::new_v4().simple().to_string();
    let namespace = format!("e2e-{name}-{}", short.get(..6).unwrap_or_default());
    let scenario = Scenario {
        sim: Sim::new(cluster.client.clone()),
        cluster,
        namespace,
        made: Arc::default(),
    };
    // Before the first object is there.
    let witness = Box::pin(Witness::from_env(&scenario.cluster.client, &scenario.namespace)).await?;
    Box::pin(scenario.prepare()).await?;
    let body = AssertUnwindSafe(Box::pin(body(scenario.clone()))).catch_unwind();
    let ran = tokio::select! {
        ran = body => ran,
        // What was made is removed then, too.
        _ = tokio::signal::ctrl_c() => Ok(Err(anyhow::anyhow!("interrupted"))),
    };
    let failed = !matches!(ran, Ok(Ok(())));
    let state = if failed {
        Box::pin(diagnostics::dump(&scenario.cluster, &scenario.namespace)).await
    } else {
        String::new()
    };
    let cleaned = Box::pin(scenario.clean()).await;
    match ran {
        Err(panic) => {
            eprintln!("{state}");
            std::panic::resume_unwind(panic)
        }
        Ok(Err(error)) => Err(error.context(state)),
        Ok(Ok(())) => {
            cleaned?;
            match witness {
                Some(witness) => Box::pin(witness.judge()).await,
                None => Ok(()),
            }
        }
    }
}

impl Scenario {
    /// Cameras of the namespace.
    pub fn cameras(&self) -> Api<Camera> {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    /// A name that no other test gives to the simulator.
    pub fn simulated(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// A simulated camera and the Camera that shows it, both called `name`; `what` is the simulator's own description.
    ///
    /// # Errors
    /// When the simulator or the API server refuses.
    pub async fn add(&self, name: &str, what: Value) -> Result<()> {
        self.simulate(name, what).await?;
        self.apply(name, &self.sim.url(&self.simulated(name))).await
    }

    /// A simulated camera alone.
    ///
    /// # Errors
    /// When the simulator refuses.
    pub async fn simulate(&self, name: &str, what: Value) -> Result<()> {
        let name = self.simulated(name);
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .simulated
            .push(name.clone());
        self.sim.put(&name, what).await
    }

    /// Lets the operator read the namespace's Secrets.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn bind_secrets(&self) -> Result<()> {
        let bindings: Api<RoleBinding> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": "marsad-reads-camera-credentials"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "marsad-camera-credentials"},
            "subjects": [{"kind": "ServiceAccount", "name": "marsad-operator", "namespace": self.cluster.namespace}],
        }))?;
        bindings.create(&PostParams::default(), &binding).await?;
        Ok(())
    }

    /// Makes a Secret what is given: `{"type", "stringData"}` and so on.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn secret(&self, name: &str, what: Value) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret"});
        if let (Some(fields), Value::Object(given)) = (secret.as_object_mut(), what) {
            fields.extend(given);
            let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("name".to_owned(), json!(name));
            }
        }
        let apply = PatchParams::apply("e2e").force();
        secrets.patch(name, &apply, &Patch::Apply(secret)).await?;
        Ok(())
    }

    /// A Camera alone.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn apply(&self, name: &str, url: &str) -> Result<()> {
        self.create(camera(name, url)).await
    }

    /// A Camera as it is given.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create(&self, camera: Camera) -> Result<()> {
        self.cameras().create(&PostParams::default(), &camera).await?;
        Ok(())
    }

    /// Puts what the test adds next into a pool of its own, so that its pods can be killed. Returns the pool's name.
    ///
    /// # Errors
    /// When the API server refuses, or the pool's pods do not come.
    pub async fn pool(&self, replicas: i32) -> Result<String> {
        let small = json!({
            "requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}});
        let spec = json!({"replicas": replicas, "mediamtx": {"resources": small}});
        self.pool_of(&self.namespace, spec).await
    }

    /// A pool as it is given, of a name that no other test gives. Returns the name.
    ///
    /// # Errors
    /// As [`Self::pool`].
    pub async fn pool_of(&self, name: &str, spec: Value) -> Result<String> {
        let name = name.to_owned();
        let pool: IngestPool = serde_json::from_value(json!({
            "apiVersion": "marsad.dev/v1alpha1",
            "kind": "IngestPool",
            "metadata": {"name": name},
            "spec": spec,
        }))?;
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pools
            .push(name.clone());
        pools(&self.cluster).create(&PostParams::default(), &pool).await?;
        settled(&self.cluster, &name, Duration::from_secs(60)).await?;
        Ok(name)
    }

    /// A simulated camera whose Camera is in `pool`.
    ///
    /// # Errors
    /// When the simulator or the API server refuses.
    pub async fn add_to_pool(&self, name: &str, what: Value, pool: &str) -> Result<()> {
        self.simulate(name, what).await?;
        let mut camera = camera(name, &self.sim.url(&self.simulated(name)));
        camera.spec.pool_ref = Some(NameRef {
            name: pool.to_owned(),
        });
        self.create(camera).await
    }

    async fn prepare(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.cluster.client.clone());
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(self.namespace.clone()),
                labels: Some([("marsad.dev/e2e".to_owned(), "true".to_owned())].into()),
                ..Default::default()
            },
            ..Default::default()
        };
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .context("namespace of the test")?;
        let sources: Api<CameraSource> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        let spec = CameraSourceSpec {
            agency: "other".to_owned(),
            rtsp: Some(RtspSource::default()),
            ..Default::default()
        };
        sources
            .create(&PostParams::default(), &CameraSource::new(SOURCE, spec))
            .await
            .context("source of the test")?;
        Ok(())
    }

    async fn clean(&self) -> Result<()> {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        let namespaces: Api<Namespace> = Api::all(self.cluster.client.clone());
        // A test may have deleted it itself.
        if let Err(error) = namespaces.delete(&self.namespace, &DeleteParams::default()).await
            && !matches!(&error, kube::Error::Api(status) if status.code == 404)
        {
            return Err(error.into());
        }
        for pool in &made.pools {
            pools(&self.cluster)
                .delete(pool, &DeleteParams::default())
                .await?;
        }
        for name in &made.simulated {
            self.sim.delete(name).await?;
        }
        wait::gone(&namespaces, &self.namespace, GONE).await?;
        let claims: Api<PersistentVolumeClaim> =
            Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace);
        for pool in &made.pools {
            for pod in self.cluster.pods_of("mediamtx").await? {
                let name = pod.metadata.name.unwrap_or_default();
                if name.starts_with(&format!("ingest-{pool}-")) {
                    wait::gone(&self.cluster.pods(), &name, GONE).await?;
                }
            }
            // Claims outlive their pool.
            let of_pool = ListParams::default().labels(&format!("marsad.dev/ingest-pool={pool}"));
            claims
                .delete_collection(&DeleteParams::default(), &of_pool)
                .await?;
        }
        Ok(())
    }
}
