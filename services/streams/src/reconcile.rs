//! One task a camera while there is anything to do about it: it carries out the steps of [`Standing`], one at a time,
//! each with a deadline. A task that panics is started again and finds out by itself how things are.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use marsad_crds::{LiveMode, Reason};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::camera::{CameraView, Cameras, Placement};
use crate::condition::Conditions;
use crate::demand::{Demand, Wanted};
use crate::metrics::StreamsMetrics;
use crate::publisher::{PublishError, Publisher};
use crate::room::Rooms;
use crate::standing::{Facts, Standing, Step};
use crate::track_watch::{Room, former, judge, judge_room};

/// A call to an engine or the API server takes no longer.
const STEP_DEADLINE: Duration = Duration::from_secs(5);
/// LiveKit is asked again rather than waited for: the viewer is to hear within three seconds.
const LOOK_DEADLINE: Duration = Duration::from_secs(1);
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// What all cameras share.
pub struct Reconciler {
    /// The cameras.
    pub cameras: Cameras,
    /// Publishes them.
    pub publisher: Arc<dyn Publisher>,
    /// Their rooms.
    pub rooms: Arc<dyn Rooms>,
    /// Says what is wrong.
    pub conditions: Arc<dyn Conditions>,
    /// Counts.
    pub metrics: StreamsMetrics,
    demand: Mutex<Demand>,
    tasks: Mutex<HashMap<Uuid, Arc<Handle>>>,
}

#[derive(Debug, Default)]
struct Handle {
    notify: Notify,
    /// Something changed since the task last looked. Set with the map of tasks locked.
    woken: AtomicBool,
    found: Mutex<Vec<Placement>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The clock of the runtime: virtual in tests that pause it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Reconciler {
    /// No task runs yet.
    pub fn new(
        cameras: Cameras,
        demand: Demand,
        publisher: Arc<dyn Publisher>,
        rooms: Arc<dyn Rooms>,
        conditions: Arc<dyn Conditions>,
        metrics: StreamsMetrics,
    ) -> Arc<Self> {
        let (demand, tasks) = (Mutex::new(demand), Mutex::default());
        Arc::new(Self {
            cameras,
            publisher,
            rooms,
            conditions,
            metrics,
            demand,
            tasks,
        })
    }

    /// The leases. Held for moments only.
    pub fn demand(&self) -> MutexGuard<'_, Demand> {
        lock(&self.demand)
    }

    /// Something about `camera` changed: its task looks at once, and is started if there is none.
    pub fn wake(self: &Arc<Self>, camera: Uuid) {
        self.wake_with(camera, None);
    }

    /// A forward of ours is at `placement`, and nobody is known to need it.
    pub fn found(self: &Arc<Self>, camera: Uuid, placement: Placement) {
        self.wake_with(camera, Some(placement));
    }

    /// Wakes every camera at work: a shard came, went or was restarted.
    pub fn wake_all(&self) {
        for handle in lock(&self.tasks).values() {
            handle.wake();
        }
    }

    /// A Camera was made, changed or deleted. Most are nobody's business here.
    pub fn camera_changed(self: &Arc<Self>, camera: &CameraView) {
        let running = lock(&self.tasks).contains_key(&camera.id);
        if running || camera.live == LiveMode::Always {
            self.wake(camera.id);
        }
    }

    /// Whether a task works on `camera`.
    pub fn is_at_work(&self, camera: Uuid) -> bool {
        lock(&self.tasks).contains_key(&camera)
    }

    fn wake_with(self: &Arc<Self>, camera: Uuid, found: Option<Placement>) {
        let mut tasks = lock(&self.tasks);
        let handle = tasks.entry(camera).or_insert_with(|| {
            let handle = Arc::new(Handle::default());
            tokio::spawn(Arc::clone(self).keep(camera, handle.clone()));
            handle
        });
        lock(&handle.found).extend(found);
        handle.wake();
    }

    /// Runs the camera's task until there is nothing left to do, through panics.
    async fn keep(self: Arc<Self>, camera: Uuid, handle: Arc<Handle>) {
        while AssertUnwindSafe(self.work(camera, &handle))
            .catch_unwind()
            .await
            .is_err()
        {
            tracing::error!(%camera, "camera_task_panicked");
            self.metrics.panicked();
            tokio::time::sleep(PANIC_PAUSE).await;
        }
    }

    async fn work(self: &Arc<Self>, camera: Uuid, handle: &Handle) {
        let written = self
            .cameras
            .get(camera)
            .and_then(|view| Reason::parse(&view.publishing?.0));
        let mut standing = Standing::new(written);
        loop {
            if handle.woken.swap(false, Ordering::AcqRel) {
                standing.hurry();
                for placement in lock(&handle.found).drain(..) {
                    standing.found(placement);
                }
            }
            let view = self.cameras.get(camera);
            match self.next(camera, view.as_ref(), &mut standing) {
                Step::Wait(until) => handle.wait(until).await,
                Step::Done => {
                    if self.retire(camera, handle) {
                        return;
                    }
                }
                step => self.carry_out(step, camera, view, &mut standing).await,
            }
        }
    }

    fn next(&self, camera: Uuid, view: Option<&CameraView>, standing: &mut Standing) -> Step {
        let now = now();
        let wanted = {
            let mut demand = self.demand();
            demand.prune(camera, now);
            self.metrics.leases(&demand, now);
            demand.wanted(camera, now)
        };
        let shard = |name: &str| self.publisher.shard(name);
        standing.next(
            Facts {
                wanted,
                camera: view,
                shard: &shard,
            },
            now,
        )
    }

    /// Ends the task, unless something came up in the meantime.
    fn retire(&self, camera: Uuid, handle: &Handle) -> bool {
        let mut tasks = lock(&self.tasks);
        let retires = !handle.woken.load(Ordering::Acquire);
        if retires {
            tasks.remove(&camera);
        }
        retires
    }

    async fn carry_out(&self, step: Step, camera: Uuid, view: Option<CameraView>, standing: &mut Standing) {
        let chance = rand::random::<f64>();
        match step {
            Step::Ensure {
                placement,
                room,
                fresh,
            } => {
                let call = self.publisher.ensure(camera, &placement, &room, fresh);
                let outcome = tokio::time::timeout(STEP_DEADLINE, call)
                    .await
                    .unwrap_or(Err(PublishError::Deadline));
                self.metrics.ensured(outcome.as_ref().err());
                if let Err(error) = &outcome {
                    tracing::warn!(%camera, shard = placement.shard, error = error as &dyn std::error::Error, "publish_failed");
                }
                standing.ensured(outcome.map_err(|error| error.trouble()), chance, now());
            }
            Step::Remove(placement) => {
                let call = self.publisher.remove(&placement);
                let outcome = tokio::time::timeout(STEP_DEADLINE, call)
                    .await
                    .unwrap_or(Err(PublishError::Deadline));
                match &outcome {
                    Ok(()) => tracing::info!(%camera, shard = placement.shard, "unpublished"),
                    Err(error) => {
                        tracing::warn!(%camera, shard = placement.shard, error = error as &dyn std::error::Error, "unpublish_failed");
                    }
                }
                standing.removed(&placement, outcome.is_ok(), chance, now());
            }
            Step::Look => self.look(camera, view.as_ref(), standing).await,
            Step::Write(said) => {
                let Some(view) = view else { return };
                let call = self.conditions.say(&view, said.as_ref());
                let done = match tokio::time::timeout(STEP_DEADLINE, call).await {
                    Ok(Ok(())) => true,
                    Ok(Err(error)) => {
                        tracing::warn!(%camera, error = &error as &dyn std::error::Error, "condition_not_written");
                        false
                    }
                    Err(_) => {
                        tracing::warn!(%camera, deadline = ?STEP_DEADLINE, "condition_not_written");
                        false
                    }
                };
                let reason = said.map(|trouble| trouble.reason);
                if done {
                    tracing::info!(%camera, reason = reason.map_or("none", Reason::as_str), "publishing_told");
                    self.metrics.told(reason);
                }
                standing.wrote(done.then_some(reason), chance, now());
            }
            Step::Wait(_) | Step::Done => {}
        }
    }

    async fn look(&self, camera: Uuid, view: Option<&CameraView>, standing: &mut Standing) {
        let Some(published) = standing.published().cloned() else {
            return;
        };
        let call = self.rooms.look(&published.room);
        let room = tokio::time::timeout(LOOK_DEADLINE, call)
            .await
            .unwrap_or(Room::NoAnswer);
        if let Room::Participants(participants) = &room {
            for identity in former(participants, camera, &published.identity) {
                let evicted =
                    tokio::time::timeout(LOOK_DEADLINE, self.rooms.evict(&published.room, identity)).await;
                tracing::info!(%camera, identity, evicted = matches!(evicted, Ok(Ok(()))), "former_publisher_evicted");
            }
        }
        // A LiveKit that was restarted has no room, and makes none for a viewer who comes back (R2.1-08).
        if matches!(&room, Room::Participants(participants) if participants.is_empty()) {
            let opened = tokio::time::timeout(LOOK_DEADLINE, self.rooms.open(&published.room)).await;
            tracing::debug!(%camera, opened = matches!(opened, Ok(Ok(()))), "room_opened_again");
        }
        let Some(look) = standing.look(now()) else { return };
        let judgement = match judge_room(&room, look) {
            Some(judgement) => judgement,
            None => {
                let source = self.publisher.status(&published.placement).await;
                judge(&room, &source, look)
            }
        };
        standing.looked(judgement, view.map(CameraView::fingerprint), now());
    }

    /// Whether anything at `placement` is needed there. Nothing: not known.
    pub fn needs(&self, placement: &Placement) -> Option<(Uuid, bool)> {
        let view = self.cameras.by_path(&placement.path)?;
        let wanted = view.live == LiveMode::Always
            || (view.live == LiveMode::OnDemand && self.demand().wanted(view.id, now()) != Wanted::No);
        // Where the camera is going to be is not known yet: leave it.
        let here = view.placement.as_ref().is_none_or(|own| own == placement);
        Some((view.id, wanted && here))
    }
}

impl Handle {
    fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    async fn wait(&self, until: Option<Instant>) {
        let woken = self.notify.notified();
        match until {
            Some(until) => {
                // Either is a reason to look again.
                let _ = tokio::time::timeout_at(tokio::time::Instant::from_std(until), woken).await;
            }
            None => woken.await,
        }
    }
}
