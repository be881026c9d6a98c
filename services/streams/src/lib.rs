//! The streams role: live viewing on demand. A lease on a camera makes its shard publish it into a LiveKit room; the
//! last one's end, after a linger, ends that (design.md §5).
//!
//! [`leases`] takes leases from the stream ledger and holds them. Pure: [`demand`] (who watches what), [`standing`] (what is to be done for a camera next), [`track_watch`] (is the
//! picture there). [`stills`] keeps each camera's last picture. Edges: [`publisher`], [`room`] and [`condition`] are seams, with MediaMTX, LiveKit and the API server
//! behind them; [`reconcile`] turns steps into calls; [`routes`] speaks HTTP.

pub mod agencies;
pub mod camera;
pub mod condition;
pub mod demand;
pub mod leases;
pub mod live;
pub mod livekit_rooms;
pub mod metrics;
pub mod problem;
pub mod publisher;
pub mod reconcile;
pub mod room;
pub mod routes;
pub mod shard_pods;
pub mod shards;
pub mod standing;
pub mod stats_routes;
pub mod stills;
pub mod sweep;
pub mod track_watch;

#[cfg(test)]
mod fake_ledger;
#[cfg(test)]
mod fakes;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use kube::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use marsad_crds::{Camera, StreamQuota};
use marsad_identity::Verifier;
use marsad_ledger::LedgerArgs;
use marsad_livekit::Tokens;
use marsad_runtime::client;
use marsad_runtime::role::{Readiness, Role, RoleArgs, duration};
use marsad_runtime::watch::{Change, Watch};

use crate::agencies::Agencies;
use crate::camera::{CameraView, Cameras};
use crate::condition::KubeConditions;
use crate::demand::Demand;
use crate::leases::ledger::Valkey;
use crate::leases::{Leases, guard, keeper};
use crate::live::Live;
use crate::livekit_rooms::LiveKitRooms;
use crate::metrics::{LedgerMetrics, StreamsMetrics};
use crate::publisher::forward::ForwardPublisher;
use crate::reconcile::Reconciler;
use crate::shards::Shards;
use crate::stills::Stills;
use crate::stills::metrics::StillsMetrics;

/// Settings of the role.
#[derive(Clone, clap::Args)]
pub struct Args {
    /// What all roles take.
    #[command(flatten)]
    pub role: RoleArgs,
    /// Where the stream ledger is.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// LiveKit's API.
    #[arg(long, env = "LIVEKIT_URL", default_value = "http://marsad-livekit:7880")]
    pub livekit_url: String,
    /// LiveKit's WHIP endpoint, as ingest pods resolve it.
    #[arg(
        long,
        env = "LIVEKIT_WHIP_URL",
        default_value = "whip://marsad-livekit:7880/whip/v1"
    )]
    pub livekit_whip_url: String,
    /// Key of LiveKit's API.
    #[arg(long, env = "LIVEKIT_API_KEY")]
    pub livekit_api_key: String,
    /// Its secret. By the environment only: a command line is seen by everybody on the machine.
    #[arg(long, env = "LIVEKIT_API_SECRET", hide_env_values = true)]
    pub livekit_api_secret: String,
    /// Where the keys are published that people's tokens are signed with.
    #[arg(
        long,
        env = "JWKS_URL",
        default_value = "http://marsad-api:8080/.well-known/jwks.json"
    )]
    pub jwks_url: String,
    /// How long a camera stays published after its last viewer left, such as 10s.
    #[arg(long, env = "STREAM_LINGER", default_value = "10s", value_parser = duration)]
    pub linger: Duration,
}

impl fmt::Debug for Args {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Args")
            .field("role", &self.role)
            .field("ledger", &self.ledger)
            .field("livekit_url", &self.livekit_url)
            .field("livekit_whip_url", &self.livekit_whip_url)
            .field("livekit_api_secret", &"***")
            .field("jwks_url", &self.jwks_url)
            .field("linger", &self.linger)
            .finish_non_exhaustive()
    }
}

/// Runs the role until it is told to stop. Forwards are left as they are: whoever comes next adopts them.
///
/// # Errors
/// When settings are unusable, a port is taken or a task ends.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut role = Role::start("streams", &args.role)?;
    let client = client::counted(&role.metrics).await?;
    let api: Api<DeserializeGuard<Camera>> = Api::all(client.clone());
    let (watch, feed) = Watch::new(api, watcher::Config::default());
    role.supervise_until_stop("cameras", feed);
    let quotas: Api<DeserializeGuard<StreamQuota>> = Api::all(client.clone());
    let (quotas, feed) = Watch::new(quotas, watcher::Config::default());
    role.supervise_until_stop("quota", feed);
    let shards = Shards::default();
    role.supervise_until_stop(
        "shards",
        shard_pods::run(client.clone(), args.role.pod_namespace.clone(), shards.clone()),
    );

    let livekit =
        marsad_livekit::Client::new(&args.livekit_url, &args.livekit_api_key, &args.livekit_api_secret)
            .context("LIVEKIT_URL")?;
    let (key, secret) = (args.livekit_api_key.as_str(), args.livekit_api_secret.as_str());
    let publisher = ForwardPublisher::new(shards.clone(), &args.livekit_whip_url, key, secret);
    let rooms = LiveKitRooms::new(livekit, Tokens::new(key, secret));
    let reconciler = Reconciler::new(
        Cameras::new(watch),
        Demand::new(args.linger),
        Arc::new(publisher),
        Arc::new(rooms),
        Arc::new(KubeConditions::new(client)),
        StreamsMetrics::new(&role.metrics),
    );
    let settings = args.ledger.settings()?;
    let metrics = LedgerMetrics::new(&role.metrics);
    let valkey = Valkey::new(marsad_ledger::Client::start(settings), metrics.clone());
    let leases = Leases::new(
        reconciler.clone(),
        Agencies::new(quotas),
        Arc::new(valkey),
        metrics,
        args.role.pod_name.clone().unwrap_or_else(|| "streams".to_owned()),
    );
    for (name, task) in tasks(&reconciler, &shards, &leases) {
        role.supervise_until_stop(name, task);
    }
    let stills = Stills::new(reconciler.cameras.clone(), StillsMetrics::new(&role.metrics));
    role.supervise_until_stop("stills", stills::keeper::run(stills.clone(), Arc::new(shards)));
    let verifier = Verifier::remote(&args.jwks_url);
    role.supervise_until_stop(
        "readiness",
        ready_when_seen(leases.clone(), verifier.clone(), role.readiness.clone()),
    );
    let live = routes::router(Live::new(leases), verifier.clone());
    role.serve(live.merge(stills::routes::router(stills, verifier)))
        .await?;
    Ok(())
}

type Task = futures::future::BoxFuture<'static, Result<(), Infallible>>;

/// What runs beside the calls: cameras and shards that change wake those at work; leftovers are swept; leases are kept, and rooms
/// compared with them.
fn tasks(reconciler: &Arc<Reconciler>, shards: &Shards, leases: &Arc<Leases>) -> [(&'static str, Task); 5] {
    [
        ("camera-changes", Box::pin(follow_cameras(reconciler.clone()))),
        (
            "shard-changes",
            Box::pin(follow_shards(reconciler.clone(), shards.clone())),
        ),
        (
            "sweep",
            Box::pin(sweep::run(reconciler.clone(), marsad_ledger::TTL)),
        ),
        ("leases", Box::pin(keeper::run(leases.clone()))),
        ("rooms", Box::pin(guard::run(leases.clone()))),
    ]
}

/// Wakes cameras as their objects change.
///
/// # Errors
/// Never; it ends with the watch.
pub async fn follow_cameras(reconciler: Arc<Reconciler>) -> Result<(), Infallible> {
    let mut changes = std::pin::pin!(reconciler.cameras.watch().changes());
    while let Some(change) = changes.next().await {
        let object = change.object().clone();
        let id = reconciler.cameras.learn(&object);
        reconciler.camera_changed(&CameraView::new(object));
        if matches!(change, Change::Deleted(_)) && reconciler.cameras.get(id).is_none() {
            reconciler.cameras.forget(id);
        }
    }
    Ok(())
}

/// Wakes cameras as their shards change.
///
/// # Errors
/// Never; it ends with the shards.
pub async fn follow_shards(reconciler: Arc<Reconciler>, shards: Shards) -> Result<(), Infallible> {
    let mut changes = shards.changes();
    while changes.changed().await.is_ok() {
        reconciler.wake_all();
    }
    Ok(())
}

/// Work may come once the cameras were listed, tokens can be verified and the ledger grants; without the ledger soon after, as last
/// pictures are there all the same. Later it stays so: without `api` nobody asks.
async fn ready_when_seen(
    leases: Arc<Leases>,
    verifier: Verifier,
    readiness: Readiness,
) -> Result<(), Infallible> {
    const AGAIN: Duration = Duration::from_secs(1);
    const LEDGER: Duration = Duration::from_secs(10);
    leases.reconciler.cameras.watch().ready().await;
    while !verifier.ready().await {
        tokio::time::sleep(AGAIN).await;
    }
    if tokio::time::timeout(LEDGER, leases.when_open()).await.is_err() {
        tracing::warn!("ready_without_ledger");
    }
    readiness.set(true);
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_show_no_secret() {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            args: Args,
        }
        let words = ["x", "--livekit-api-key", "k", "--livekit-api-secret", "geheim"];
        let cli = <Cli as clap::Parser>::try_parse_from(words).unwrap();
        assert!(!format!("{:?}", cli.args).contains("geheim"));
        assert_eq!(cli.args.linger, Duration::from_secs(10));
    }
}
