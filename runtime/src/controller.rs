//! The controller loop of every kind: bounded concurrency, a deadline on each reconcile, panics caught and
//! counted (kube-rs lets one panic end the whole loop), per-object backoff reset on success.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt};
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::ObjectRef;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::backoff::{Backoff, Schedule};
use crate::election::{Fence, Fenced};
use crate::gate::{Gate, Permit};
use crate::heartbeat::Heartbeats;
use crate::metrics::Metrics;
use crate::watch::{Watch, Watched};

/// No reconcile takes longer; external calls have shorter deadlines of their own.
const DEADLINE: Duration = Duration::from_secs(30);
/// While objects wait, some reconcile must end within this time, or the loop is stuck.
const STUCK: Duration = DEADLINE.saturating_mul(3);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Reconciles of one kind at a time. Writes to the API server are the limit, not the tasks (research/operators.md §4.3).
const CONCURRENCY: usize = 16;
/// With nothing to do an object is looked at again within this time.
const RESYNC: Duration = Duration::from_secs(3600);
/// They are looked at in so many parts, so that they do not all come at once.
const PARTS: u32 = 360;

/// What a controller does with one object.
pub trait Reconcile: Send + Sync + 'static {
    /// The kind it owns.
    type Kind: Watched + kube::Resource<DynamicType = ()>;
    /// What a pass can fail with.
    type Error: std::error::Error + Send + Sync + 'static;
    /// Name in logs and metrics.
    const NAME: &'static str;

    /// Brings the world to what `object` asks for and says when to look again.
    fn reconcile(&self, object: Arc<Self::Kind>) -> impl Future<Output = Result<Next, Self::Error>> + Send;

    /// The error's stable reason: metric label and condition reason.
    fn reason(error: &Self::Error) -> &'static str;
}

/// When an object is looked at again after success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When something changes (and at the long resync).
    Change,
    /// After this time at the latest.
    After(Duration),
}

#[derive(Debug, thiserror::Error)]
enum Failure<E: std::error::Error + 'static> {
    #[error(transparent)]
    Step(E),
    #[error("the reconcile took longer than {DEADLINE:?} and was abandoned")]
    Deadline,
    #[error("the reconcile panicked")]
    Panicked,
    #[error(transparent)]
    Fenced(#[from] Fenced),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// Metrics that all controllers of a process share.
#[derive(Debug, Clone)]
pub struct ControllerMetrics {
    reconciles: Family<Labels, Counter>,
    seconds: Family<KindLabel, Histogram>,
    failing: Family<KindLabel, Gauge>,
    waiting: Family<KindLabel, Gauge>,
}

impl ControllerMetrics {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            reconciles: metrics.register(
                "marsad_reconcile",
                "Reconciles by kind and result: ok, panic, deadline, fenced or the error's reason",
                Family::default(),
            ),
            seconds: metrics.register(
                "marsad_reconcile_duration_seconds",
                "Time of a reconcile, external calls included",
                Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 14))),
            ),
            waiting: metrics.register(
                "marsad_reconcile_waiting_objects",
                "Objects that wait for one of the reconciles of their kind to end",
                Family::default(),
            ),
            failing: metrics.register(
                "marsad_reconcile_failing_objects",
                "Objects whose last reconcile failed and that wait for their backoff",
                Family::default(),
            ),
        }
    }
}

/// What all controllers of a process are run with.
#[derive(Debug, Clone)]
pub struct Manager {
    /// Where they count.
    pub metrics: ControllerMetrics,
    /// The term in which they may write.
    pub fence: Fence,
    /// Ends them, after what is under way.
    pub stop: CancellationToken,
    /// Where each shows that it makes progress.
    pub heartbeats: Heartbeats,
}

struct Loop<R: Reconcile> {
    reconciler: Arc<R>,
    backoff: Backoff<ObjectRef<R::Kind>>,
    metrics: ControllerMetrics,
    fence: Fence,
    gate: Gate<ObjectRef<R::Kind>>,
    /// What was there at the start and has had no pass yet.
    backlog: Mutex<HashSet<ObjectRef<R::Kind>>>,
    watch: Watch<R::Kind>,
    /// How many have ended.
    passes: AtomicU64,
}

impl<R: Reconcile> Loop<R> {
    async fn pass(self: Arc<Self>, queued: Arc<R::Kind>) -> Result<Action, Failure<R::Error>> {
        let key = ObjectRef::from_obj(queued.as_ref());
        let _permit = self.enter(&key).await;
        // As it is now, not as it was when it got in line.
        let Some(object) = self.watch.get(key.namespace.as_deref(), &key.name) else {
            return Ok(Action::await_change());
        };
        let started = Instant::now();
        // In a box, made only now: thousands may wait for their turn above, each with room for all that a reconcile needs.
        let work = Box::pin(AssertUnwindSafe(self.reconciler.reconcile(object.clone())).catch_unwind());
        // kube runs a reconcile as a task of its own: the fence of the loop does not reach it in time.
        let span = tracing::info_span!(
            "reconcile",
            controller = R::NAME,
            namespace = key.namespace.as_deref().unwrap_or_default(),
            name = key.name
        );
        let timed = tokio::time::timeout(DEADLINE, work).instrument(span);
        let outcome = match self.fence.guard(timed).await {
            Err(fenced) => Err(Failure::Fenced(fenced)),
            Ok(Err(_)) => Err(Failure::Deadline),
            Ok(Ok(Err(_))) => Err(Failure::Panicked),
            Ok(Ok(Ok(Err(error)))) => Err(Failure::Step(error)),
            Ok(Ok(Ok(Ok(next)))) => Ok(next),
        };
        let result = match &outcome {
            Ok(_) => "ok",
            Err(Failure::Deadline) => "deadline",
            Err(Failure::Panicked) => "panic",
            Err(Failure::Fenced(_)) => "fenced",
            Err(Failure::Step(error)) => R::reason(error),
        };
        self.passes.fetch_add(1, Ordering::Relaxed);
        self.metrics
            .reconciles
            .get_or_create(&Labels {
                kind: R::NAME,
                result,
            })
            .inc();
        self.metrics
            .seconds
            .get_or_create(&KindLabel { kind: R::NAME })
            .observe(started.elapsed().as_secs_f64());
        if outcome.is_ok() {
            self.backoff.settled(&ObjectRef::from_obj(object.as_ref()));
            self.count_failing();
        }
        outcome.map(|next| match next {
            Next::Change => Action::await_change(),
            Next::After(pause) => Action::requeue(pause),
        })
    }

    async fn enter(&self, key: &ObjectRef<R::Kind>) -> Permit<ObjectRef<R::Kind>> {
        let waiting = self
            .metrics
            .waiting
            .get_or_create_owned(&KindLabel { kind: R::NAME });
        // A cancelled wait is seen by the next one that ends.
        waiting.set(i64::try_from(self.gate.waiting()).unwrap_or(i64::MAX));
        let late = lock(&self.backlog).remove(key);
        let permit = if late {
            self.gate.enter_late(key.clone()).await
        } else {
            self.gate.enter(key.clone()).await
        };
        waiting.set(i64::try_from(self.gate.waiting()).unwrap_or(i64::MAX));
        permit
    }

    fn failed(&self, object: &R::Kind, error: &Failure<R::Error>) -> Action {
        let key = ObjectRef::from_obj(object);
        let pause = self.backoff.failed(key.clone());
        self.count_failing();
        tracing::warn!(
            kind = R::NAME,
            namespace = key.namespace.as_deref().unwrap_or_default(),
            name = %key.name,
            retry_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            error = error as &dyn std::error::Error,
            "reconcile_failed"
        );
        Action::requeue(pause)
    }

    fn count_failing(&self) {
        let failing = i64::try_from(self.backoff.failing()).unwrap_or(i64::MAX);
        self.metrics
            .failing
            .get_or_create(&KindLabel { kind: R::NAME })
            .set(failing);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every object of `watch` once in [`RESYNC`], a part of them at a time, by a hash of their names: without a timer for each, which for ten
/// thousand are megabytes.
fn resyncs<K: Watched>(watch: &Watch<K>) -> impl Stream<Item = ObjectRef<K>> + Send + use<K> {
    let store = watch.store().clone();
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + RESYNC / PARTS, RESYNC / PARTS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let walk = (store, ticks, RandomState::new(), 0);
    futures::stream::unfold(walk, |(store, mut ticks, hasher, part)| async move {
        ticks.tick().await;
        let all = store.state();
        let due = all.iter().filter(|object| {
            let meta = object.meta();
            hasher.hash_one((&meta.namespace, &meta.name)) % u64::from(PARTS) == u64::from(part)
        });
        let due: Vec<ObjectRef<K>> = due.map(|object| ObjectRef::from_obj(object.as_ref())).collect();
        Some((
            futures::stream::iter(due),
            (store, ticks, hasher, (part + 1) % PARTS),
        ))
    })
    .flatten()
}

/// Runs `reconciler` over the objects of `watch` until the manager's stop; `triggers` adds what else it reacts to.
/// Waits for the first list, so that no decision is made on half a cache. Running reconciles are finished at the stop.
///
/// # Errors
/// Never; the type fits [`crate::role::Role::supervise`].
pub async fn run<R: Reconcile>(
    reconciler: Arc<R>,
    watch: Watch<R::Kind>,
    triggers: impl FnOnce(Controller<R::Kind>) -> Controller<R::Kind>,
    manager: Manager,
) -> Result<(), std::convert::Infallible> {
    let Manager {
        metrics,
        fence,
        stop,
        heartbeats,
    } = manager;
    watch.ready().await;
    let gate = Gate::new(CONCURRENCY);
    let edits = watch.edits();
    let known = watch.store().state();
    let backlog = known.iter().map(|object| ObjectRef::from_obj(object.as_ref()));
    let context = Arc::new(Loop {
        reconciler,
        backoff: Backoff::new(Schedule::RECONCILE),
        metrics,
        fence,
        gate: gate.clone(),
        backlog: Mutex::new(backlog.collect()),
        watch: watch.clone(),
        passes: AtomicU64::new(0),
    });
    let heartbeat = heartbeats.expect(R::NAME, STUCK);
    let (busy, counted) = (gate.clone(), context.clone());
    let alive = async move {
        let mut looks = tokio::time::interval(LOOK);
        let mut last = 0;
        loop {
            looks.tick().await;
            let passes = counted.passes.load(Ordering::Relaxed);
            if passes != last || busy.waiting() == 0 {
                heartbeat.beat();
            }
            last = passes;
        }
    };
    let controller = Controller::for_shared_stream(watch.spec_changes(), watch.store().clone())
        // The gate bounds what runs.
        .with_config(controller::Config::default().concurrency(0))
        .reconcile_on(resyncs(&watch))
        .graceful_shutdown_on(stop.clone().cancelled_owned());
    let work = triggers(controller)
        .run(
            |object, context: Arc<Loop<R>>| context.pass(object),
            |object, error, context| context.failed(&object, error),
            context,
        )
        // Errors were logged and counted by the loop; an object gone from the cache is not one.
        .for_each(|_| std::future::ready(()));
    let promoted = edits.for_each(|object| {
        gate.promote(&ObjectRef::from_obj(object.as_ref()));
        std::future::ready(())
    });
    tokio::select! {
        () = work => {}
        () = promoted => {}
        // In the same task: a loop that blocks its thread does not beat either.
        () = alive => {}
    }
    stop.cancelled().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::channel::mpsc;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt;
    use kube::core::DeserializeGuard;
    use kube::runtime::watcher::Event;

    struct Recorder {
        done: tokio::sync::mpsc::UnboundedSender<String>,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("planted")]
    struct Planted;

    impl Reconcile for Recorder {
        type Kind = ConfigMap;
        type Error = Planted;
        const NAME: &'static str = "configmap";

        async fn reconcile(&self, object: Arc<ConfigMap>) -> Result<Next, Planted> {
            let name = object.name_any();
            let _ = self.done.send(name.clone());
            match name.as_str() {
                "panics" => panic!("planted"),
                "fails" => Err(Planted),
                "hangs" => std::future::pending().await,
                _ => Ok(Next::Change),
            }
        }

        fn reason(_: &Planted) -> &'static str {
            "planted"
        }
    }

    fn object(name: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.into());
        map.metadata.namespace = Some("police".into());
        map.metadata.uid = Some(name.into());
        map.metadata.generation = Some(1);
        map
    }

    #[tokio::test(start_paused = true)]
    async fn panics_errors_and_hangs_are_counted_retried_and_stay_alone() {
        let (sender, receiver) = mpsc::unbounded();
        let (watch, feed) = Watch::fed_by(receiver);
        tokio::spawn(feed);
        sender.unbounded_send(Ok(Event::Init)).unwrap();
        for name in ["panics", "fails", "hangs", "fine"] {
            sender
                .unbounded_send(Ok(Event::InitApply(DeserializeGuard(Ok(object(name))))))
                .unwrap();
        }
        sender.unbounded_send(Ok(Event::InitDone)).unwrap();

        let (done, mut passes) = tokio::sync::mpsc::unbounded_channel();
        let metrics = Metrics::default();
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(
            Arc::new(Recorder { done }),
            watch,
            |controller| controller,
            Manager {
                metrics: ControllerMetrics::new(&metrics),
                fence: Fence::open(),
                stop: stop.clone(),
                heartbeats: Heartbeats::default(),
            },
        ));
        let mut seen: Vec<String> = Vec::new();
        // Virtual time: each of the three that go wrong comes back, the fine one does not (its resync is far).
        while ["panics", "fails", "hangs"]
            .iter()
            .any(|bad| seen.iter().filter(|name| name == bad).count() < 2)
        {
            seen.push(passes.recv().await.unwrap());
        }
        assert_eq!(seen.iter().filter(|name| *name == "fine").count(), 1);
        let text = metrics.encode().unwrap();
        for result in ["panic", "planted", "deadline", "ok"] {
            assert!(
                text.contains(&format!("result=\"{result}\"")),
                "{result} is missing in {text}"
            );
        }
        stop.cancel();
        task.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn each_object_is_looked_at_once_an_hour_and_not_all_at_once() {
        let (sender, receiver) = mpsc::unbounded();
        let (watch, feed) = Watch::fed_by(receiver);
        tokio::spawn(feed);
        sender.unbounded_send(Ok(Event::Init)).unwrap();
        for number in 0..1000 {
            let object = object(&format!("camera-{number}"));
            sender
                .unbounded_send(Ok(Event::InitApply(DeserializeGuard(Ok(object)))))
                .unwrap();
        }
        sender.unbounded_send(Ok(Event::InitDone)).unwrap();
        watch.ready().await;
        let started = tokio::time::Instant::now();
        let mut seen: Vec<(u64, String)> = Vec::new();
        let mut walk = std::pin::pin!(resyncs(&watch));
        let hour = tokio::time::sleep(RESYNC + Duration::from_secs(1));
        let mut hour = std::pin::pin!(hour);
        loop {
            tokio::select! {
                Some(key) = walk.next() => seen.push((started.elapsed().as_secs(), key.name)),
                () = &mut hour => break,
            }
        }
        let names: HashSet<&String> = seen.iter().map(|(_, name)| name).collect();
        assert_eq!((seen.len(), names.len()), (1000, 1000));
        // Three a part on average; thirty have a chance of 10^-19.
        for (at, _) in &seen {
            assert!(seen.iter().filter(|(other, _)| other == at).count() < 30);
        }
    }
}
