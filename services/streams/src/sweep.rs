//! What a former process left behind: forwards that nobody needs and conditions that nobody stands for. Removed after
//! a grace of one lease, in which a viewer's page reserves again; nothing is concluded from missing data.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::camera::Placement;
use crate::reconcile::{Reconciler, now};

const PERIOD: Duration = Duration::from_secs(20);

/// Since when which forwards are of no use.
#[derive(Debug, Default)]
pub struct Orphans {
    since: HashMap<Placement, Instant>,
}

impl Orphans {
    /// Takes what one shard has and gives back what has been useless for `grace`.
    pub fn seen(
        &mut self,
        shard: &str,
        present: Vec<Placement>,
        needs: impl Fn(&Placement) -> Option<(Uuid, bool)>,
        grace: Duration,
        now: Instant,
    ) -> Vec<(Uuid, Placement)> {
        let useless: HashMap<Placement, Uuid> = present
            .into_iter()
            .filter_map(|placement| match needs(&placement) {
                Some((camera, false)) => Some((placement, camera)),
                Some((_, true)) | None => None,
            })
            .collect();
        self.since
            .retain(|placement, _| placement.shard != shard || useless.contains_key(placement));
        useless
            .into_iter()
            .filter_map(|(placement, camera)| {
                let since = *self.since.entry(placement.clone()).or_insert(now);
                (now.saturating_duration_since(since) >= grace).then_some((camera, placement))
            })
            .collect()
    }
}

/// Sweeps as long as the process runs. `grace` is the life of a lease.
pub async fn run(reconciler: Arc<Reconciler>, grace: Duration) -> Result<(), std::convert::Infallible> {
    reconciler.cameras.watch().ready().await;
    let started = now();
    let mut orphans = Orphans::default();
    let mut ticks = tokio::time::interval(PERIOD);
    loop {
        ticks.tick().await;
        for (shard, present) in reconciler.publisher.all().await {
            let needs = |placement: &Placement| reconciler.needs(placement);
            for (camera, placement) in orphans.seen(&shard, present, needs, grace, now()) {
                tracing::info!(%camera, shard, "forward_nobody_needs");
                reconciler.found(camera, placement);
            }
        }
        if now().saturating_duration_since(started) >= grace {
            let told: HashSet<Uuid> = reconciler
                .cameras
                .all()
                .iter()
                .filter(|view| view.publishing.is_some())
                .map(|view| view.id)
                .collect();
            for camera in told.into_iter().filter(|&camera| !reconciler.is_at_work(camera)) {
                reconciler.wake(camera);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(60);
    const CAMERA: Uuid = Uuid::from_u128(1);

    fn at(shard: &str) -> Placement {
        Placement {
            shard: shard.into(),
            path: "police/a/main".into(),
        }
    }

    #[test]
    fn c13a_a_useless_forward_goes_after_the_grace_and_an_unknown_one_stays() {
        let (mut orphans, start) = (Orphans::default(), Instant::now());
        let useless = |_: &Placement| Some((CAMERA, false));
        assert!(
            orphans
                .seen("s0", vec![at("s0")], useless, GRACE, start)
                .is_empty()
        );
        let later = start + GRACE;
        assert!(
            orphans
                .seen("s0", vec![at("s0")], |_| None, GRACE, later)
                .is_empty()
        );
        assert!(
            orphans
                .seen("s0", vec![at("s0")], useless, GRACE, later)
                .is_empty(),
            "it starts over"
        );
        assert_eq!(
            orphans.seen("s0", vec![at("s0")], useless, GRACE, later + GRACE),
            [(CAMERA, at("s0"))]
        );
    }

    #[test]
    fn a_page_that_reserves_again_within_the_grace_keeps_it() {
        let (mut orphans, start) = (Orphans::default(), Instant::now());
        orphans.seen("s0", vec![at("s0")], |_| Some((CAMERA, false)), GRACE, start);
        orphans.seen(
            "s0",
            vec![at("s0")],
            |_| Some((CAMERA, true)),
            GRACE,
            start + GRACE / 2,
        );
        let later = start + GRACE;
        assert!(
            orphans
                .seen("s0", vec![at("s0")], |_| Some((CAMERA, false)), GRACE, later)
                .is_empty()
        );
    }

    #[test]
    fn one_shards_answer_says_nothing_about_another() {
        let (mut orphans, start) = (Orphans::default(), Instant::now());
        let useless = |_: &Placement| Some((CAMERA, false));
        orphans.seen("s0", vec![at("s0")], useless, GRACE, start);
        orphans.seen("s1", vec![], useless, GRACE, start + GRACE / 2);
        assert_eq!(
            orphans
                .seen("s0", vec![at("s0")], useless, GRACE, start + GRACE)
                .len(),
            1
        );
    }
}
