//! Where cameras may be (contracts.md 9): an operator that connects to whatever address it is told is a port scanner for everybody
//! who may write a Camera, and sends a password to whoever asks for it. [`Ranges::judge`] decides of an address, [`Reach`] knows
//! the cluster's own ranges and resolves names, [`Hosts`] says to whom a Secret may go.

mod hosts;
mod ranges;
mod resolve;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kube::api::ListParams;
use kube::{Api, Client};
use marsad_runtime::backoff::Schedule;
use marsad_runtime::watch::Watch;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use hosts::{HOSTS_ANNOTATION, Hosts};
pub use ranges::{Kind, NotAllowed, Ranges, parse_all};
pub use resolve::{Resolved, Resolver};

/// Time between two looks at the cluster's ranges: they change when a node comes.
const LOOK: Duration = Duration::from_secs(300);

/// The cluster's ranges and the names of cameras. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reach {
    ranges: Arc<RwLock<Arc<Ranges>>>,
    known: watch::Sender<bool>,
    /// Names of cameras.
    pub names: Resolver,
}

impl Reach {
    /// Knows what is refused everywhere, and `more` ranges that belong to the cluster: those that it can't be asked for.
    pub fn new(more: Vec<IpNet>) -> Self {
        Self {
            ranges: Arc::new(RwLock::new(Arc::new(Ranges::new(more)))),
            known: watch::Sender::new(false),
            names: Resolver::default(),
        }
    }

    /// What is refused now.
    pub fn ranges(&self) -> Arc<Ranges> {
        self.ranges.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the cluster was asked for its ranges once: before that one of its own pods could pass for a camera.
    pub async fn known(&self) {
        // The sender lives as long as `self`.
        let _ = self.known.subscribe().wait_for(|known| *known).await;
    }

    fn learn(&self, pods: Vec<IpNet>, services: Vec<IpNet>) {
        let next = Arc::new(self.ranges().with_cluster(pods, services));
        *self.ranges.write().unwrap_or_else(PoisonError::into_inner) = next;
        self.known.send_replace(true);
    }
}

/// Keeps the cluster's ranges up to date until `stop`.
///
/// # Errors
/// Never; the type fits [`marsad_runtime::role::Role::supervise`].
pub async fn run(
    reach: Reach,
    client: Client,
    nodes: Watch<Node>,
    stop: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    tokio::select! {
        () = nodes.ready() => {}
        () = stop.cancelled() => return Ok(()),
    }
    let mut failures = 0;
    loop {
        let pause = match services(&client).await {
            Ok(services) => {
                failures = 0;
                reach.learn(pods(&nodes), services);
                LOOK
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(error = &error as &dyn std::error::Error, "cluster_ranges_unknown");
                Schedule {
                    initial: Duration::from_secs(1),
                    max: Duration::from_secs(60),
                }
                .pause(failures, 0.5)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The ranges of pods, as the nodes say.
fn pods(nodes: &Watch<Node>) -> Vec<IpNet> {
    let nodes = nodes.store().state();
    let specs = nodes.iter().filter_map(|node| node.spec.as_ref());
    parse_all(specs.flat_map(|spec| spec.pod_cidrs.iter().flatten().chain(&spec.pod_cidr)))
}

/// The ranges of Services, as the cluster says.
async fn services(client: &Client) -> Result<Vec<IpNet>, kube::Error> {
    let ranges = match Api::<ServiceCIDR>::all(client.clone())
        .list(&ListParams::default().match_any())
        .await
    {
        Ok(list) => list.items,
        // Before Kubernetes 1.33: the setting says it, if it is to be said.
        Err(kube::Error::Api(status)) if status.code == 404 => {
            tracing::info!(
                "the cluster does not tell its Service ranges: give them in operator.clusterCIDRs"
            );
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let cidrs = ranges
        .into_iter()
        .flat_map(|range| range.spec.unwrap_or_default().cidrs.unwrap_or_default());
    Ok(parse_all(cidrs))
}
