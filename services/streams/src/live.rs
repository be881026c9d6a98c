//! Live viewing, without HTTP: a lease and what it opens.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use marsad_crds::LiveMode;
use marsad_identity::Claims;
use uuid::Uuid;

use crate::camera::CameraView;
use crate::demand::{Lease, Owner};
use crate::leases::{Leases, Taken, Wish};
use crate::problem::Refusal;
use crate::reconcile::{Reconciler, now};
use crate::room::Ticket;

/// A viewer is told that LiveKit is away after this.
const OPEN_DEADLINE: Duration = Duration::from_secs(1);

/// A lease with what it opens.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The lease.
    pub lease: Lease,
    /// Lets the viewer into its room.
    pub ticket: Ticket,
}

/// What a caller asks for.
#[derive(Debug)]
pub struct Ask {
    /// Which camera.
    pub camera: Uuid,
    /// One of the caller's sessions, if it tells them apart.
    pub client: Option<String>,
    /// From where, for people.
    pub client_ip: String,
    /// The agency's code that the caller takes the camera to have.
    pub source: Option<String>,
    /// For how long at most.
    pub duration: Option<Duration>,
}

/// Live viewing.
#[derive(Clone)]
pub struct Live {
    leases: Arc<Leases>,
}

impl Live {
    /// Over the leases.
    pub fn new(leases: Arc<Leases>) -> Self {
        Self { leases }
    }

    /// The leases.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    fn reconciler(&self) -> &Reconciler {
        &self.leases.reconciler
    }

    /// A lease on the camera for the caller with a ticket to its room: the lease it has, or a new one. The forward is set meanwhile, not
    /// before: the viewer's way into the room and the camera's run side by side.
    ///
    /// # Errors
    /// When the camera is not there or not to be seen, no slot is free, or LiveKit or the ledger is away.
    pub async fn watch(&self, caller: &Claims, ask: &Ask) -> Result<Granted, Refusal> {
        let started = now();
        let outcome = self.try_watch(caller, ask).await;
        let label = outcome.as_ref().map_or_else(Refusal::code, |_| "ok");
        self.reconciler()
            .metrics
            .reserved(label, now().saturating_duration_since(started));
        outcome
    }

    async fn try_watch(&self, caller: &Claims, ask: &Ask) -> Result<Granted, Refusal> {
        let Taken { lease, new, .. } = self.reserve(caller, ask).await?;
        let rooms = &self.reconciler().rooms;
        let opened = tokio::time::timeout(OPEN_DEADLINE, rooms.open(&lease.room)).await;
        let ticket = match opened {
            Ok(Ok(())) => rooms
                .admit(&lease.room, &lease.identity, &caller.name)
                .map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {OPEN_DEADLINE:?}")),
        };
        match ticket {
            Ok(ticket) => Ok(Granted { lease, ticket }),
            Err(why) => {
                tracing::warn!(camera = %lease.camera, why, "livekit_unavailable");
                if new {
                    self.leases.withdraw(&lease).await;
                }
                Err(Refusal::LiveKitUnavailable)
            }
        }
    }

    /// A lease on the camera for the caller, without a ticket.
    ///
    /// # Errors
    /// When the camera is not there or not to be seen, no slot is free, or the ledger is away.
    pub async fn reserve(&self, caller: &Claims, ask: &Ask) -> Result<Taken, Refusal> {
        let cameras = &self.reconciler().cameras;
        if !cameras.is_ready() {
            return Err(Refusal::NotReady);
        }
        let view = cameras.get(ask.camera).ok_or(Refusal::CameraNotFound)?;
        may_be_watched(&view)?;
        if let Some(given) = &ask.source {
            let theirs = self.leases.source(&view)?;
            if given != theirs.as_str() {
                let given = given.clone();
                return Err(Refusal::SourceMismatch { given, theirs });
            }
        }
        let wish = Wish {
            camera: &view,
            owner: Owner {
                user: caller.sub.clone(),
                client: ask.client.clone(),
            },
            client_ip: ask.client_ip.clone(),
            duration: ask.duration,
        };
        let taken = self.leases.take(&wish).await?;
        tracing::info!(camera = %view.id, reservation = %taken.lease.reservation, new = taken.new, "reserved");
        Ok(taken)
    }
}

/// When a moment of the runtime's clock is, for people.
pub(crate) fn wall_clock(at: std::time::Instant) -> Timestamp {
    Timestamp::now() + at.saturating_duration_since(now())
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
