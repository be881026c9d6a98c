//! Stand-ins for the engines, for tests of the parts above the seams. The real ones are met in `tests/`.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::mpsc;
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use marsad_crds::{AgencyQuota, Camera, Reason, StreamQuota, StreamQuotaSpec};
use marsad_runtime::metrics::Metrics;
use marsad_runtime::status::StatusError;
use marsad_runtime::watch::Watch;
use uuid::Uuid;

use crate::agencies::Agencies;
use crate::camera::{CameraView, Cameras, Placement};
use crate::condition::Conditions;
use crate::demand::Demand;
use crate::fake_ledger::Books;
use crate::leases::{Leases, guard, keeper};
use crate::metrics::{LedgerMetrics, StreamsMetrics};
use crate::publisher::{PublishError, Publisher};
use crate::reconcile::{Reconciler, now};
use crate::room::{RoomError, Rooms, TICKET_LIFE, Ticket};
use crate::standing::{Published, Shard};
use crate::track_watch::{Participant, Room, Source, Track, Trouble};

pub(crate) const LINGER: Duration = Duration::from_secs(10);

/// One shard in its first life, and a LiveKit that shows what it publishes.
#[derive(Default)]
pub(crate) struct Engines {
    pub(crate) forwards: Mutex<BTreeMap<Placement, (String, String)>>,
    pub(crate) livekit_down: AtomicBool,
    pub(crate) panics: AtomicBool,
    pub(crate) told: Mutex<BTreeMap<Uuid, Reason>>,
    /// Viewers by room.
    pub(crate) viewers: Mutex<BTreeSet<(String, String)>>,
    opened: Mutex<BTreeSet<String>>,
}

impl Engines {
    pub(crate) fn open_room(&self, room: &str) {
        self.opened.lock().unwrap().insert(room.to_owned());
    }

    pub(crate) fn is_on(&self, path: &str) -> bool {
        self.forwards
            .lock()
            .unwrap()
            .keys()
            .any(|placement| placement.path == path)
    }
}

impl Publisher for Engines {
    fn shard(&self, shard: &str) -> Shard {
        if shard == "s0" {
            Shard::Up(1)
        } else {
            Shard::Unknown
        }
    }

    fn ensure<'a>(
        &'a self,
        camera: Uuid,
        placement: &'a Placement,
        room: &'a str,
        _: bool,
    ) -> BoxFuture<'a, Result<Published, PublishError>> {
        Box::pin(async move {
            assert!(!self.panics.swap(false, Ordering::Relaxed), "planted");
            let identity = format!("{camera}.1");
            self.forwards
                .lock()
                .unwrap()
                .insert(placement.clone(), (room.to_owned(), identity.clone()));
            let rotate_at = now() + Duration::from_secs(6 * 3600);
            Ok(Published {
                placement: placement.clone(),
                room: room.into(),
                identity,
                epoch: 1,
                rotate_at,
            })
        })
    }

    fn remove<'a>(&'a self, placement: &'a Placement) -> BoxFuture<'a, Result<(), PublishError>> {
        self.forwards.lock().unwrap().remove(placement);
        Box::pin(async { Ok(()) })
    }

    fn status<'a>(&'a self, _: &'a Placement) -> BoxFuture<'a, Source> {
        Box::pin(async { Source::Forwarding })
    }

    fn all(&self) -> BoxFuture<'_, Vec<(String, Vec<Placement>)>> {
        Box::pin(async {
            vec![(
                "s0".to_owned(),
                self.forwards.lock().unwrap().keys().cloned().collect(),
            )]
        })
    }
}

impl Rooms for Engines {
    fn all(&self) -> BoxFuture<'_, Result<Vec<String>, RoomError>> {
        Box::pin(async { Ok(self.opened.lock().unwrap().iter().cloned().collect()) })
    }

    fn open<'a>(&'a self, room: &'a str) -> BoxFuture<'a, Result<(), RoomError>> {
        Box::pin(async move {
            if self.livekit_down.load(Ordering::Relaxed) {
                return Err(RoomError::Unavailable("down".into()));
            }
            self.opened.lock().unwrap().insert(room.to_owned());
            Ok(())
        })
    }

    fn look<'a>(&'a self, room: &'a str) -> BoxFuture<'a, Room> {
        Box::pin(async move {
            if self.livekit_down.load(Ordering::Relaxed) {
                return Room::Refused;
            }
            let forwards = self.forwards.lock().unwrap();
            let here = forwards.values().filter(|(of, _)| of == room);
            let tracks = vec![Track {
                mime: "video/H264".into(),
                muted: false,
            }];
            let publishers = here.map(|(_, identity)| Participant {
                identity: identity.clone(),
                tracks: tracks.clone(),
            });
            let viewers = self.viewers.lock().unwrap();
            let viewers = viewers.iter().filter(|(of, _)| of == room);
            let viewers = viewers.map(|(_, identity)| Participant {
                identity: identity.clone(),
                tracks: Vec::new(),
            });
            Room::Participants(publishers.chain(viewers).collect())
        })
    }

    fn evict<'a>(&'a self, room: &'a str, identity: &'a str) -> BoxFuture<'a, Result<(), RoomError>> {
        Box::pin(async {
            let who = (room.to_owned(), identity.to_owned());
            self.viewers.lock().unwrap().remove(&who);
            Ok(())
        })
    }

    fn admit(&self, room: &str, identity: &str, _: &str) -> Result<Ticket, RoomError> {
        assert!(
            self.opened.lock().unwrap().contains(room),
            "a viewer is let into a room that is there"
        );
        Ok(Ticket {
            token: format!("{room}/{identity}"),
            expires_at: Timestamp::now() + TICKET_LIFE,
        })
    }
}

impl Conditions for Engines {
    fn say<'a>(
        &'a self,
        camera: &'a CameraView,
        trouble: Option<&'a Trouble>,
    ) -> BoxFuture<'a, Result<(), StatusError>> {
        let mut told = self.told.lock().unwrap();
        match trouble {
            Some(trouble) => told.insert(camera.id, trouble.reason),
            None => told.remove(&camera.id),
        };
        Box::pin(async { Ok(()) })
    }
}

/// Everything above the seams, with cameras that a test writes.
pub(crate) struct House {
    pub(crate) engines: Arc<Engines>,
    pub(crate) books: Arc<Books>,
    pub(crate) reconciler: Arc<Reconciler>,
    pub(crate) leases: Arc<Leases>,
    tasks: Vec<tokio::task::JoinHandle<Result<(), Infallible>>>,
    events: mpsc::UnboundedSender<watcher::Result<Event<DeserializeGuard<Camera>>>>,
}

impl House {
    /// A house that has seen no list of cameras yet.
    pub(crate) fn unready() -> Self {
        Self::over(Arc::new(Books::new()), Arc::new(Engines::default()))
    }

    /// The next process over the same ledger and engines; the former one is gone.
    pub(crate) async fn restarted(self, cameras: &[Camera]) -> Self {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        let house = Self::over(self.books, self.engines);
        house.list(cameras).await;
        house
    }

    fn over(books: Arc<Books>, engines: Arc<Engines>) -> Self {
        let (events, receiver) = mpsc::unbounded();
        let (watch, feed) = Watch::fed_by(receiver);
        tokio::spawn(feed);
        let metrics = Metrics::default();
        let reconciler = Reconciler::new(
            Cameras::new(watch),
            Demand::new(LINGER),
            engines.clone(),
            engines.clone(),
            engines.clone(),
            StreamsMetrics::new(&metrics),
        );
        let (quota, receiver) = mpsc::unbounded();
        let (quotas, feed) = Watch::fed_by(receiver);
        tokio::spawn(feed);
        for event in [
            Event::Init,
            Event::InitApply(DeserializeGuard(Ok(one_agency()))),
            Event::InitDone,
        ] {
            quota.unbounded_send(Ok(event)).unwrap();
        }
        // The watch ends with its feed.
        std::mem::forget(quota);
        let leases = Leases::new(
            reconciler.clone(),
            Agencies::new(quotas),
            books.clone(),
            LedgerMetrics::new(&metrics),
            "streams-0".to_owned(),
        );
        let tasks = vec![
            tokio::spawn(crate::follow_cameras(reconciler.clone())),
            tokio::spawn(crate::sweep::run(reconciler.clone(), marsad_ledger::TTL)),
            tokio::spawn(keeper::run(leases.clone())),
            tokio::spawn(guard::run(leases.clone())),
        ];
        Self {
            engines,
            books,
            reconciler,
            leases,
            tasks,
            events,
        }
    }

    /// A house with these cameras.
    pub(crate) async fn with(cameras: &[Camera]) -> Self {
        let house = Self::unready();
        house.list(cameras).await;
        house
    }

    async fn list(&self, cameras: &[Camera]) {
        self.events.unbounded_send(Ok(Event::Init)).unwrap();
        for camera in cameras {
            self.events
                .unbounded_send(Ok(Event::InitApply(DeserializeGuard(Ok(camera.clone())))))
                .unwrap();
        }
        self.events.unbounded_send(Ok(Event::InitDone)).unwrap();
        self.reconciler.cameras.watch().ready().await;
        self.settle().await;
    }

    pub(crate) async fn apply(&self, camera: &Camera) {
        self.events
            .unbounded_send(Ok(Event::Apply(DeserializeGuard(Ok(camera.clone())))))
            .unwrap();
        self.settle().await;
    }

    pub(crate) async fn delete(&self, camera: &Camera) {
        self.events
            .unbounded_send(Ok(Event::Delete(DeserializeGuard(Ok(camera.clone())))))
            .unwrap();
        self.settle().await;
    }

    /// Lets every task run until it waits. Time is virtual: a moment of it passes when nobody has anything to do.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn one_agency() -> StreamQuota {
    let agency = AgencyQuota {
        name: "police".to_owned(),
        ..AgencyQuota::default()
    };
    let spec = StreamQuotaSpec {
        agencies: vec![agency],
        ..StreamQuotaSpec::default()
    };
    StreamQuota::new("default", spec)
}

pub(crate) fn path_of(camera: &Camera) -> String {
    format!("{}/{}/main", camera.namespace().unwrap(), camera.name_any())
}
