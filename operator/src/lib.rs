//! The manager role: wires watches, fleet, election and controllers, nothing else.

use std::time::Duration;

use axum::Router;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Api, Client};
use marsad_controllers::fleet::{self, Fleet};
use marsad_controllers::ingest_pool::PoolSettings;
use marsad_controllers::reach::{self, Reach};
use marsad_controllers::stream_limits::StreamLimits;
use marsad_controllers::{bootstrap, camera, camera_source, ingest_pool};
use marsad_crds::{
    Camera, CameraSource, IngestPool, IngestPoolSpec, MediaMtxSpec, RecordingsVolume, StreamQuota, labels,
};
use marsad_ledger::LedgerArgs;
use marsad_runtime::backoff::Schedule;
use marsad_runtime::client;
use marsad_runtime::controller::{ControllerMetrics, Manager};
use marsad_runtime::election::{ElectionArgs, Elector, Fence};
use marsad_runtime::events::Events;
use marsad_runtime::heartbeat::Heartbeats;
use marsad_runtime::role::{Role, RoleArgs};
use marsad_runtime::watch::{Watch, Watched};
use tokio_util::sync::CancellationToken;

/// Settings of `marsad operator`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    role: RoleArgs,
    #[command(flatten)]
    election: ElectionArgs,
    #[command(flatten)]
    ledger: LedgerArgs,
    /// Image of the ingest engine, MediaMTX.
    #[arg(long, env = "MEDIAMTX_IMAGE")]
    mediamtx_image: String,
    /// When the engine's image is pulled: Always, IfNotPresent or Never.
    #[arg(long, env = "IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    image_pull_policy: String,
    /// Shards of the IngestPool `default` that is made when there is none.
    #[arg(long, env = "DEFAULT_POOL_REPLICAS", default_value_t = 1)]
    default_pool_replicas: i32,
    /// Volume of the recordings of each of its shards, such as 500Gi; none: recordings go with the pod.
    #[arg(long, env = "DEFAULT_POOL_RECORDINGS_SIZE")]
    default_pool_recordings_size: Option<String>,
    /// StorageClass of those volumes; none: the cluster's default.
    #[arg(
        long,
        env = "DEFAULT_POOL_RECORDINGS_STORAGE_CLASS",
        requires = "default_pool_recordings_size"
    )]
    default_pool_recordings_storage_class: Option<String>,
    /// Ranges of addresses that belong to the cluster and that it does not tell itself, with commas between: no camera is looked for
    /// there. Pods by the nodes and Services are known.
    #[arg(long, env = "CLUSTER_CIDRS", value_delimiter = ',')]
    cluster_cidrs: Vec<ipnet::IpNet>,
}

impl Args {
    /// The IngestPool `default`, should there be none.
    fn default_pool(&self) -> IngestPoolSpec {
        let recordings = self
            .default_pool_recordings_size
            .clone()
            .map(|size| RecordingsVolume {
                size: Quantity(size),
                storage_class_name: self.default_pool_recordings_storage_class.clone(),
            });
        IngestPoolSpec {
            replicas: self.default_pool_replicas,
            mediamtx: MediaMtxSpec {
                recordings,
                ..MediaMtxSpec::default()
            },
            ..IngestPoolSpec::default()
        }
    }
}

/// What is done by one process of several.
#[derive(Clone)]
struct Leader {
    context: camera::Context,
    pool_context: ingest_pool::Context,
    cameras: Watch<Camera>,
    metrics: ControllerMetrics,
    default_pool: IngestPoolSpec,
    limits: Option<StreamLimits>,
    stop: CancellationToken,
    heartbeats: Heartbeats,
}

impl Leader {
    /// One term: all controllers, from their beginning, until the stop.
    async fn run(self, fence: Fence) {
        let Self {
            context,
            pool_context,
            cameras,
            metrics,
            default_pool,
            limits,
            stop,
            heartbeats,
        } = self;
        cameras.ready().await;
        context.fleet.lead(fence.clone(), &cameras);
        let limits = {
            let (fence, stop) = (fence.clone(), stop.clone());
            async move {
                if let Some(limits) = limits {
                    limits.run(fence, stop).await;
                }
            }
        };
        let manager = Manager {
            metrics,
            fence,
            stop: stop.clone(),
            heartbeats,
        };
        let (client, namespace) = (context.client.clone(), context.namespace.clone());
        let pools = ingest_pool::run(pool_context, context.pools.clone(), manager.clone());
        let survey = fleet::survey(
            context.fleet.clone(),
            context.pools.clone(),
            cameras.clone(),
            stop.clone(),
        );
        let sources = camera_source::run(client.clone(), context.sources.clone(), manager.clone());
        let cameras = camera::run(context, cameras, manager);
        let bootstrap = bootstrapped(&client, &namespace, &default_pool, &stop);
        let _: (_, _, _, (), (), ()) = tokio::join!(pools, sources, cameras, survey, bootstrap, limits);
    }
}

/// Runs the operator until it is told to stop.
///
/// # Errors
/// When a port can't be had, the cluster can't be found, or a task ends.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut role = Role::start("operator", &args.role)?;
    let client = client::counted(&role.metrics).await?;
    let namespace = args.role.pod_namespace.clone();
    let default_pool = args.default_pool();
    let metrics = ControllerMetrics::new(&role.metrics);
    let of_shards = watcher::Config::default().labels(&format!(
        "{}={},{}={}",
        labels::APP_NAME,
        labels::APP,
        labels::COMPONENT,
        labels::COMPONENT_MEDIAMTX
    ));

    let cameras: Watch<Camera> = watch(&mut role, "watch-cameras", Api::all(client.clone()), all());
    let sources: Watch<CameraSource> = watch(&mut role, "watch-sources", Api::all(client.clone()), all());
    let pools: Watch<IngestPool> = watch(
        &mut role,
        "watch-pools",
        Api::namespaced(client.clone(), &namespace),
        all(),
    );
    let pods: Watch<Pod> = watch(
        &mut role,
        "watch-pods",
        Api::namespaced(client.clone(), &namespace),
        of_shards.clone(),
    );
    let sets: Watch<StatefulSet> = watch(
        &mut role,
        "watch-sets",
        Api::namespaced(client.clone(), &namespace),
        of_shards,
    );
    let nodes: Watch<Node> = watch(&mut role, "watch-nodes", Api::all(client.clone()), all());
    let quotas: Watch<StreamQuota> = watch(&mut role, "watch-quotas", Api::all(client.clone()), all());
    let reach = Reach::new(args.cluster_cidrs);
    role.supervise(
        "reach",
        reach::run(
            reach.clone(),
            client.clone(),
            nodes.clone(),
            role.shutdown.clone(),
        ),
    );
    let limits = stream_limits(&args.ledger, &quotas);
    let fleet = Fleet::default();
    let ingest = camera::IngestMetrics::new(&role.metrics);
    ingest.export(&role.metrics, fleet.clone(), cameras.clone(), quotas.clone());
    let stop = role.shutdown.clone();
    let process = args
        .role
        .pod_name
        .clone()
        .unwrap_or_else(|| "operator".to_owned());
    let (elector, leadership) = Elector::new(
        client.clone(),
        &namespace,
        &process,
        &args.election,
        &role.metrics,
        &role.heartbeats,
    )?;

    role.supervise(
        "fleet",
        fleet::run(
            fleet.clone(),
            client.clone(),
            namespace.clone(),
            pods.clone(),
            cameras.clone(),
            stop.clone(),
        ),
    );
    let readiness = role.readiness.clone();
    let (known, stopped) = (cameras.clone(), stop.clone());
    role.supervise("ready", async move {
        // Whoever waits to lead is ready: its caches are full.
        known.ready().await;
        readiness.set(true);
        stopped.cancelled().await;
        Ok::<(), std::convert::Infallible>(())
    });
    let pool_context = ingest_pool::Context {
        client: client.clone(),
        settings: PoolSettings {
            namespace: namespace.clone(),
            image: args.mediamtx_image,
            image_pull_policy: args.image_pull_policy,
        },
        sets,
        pods,
        nodes,
        fleet: fleet.clone(),
    };
    let leader = Leader {
        context: camera::Context {
            namespace,
            sources,
            pools,
            quotas,
            reach,
            fleet,
            ingest,
            events: Events::new(client.clone(), labels::MANAGER_CAMERA, args.role.pod_name.clone()),
            client,
        },
        pool_context,
        cameras,
        metrics,
        default_pool,
        limits,
        stop: stop.clone(),
        heartbeats: role.heartbeats.clone(),
    };
    role.supervise("election", elector.run());
    role.supervise("leader", async move {
        leadership
            .lead(stop, |fence| Box::pin(leader.clone().run(fence)))
            .await;
        Ok::<(), std::convert::Infallible>(())
    });
    role.serve(Router::new()).await?;
    Ok(())
}

/// What puts limits on live streams in force; nothing where no ledger is named.
fn stream_limits(ledger: &LedgerArgs, quotas: &Watch<StreamQuota>) -> Option<StreamLimits> {
    match ledger.settings() {
        Ok(settings) => {
            let settings = marsad_ledger::Settings {
                // A call each two seconds; what a failover loses of limits is set again.
                connections: 1,
                replicas: 0,
                ..settings
            };
            Some(StreamLimits::new(
                marsad_ledger::Client::start(settings),
                quotas.clone(),
            ))
        }
        Err(error) => {
            tracing::warn!(%error, "no_limits_on_live_streams");
            None
        }
    }
}

fn all() -> watcher::Config {
    watcher::Config::default()
}

fn watch<K: Watched>(
    role: &mut Role,
    name: &'static str,
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
) -> Watch<K> {
    let (watch, feed) = Watch::new(api, config);
    role.supervise_until_stop(name, feed);
    watch
}

/// Makes what must be there once, again and again until it is: the API server may be away at the start.
async fn bootstrapped(client: &Client, namespace: &str, pool: &IngestPoolSpec, stop: &CancellationToken) {
    let mut failures = 0;
    while let Err(error) = bootstrap::ensure(client, namespace, pool).await {
        failures += 1;
        let pause = Schedule {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(30),
        }
        .pause(failures, 0.5);
        tracing::warn!(error = &error as &dyn std::error::Error, "bootstrap_failed");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
