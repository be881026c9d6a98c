//! IngestPool: a StatefulSet of MediaMTX shards and what they need.

mod apply;
mod build;
#[cfg(test)]
mod fixtures;
mod plan;
mod secret;
mod status;
mod validate;
mod volumes;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};
use marsad_crds::{IngestPool, labels};
use marsad_runtime::controller::{self, Manager, Next, Reconcile};
use marsad_runtime::status::StatusError;
use marsad_runtime::watch::Watch;

pub(crate) use build::child_name;
pub(crate) use secret::access;
pub use validate::PoolSettings;

use self::apply::Applied;
use self::plan::{Facts, PodSeen, plan};
use self::status::Outcome;
use self::validate::ValidPool;
use crate::fleet::{Fleet, POOL_LABEL};

/// Label that the StatefulSet controller gives each pod: what it runs.
const REVISION_LABEL: &str = "controller-revision-hash";
/// Taints of what takes nodes away without cordoning them.
const DISRUPTIONS: [&str; 2] = ["ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted"];

/// A pass failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A child could not be written.
    #[error(transparent)]
    Apply(#[from] apply::ApplyError),
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] StatusError),
}

/// What the controller reads besides pools.
#[derive(Clone)]
pub struct Context {
    /// API server.
    pub client: Client,
    /// The release's.
    pub settings: PoolSettings,
    /// StatefulSets of pools.
    pub sets: Watch<StatefulSet>,
    /// Their pods.
    pub pods: Watch<Pod>,
    /// Nodes: one that is to be drained is emptied first.
    pub nodes: Watch<Node>,
    /// Shards.
    pub fleet: Fleet,
}

struct Controller {
    context: Context,
}

/// Runs the controller until the manager's stop.
///
/// # Errors
/// Never; the type fits [`marsad_runtime::role::Role::supervise`].
pub async fn run(
    context: Context,
    pools: Watch<IngestPool>,
    manager: Manager,
) -> Result<(), std::convert::Infallible> {
    let Context {
        sets, pods, nodes, ..
    } = context.clone();
    let surveyed = surveyed(&context);
    let all = pools.store().clone();
    let known = async {
        sets.ready().await;
        pods.ready().await;
        nodes.ready().await;
    };
    tokio::select! {
        () = known => {}
        () = manager.stop.cancelled() => return Ok(()),
    }
    controller::run(
        Arc::new(Controller { context }),
        pools,
        move |controller| {
            controller
                .reconcile_on(surveyed)
                .watches_shared_stream(sets.touched(), |set: Arc<StatefulSet>| owner(set.as_ref()))
                .watches_shared_stream(pods.spec_changes(), |pod: Arc<Pod>| owner(pod.as_ref()))
                .watches_shared_stream(cordons(&nodes), move |_: Arc<Node>| {
                    let pools = all.state();
                    pools
                        .iter()
                        .map(|pool| ObjectRef::from_obj(pool.as_ref()))
                        .collect::<Vec<_>>()
                })
        },
        manager,
    )
    .await
}

/// The pool that a child is of.
fn owner<K: ResourceExt>(child: &K) -> Option<ObjectRef<IngestPool>> {
    let pool = child.labels().get(POOL_LABEL)?;
    Some(ObjectRef::new(pool).within(&child.namespace()?))
}

/// Pools of which the survey says something new.
fn surveyed(context: &Context) -> impl Stream<Item = ObjectRef<IngestPool>> + Send + use<> {
    use tokio::sync::broadcast::error::RecvError;
    let namespace = context.settings.namespace.clone();
    futures::stream::unfold(
        (context.fleet.surveyed(), namespace),
        |(mut pools, namespace)| async move {
            loop {
                match pools.recv().await {
                    Ok(pool) => {
                        let reference = ObjectRef::new(&pool).within(&namespace);
                        return Some((reference, (pools, namespace)));
                    }
                    // Told of again within a second.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        },
    )
}

impl Controller {
    /// What is known of the pool.
    fn facts(&self, pool: &ValidPool, set: Option<&StatefulSet>) -> Facts {
        let Context {
            pods, nodes, fleet, ..
        } = &self.context;
        let status = set.and_then(|set| set.status.as_ref());
        let current = set.is_some_and(|set| {
            status.and_then(|status| status.observed_generation) == set.metadata.generation
        });
        let revision = status
            .and_then(|status| status.update_revision.as_deref())
            .filter(|_| current);
        let prefix = format!("{}-", child_name(&pool.name));
        let of_pool = pods.store().state();
        let pods = of_pool.iter().filter_map(|pod| {
            let name = pod.name_any();
            (pod.labels().get(POOL_LABEL) == Some(&pool.name)).then_some(())?;
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            Some(PodSeen {
                ordinal: name.strip_prefix(&prefix)?.parse().ok()?,
                outdated: revision.is_some()
                    && pod.labels().get(REVISION_LABEL).map(String::as_str) != revision,
                cordoned: node
                    .and_then(|node| nodes.get(None, node))
                    .is_some_and(|node| is_cordoned(&node)),
                ran: pod.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Pending"),
                name,
            })
        });
        Facts {
            wanted: pool.replicas,
            force: pool.force,
            told: set.and_then(|set| set.spec.as_ref()?.replicas),
            pods: pods.collect(),
            survey: fleet.survey_of(&pool.name),
        }
    }
}

/// Nodes that are cordoned or uncordoned. What else a node tells, every few minutes, is nothing to a pool.
fn cordons(nodes: &Watch<Node>) -> impl Stream<Item = Arc<Node>> + Send + use<> {
    let mut known: HashMap<String, bool> = HashMap::new();
    nodes.touched().filter(move |node| {
        let now = is_cordoned(node);
        let before = known.insert(node.name_any(), now).unwrap_or(false);
        futures::future::ready(before != now)
    })
}

/// Whether `node` is to be drained.
fn is_cordoned(node: &Node) -> bool {
    node.spec.as_ref().is_some_and(|spec| {
        let taints = spec.taints.iter().flatten();
        spec.unschedulable == Some(true)
            || taints
                .into_iter()
                .any(|taint| DISRUPTIONS.contains(&taint.key.as_str()))
    })
}

impl Reconcile for Controller {
    type Kind = IngestPool;
    type Error = Error;
    const NAME: &'static str = "ingestpool";

    async fn reconcile(&self, pool: Arc<IngestPool>) -> Result<Next, Error> {
        if pool.metadata.deletion_timestamp.is_some() {
            // Its shards go with it, and its cameras wait for another pool.
            self.context.fleet.leave(&pool.name_any(), &HashSet::new());
            return Ok(Next::Change);
        }
        if crate::labels::is_set(pool.as_ref(), labels::PAUSED) {
            return Ok(Next::Change);
        }
        let client = &self.context.client;
        let now = Timestamp::now();
        let mut renewal = None;
        let name = child_name(&pool.name_any());
        let set = self
            .context
            .sets
            .get(Some(&self.context.settings.namespace), &name);
        let valid = validate::validate(&pool, &self.context.settings)
            .and_then(|valid| volumes::agrees(&valid, set.as_deref()).map(|()| valid));
        let outcome = match valid {
            Ok(valid) => {
                let facts = self.facts(&valid, set.as_deref());
                let plan = plan(&facts);
                self.context.fleet.leave(&valid.name, &plan.leaving);
                let Applied { shards, due } = apply::apply(client, &valid, &plan, now).await?;
                renewal = Some(due);
                let headroom = facts.survey.map(|survey| survey.headroom);
                Outcome::Applied(Box::new(valid), Box::new(shards), plan, headroom)
            }
            Err(invalid) => Outcome::Refused(invalid),
        };
        let wanted = status::status(&pool, &outcome, now);
        let api: Api<IngestPool> = Api::namespaced(client.clone(), &pool.namespace().unwrap_or_default());
        marsad_runtime::status::apply(
            &api,
            pool.as_ref(),
            labels::MANAGER_INGEST_POOL,
            pool.status.as_ref(),
            &wanted,
        )
        .await?;
        let after = renewal.map(|due| Duration::try_from(due.duration_since(now)).unwrap_or(Duration::ZERO));
        Ok(after.map_or(Next::Change, Next::After))
    }

    fn reason(error: &Error) -> &'static str {
        match error {
            Error::Apply(_) => "apply",
            Error::Status(_) => "status",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(replicas: i32) -> (ValidPool, plan::Plan) {
        let valid = validate::validate(&fixtures::pool(replicas), &fixtures::settings()).unwrap();
        let facts = Facts {
            wanted: replicas,
            ..Facts::default()
        };
        (valid, plan(&facts))
    }

    #[test]
    fn r0_11_generated_credentials_survive_in_the_secrets() {
        let (valid, plan) = planned(2);
        let now = Timestamp::UNIX_EPOCH;
        let first = secret::build(&valid, &plan, None, None, now).unwrap();
        let again = secret::build(&valid, &plan, Some(&first.users), Some(&first.shards), now).unwrap();
        assert_eq!(
            (again.users, again.shards, again.config_hash),
            (first.users.clone(), first.shards, first.config_hash)
        );
        // Killed between the two writes: what users were told stays.
        let after = secret::build(&valid, &plan, Some(&first.users), None, now).unwrap();
        assert_eq!(after.users, first.users);
    }

    #[test]
    fn each_shard_has_a_file_and_more_shards_restart_none() {
        let (valid, two) = planned(2);
        let now = Timestamp::UNIX_EPOCH;
        let first = secret::build(&valid, &two, None, None, now).unwrap();
        let (_, three) = planned(3);
        let grown = secret::build(&valid, &three, Some(&first.users), Some(&first.shards), now).unwrap();
        let file =
            |secret: &k8s_openapi::api::core::v1::Secret, name: &str| crate::secret_value::text(secret, name);
        for shard in ["ingest-default-0.yml", "ingest-default-1.yml"] {
            assert_eq!(file(&grown.shards, shard), file(&first.shards, shard), "{shard}");
        }
        assert_eq!(file(&first.shards, "ingest-default-2.yml"), None);
        assert!(file(&grown.shards, "ingest-default-2.yml").is_some());
        assert_ne!(
            file(&first.shards, "ingest-default-0.yml"),
            file(&first.shards, "ingest-default-1.yml")
        );
        assert_eq!(grown.config_hash, first.config_hash);
        // What opens all shards, or vouches for them, is in no shard's hands.
        let of_shards = first.shards.data.as_ref().unwrap();
        assert!(!of_shards.contains_key("api-key") && !of_shards.contains_key("ca.key"));
    }

    #[test]
    fn every_child_is_owned_and_the_shards_are_restricted() {
        let (valid, plan) = planned(3);
        let children = build::build(&valid, &plan, "hash");
        for meta in [
            &children.service.metadata,
            &children.budget.metadata,
            &children.policy.metadata,
            &children.shards.metadata,
        ] {
            assert_eq!(meta.owner_references.as_ref().unwrap()[0].kind, "IngestPool");
            assert_eq!(meta.name.as_deref(), Some("ingest-default"));
        }
        insta::assert_yaml_snapshot!(children.shards);
        insta::assert_yaml_snapshot!(children.policy);
    }

    #[test]
    fn a_pool_elsewhere_is_refused_with_the_way_out() {
        let mut stray = fixtures::pool(1);
        stray.metadata.namespace = Some("police".into());
        let error = validate::validate(&stray, &fixtures::settings())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("marsad-system") && error.contains("police"),
            "{error}"
        );
    }
}
