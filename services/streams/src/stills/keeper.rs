//! The task that keeps the last pictures fresh.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use marsad_crds::LiveMode;
use marsad_runtime::watch::Change;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::camera::{CameraView, Placement};
use crate::reconcile::now;
use crate::stills::schedule::{Next, Pace, Schedule};
use crate::stills::shelf::Still;
use crate::stills::source::{KeyFrames, StillError};
use crate::stills::{Stills, mp4};

/// Nine reads a second for 500 cameras, ten while there is something to catch up with. Each takes up to a group of pictures: with
/// the usual two seconds, nine run at a time.
const PACE: Pace = Pace {
    period: Duration::from_secs(60),
    shortest_gap: Duration::from_millis(100),
    retry: Duration::from_secs(2),
    at_once: 24,
};
/// Most of one picture: a key frame of 4K has less.
const LARGEST: usize = 2 << 20;
/// Between two looks at what is kept.
const LOOK: Duration = Duration::from_secs(5);

type Ended = (Uuid, Result<Still, StillError>);

/// Reads the pictures of online cameras from `source` as long as the process runs.
///
/// # Errors
/// Never; it ends with the watch.
pub async fn run(stills: Stills, source: Arc<dyn KeyFrames>) -> Result<(), Infallible> {
    let mut changes = pin!(stills.cameras.watch().changes());
    let mut schedule = Schedule::new(PACE);
    let mut reads: JoinSet<Ended> = JoinSet::new();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let wake = begin_due(&stills, &source, &mut schedule, &mut reads);
        let due = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            change = changes.next() => match change {
                Some(change) => follow(&stills, &mut schedule, &change),
                None => return Ok(()),
            },
            Some(Ok((camera, outcome))) = reads.join_next() => {
                schedule.ended(camera, outcome.is_ok());
                note(&stills, &schedule, camera, outcome);
            }
            () = due => {}
            _ = looks.tick() => {
                stills.drop_unwanted();
                stills.measure(&schedule, now());
            }
        }
    }
}

/// Where the picture of a camera is read; nothing while it has none to give.
fn readable(view: &CameraView) -> Option<Placement> {
    let shown = view.live != LiveMode::Off && view.offline.is_none();
    view.placement.clone().filter(|_| shown)
}

fn follow(stills: &Stills, schedule: &mut Schedule, change: &Change<marsad_crds::Camera>) {
    let gone = matches!(change, Change::Deleted(_));
    let view = CameraView::new(change.object().clone());
    if gone {
        schedule.away(view.id);
        stills.drop_unwanted();
        return;
    }
    stills.cameras.learn(&view.object);
    if readable(&view).is_some() {
        schedule.online(view.id, now());
    } else {
        schedule.away(view.id);
    }
}

/// Begins every read that is due and says when the next one is.
fn begin_due(
    stills: &Stills,
    source: &Arc<dyn KeyFrames>,
    schedule: &mut Schedule,
    reads: &mut JoinSet<Ended>,
) -> Option<Instant> {
    loop {
        match schedule.next(now()) {
            Next::At(at) => return Some(at),
            Next::Idle => return None,
            Next::Start(camera) => {
                // As it is now: a camera moves between shards.
                let placement = stills.cameras.get(camera).and_then(|view| readable(&view));
                match placement {
                    Some(placement) => {
                        reads.spawn(read(camera, placement, source.clone()));
                    }
                    // Its deletion was not told: the watch had to list anew.
                    None => {
                        schedule.away(camera);
                        schedule.ended(camera, false);
                    }
                }
            }
        }
    }
}

async fn read(camera: Uuid, placement: Placement, source: Arc<dyn KeyFrames>) -> Ended {
    let outcome = AssertUnwindSafe(still(&placement, source.as_ref()))
        .catch_unwind()
        .await;
    (camera, outcome.unwrap_or(Err(StillError::Panicked)))
}

async fn still(placement: &Placement, source: &dyn KeyFrames) -> Result<Still, StillError> {
    let frame = source.read(placement).await?;
    let (taken, received) = (Timestamp::now(), now());
    let bytes = frame.slices.len();
    if bytes > LARGEST {
        return Err(StillError::TooLarge {
            bytes,
            limit: LARGEST,
        });
    }
    Ok(Still::new(Bytes::from(mp4::of(&frame)?), taken, received))
}

fn note(stills: &Stills, schedule: &Schedule, camera: Uuid, outcome: Result<Still, StillError>) {
    stills.metrics.read(outcome.as_ref().err());
    match outcome {
        Ok(still) => stills.keep(camera, still, schedule),
        // The last picture stays, and its age tells the rest.
        Err(error) => {
            tracing::debug!(%camera, error = &error as &dyn std::error::Error, "still_not_read");
        }
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
