//! Compares rooms with leases for ever: who is in a room without a lease is out within two seconds, whatever token let it in
//! (contracts.md 14a). Nobody is taken out before the leases of the process before this one are known.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::{CALL_DEADLINE, Leases};
use crate::reconcile::now;
use crate::track_watch::Room;

/// From one look to the next; with the calls themselves it stays under two seconds.
const PERIOD: Duration = Duration::from_millis(1_500);
const AT_A_TIME: usize = 16;
/// Rooms of cameras have this before their names; what else is in that LiveKit is not ours.
const OURS: &str = "camera_";

/// Guards as long as the process runs.
///
/// # Errors
/// Never.
pub async fn run(leases: Arc<Leases>) -> Result<(), Infallible> {
    leases.reconciler.cameras.watch().ready().await;
    leases.when_adopted().await;
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        leases.guard().await;
    }
}

impl Leases {
    /// Takes everybody without a lease out of every room.
    async fn guard(&self) {
        let rooms = &self.reconciler.rooms;
        let Ok(Ok(names)) = tokio::time::timeout(CALL_DEADLINE, rooms.all()).await else {
            return;
        };
        let here: Vec<(String, String)> = futures::stream::iter(names)
            .filter(|name| std::future::ready(name.starts_with(OURS)))
            .map(|name| async move {
                let look = tokio::time::timeout(CALL_DEADLINE, rooms.look(&name)).await;
                let found = match look {
                    Ok(Room::Participants(found)) => found,
                    _ => Vec::new(),
                };
                let viewers = found
                    .into_iter()
                    .filter(|one| !self.publishes(&name, &one.identity));
                viewers
                    .map(|one| (name.clone(), one.identity))
                    .collect::<Vec<_>>()
            })
            .buffer_unordered(AT_A_TIME)
            .concat()
            .await;
        // Read after the rooms: whoever was let in before that look has a lease by now.
        let intruders: Vec<(String, String)> = {
            let demand = self.reconciler.demand();
            let admitted = demand.admitted(now());
            let is_intruder = |(room, identity): &(String, String)| !admitted.contains(&(room, identity));
            here.into_iter().filter(is_intruder).collect()
        };
        futures::stream::iter(intruders)
            .for_each_concurrent(AT_A_TIME, async |(room, identity)| {
                let evicted = self.remove(&room, &identity).await;
                tracing::warn!(room, identity, evicted, "viewer_without_lease");
                self.metrics.intruder();
            })
            .await;
    }

    /// Whether this is the identity of a publisher, `{camera id}.{epoch}`: those are another rule's business.
    fn publishes(&self, room: &str, identity: &str) -> bool {
        let Some((camera, _)) = identity.split_once('.') else {
            return false;
        };
        room.strip_prefix(OURS) == Some(camera)
            || Uuid::parse_str(camera).is_ok_and(|id| self.reconciler.cameras.get(id).is_some())
    }
}
