//! The three calls, without HTTP: reserve, heartbeat, release.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use marsad_crds::LiveMode;
use marsad_identity::Claims;
use uuid::Uuid;

use crate::camera::CameraView;
use crate::demand::Owner;
use crate::problem::Refusal;
use crate::reconcile::{Reconciler, now};
use crate::room::Ticket;

/// A viewer is told that LiveKit is away after this.
const OPEN_DEADLINE: Duration = Duration::from_secs(1);

/// A lease with what it opens.
#[derive(Debug, Clone)]
pub struct Granted {
    /// Names the lease.
    pub reservation: Uuid,
    /// The camera's room.
    pub room: String,
    /// The viewer's identity there.
    pub identity: String,
    /// Lets the viewer in.
    pub ticket: Ticket,
}

/// Live viewing.
#[derive(Clone)]
pub struct Live {
    reconciler: Arc<Reconciler>,
    ttl: Duration,
}

impl Live {
    /// Over the reconciler; `ttl` is the life of a lease.
    pub fn new(reconciler: Arc<Reconciler>, ttl: Duration) -> Self {
        Self { reconciler, ttl }
    }

    /// Life of a lease.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// A lease on the camera for the caller: the one it has, or a new one. The forward is set meanwhile, not before: the
    /// viewer's way into the room and the camera's run side by side.
    ///
    /// # Errors
    /// When the camera is not there or not to be seen, or LiveKit is away.
    pub async fn reserve(
        &self,
        caller: &Claims,
        camera: Uuid,
        client: Option<String>,
    ) -> Result<Granted, Refusal> {
        let started = now();
        let outcome = self.try_reserve(caller, camera, client).await;
        let label = outcome.as_ref().map_or_else(Refusal::code, |_| "ok");
        self.reconciler
            .metrics
            .reserved(label, now().saturating_duration_since(started));
        outcome
    }

    async fn try_reserve(
        &self,
        caller: &Claims,
        camera: Uuid,
        client: Option<String>,
    ) -> Result<Granted, Refusal> {
        if !self.reconciler.cameras.is_ready() {
            return Err(Refusal::NotReady);
        }
        let view = self
            .reconciler
            .cameras
            .get(camera)
            .ok_or(Refusal::CameraNotFound)?;
        may_be_watched(&view)?;
        let owner = Owner {
            user: caller.sub.clone(),
            client,
        };
        let (lease, new) = self
            .reconciler
            .demand()
            .reserve(camera, &owner, Uuid::new_v4(), now());
        self.reconciler.wake(camera);
        let rooms = &self.reconciler.rooms;
        let opened = tokio::time::timeout(OPEN_DEADLINE, rooms.open(&view.room)).await;
        let ticket = match opened {
            Ok(Ok(())) => rooms
                .admit(&view.room, &lease.identity, &caller.name)
                .map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {OPEN_DEADLINE:?}")),
        };
        match ticket {
            Ok(ticket) => {
                tracing::info!(%camera, reservation = %lease.reservation, new, "reserved");
                Ok(Granted {
                    reservation: lease.reservation,
                    room: view.room,
                    identity: lease.identity,
                    ticket,
                })
            }
            Err(why) => {
                tracing::warn!(%camera, why, "livekit_unavailable");
                if new {
                    self.reconciler.demand().withdraw(lease.reservation);
                    self.reconciler.wake(camera);
                }
                Err(Refusal::LiveKitUnavailable)
            }
        }
    }

    /// Renews a lease and says until when it lives.
    ///
    /// # Errors
    /// When the caller has no such lease.
    pub fn heartbeat(&self, caller: &Claims, reservation: Uuid) -> Result<Timestamp, Refusal> {
        let at = now();
        let lease = self
            .reconciler
            .demand()
            .heartbeat(reservation, &caller.sub, at)
            .ok_or(Refusal::ReservationUnknown)?;
        Ok(wall_clock(lease.expires, at))
    }

    /// Ends a lease; one that is not there is success, and so is another's, which stays.
    pub fn release(&self, caller: &Claims, reservation: Uuid) {
        let released = self.reconciler.demand().release(reservation, &caller.sub, now());
        if let Some(camera) = released {
            tracing::info!(%camera, %reservation, "released");
            self.reconciler.wake(camera);
        }
    }
}

fn wall_clock(at: Instant, now: Instant) -> Timestamp {
    Timestamp::now() + at.saturating_duration_since(now)
}

fn may_be_watched(camera: &CameraView) -> Result<(), Refusal> {
    if camera.object.spec.live.mode == LiveMode::Off {
        return Err(Refusal::LiveOff);
    }
    if let Some(offline) = &camera.offline {
        let (reason, message) = (offline.reason.clone(), offline.message.clone());
        return Err(Refusal::CameraOffline { reason, message });
    }
    if camera.live == LiveMode::Off {
        // Suspended or being deleted, and its controller has not said so yet.
        let message = "the camera is being withdrawn".to_owned();
        return Err(Refusal::CameraOffline {
            reason: "Suspended".to_owned(),
            message,
        });
    }
    Ok(())
}
