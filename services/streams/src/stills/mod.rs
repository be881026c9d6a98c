//! The last picture of each camera (R1.1-11): while it is online, one key frame a minute is read from its shard and kept as an
//! MP4 of one frame, which every browser can show; no decoder runs here (ADR 11). When the camera or its shard is away,
//! what was kept last stays, and its age is told.
//!
//! Pure: [`schedule`] (which camera is read next), [`shelf`] (what is kept when there is no room for all), [`mp4`]. Edges:
//! [`source`] reads from shards, [`keeper`] is the task, [`routes`] speaks HTTP.

pub mod keeper;
pub mod metrics;
pub mod mp4;
pub mod routes;
pub mod schedule;
pub mod shelf;
pub mod source;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use marsad_crds::LiveMode;
use uuid::Uuid;

use crate::camera::Cameras;
use crate::problem::Refusal;
use crate::stills::metrics::StillsMetrics;
use crate::stills::schedule::Schedule;
use crate::stills::shelf::{Limits, Shelf, Still};

/// What the pod's memory limit leaves room for, beside the reads that run: 500 key frames of 190 kB.
const LIMITS: Limits = Limits {
    count: 5_000,
    bytes: 96 << 20,
};

/// The last pictures of all cameras. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stills {
    cameras: Cameras,
    shelf: Arc<Mutex<Shelf>>,
    metrics: StillsMetrics,
}

impl Stills {
    /// None yet.
    pub fn new(cameras: Cameras, metrics: StillsMetrics) -> Self {
        Self {
            cameras,
            shelf: Arc::new(Mutex::new(Shelf::new(LIMITS))),
            metrics,
        }
    }

    /// The last picture of a camera.
    ///
    /// # Errors
    /// When there is no such camera, its pictures are not to be shown, or there is none.
    pub fn get(&self, camera: Uuid) -> Result<Arc<Still>, Refusal> {
        let Some(view) = self.cameras.get(camera) else {
            return Err(if self.cameras.is_ready() {
                Refusal::CameraNotFound
            } else {
                Refusal::NotReady
            });
        };
        if view.object.spec.live.mode == LiveMode::Off {
            return Err(Refusal::LiveOff);
        }
        self.shelf().get(camera).ok_or(Refusal::StillNotAvailable)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a picture, unless its camera has gone meanwhile or is not to be shown any more.
    fn keep(&self, camera: Uuid, still: Still, schedule: &Schedule) {
        if self.may_keep(camera) {
            self.shelf().put(camera, still, |id| schedule.has(id));
        }
    }

    /// Drops the pictures of cameras that are deleted, or whose live view is switched off.
    fn drop_unwanted(&self) {
        // Before the first list is complete, a camera that is not there may be there.
        if self.cameras.is_ready() {
            self.shelf().retain(|camera| self.may_keep(camera));
        }
    }

    fn may_keep(&self, camera: Uuid) -> bool {
        self.cameras
            .get(camera)
            .is_some_and(|view| view.object.spec.live.mode != LiveMode::Off)
    }

    /// Tells the metrics what is kept, and how old the oldest picture of an online camera is; one that has none yet counts from when
    /// it came online.
    fn measure(&self, schedule: &Schedule, now: Instant) {
        let shelf = self.shelf();
        let ages = schedule.cameras().map(|(camera, came)| {
            let since = shelf.get(camera).map_or(came, |still| still.received().max(came));
            now.saturating_duration_since(since)
        });
        self.metrics
            .kept(shelf.count(), shelf.bytes(), ages.max().unwrap_or_default());
    }
}
