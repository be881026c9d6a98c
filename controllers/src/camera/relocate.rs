//! A camera is moved while its shard still serves: made on the other shard, and shown from there when its picture has come; only then
//! is it broken on this one (contracts.md 10). For some seconds the camera is pulled twice.

use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use marsad_crds::Camera;
use marsad_runtime::controller::Next;

use super::status::Outcome;
use super::validate::ValidCamera;
use super::{Controller, Error, apply, build};
use crate::fleet::{Health, Move, Shard, path_name};

/// A picture that has not come on the other shard by then does not come: a camera may bear no second connection. One try of MediaMTX
/// takes up to 10 s (R1.1-06).
const PATIENCE: Duration = Duration::from_secs(12);

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Pull it on the other shard as well.
    Prepare,
    /// Show it from there.
    Arrive,
    /// Leave it where it is.
    Stay,
}

/// Decides, from whether its picture flows here and there.
fn step(here: bool, there: bool, way: &Move) -> Step {
    match (here, there) {
        (_, true) => Step::Arrive,
        // Nothing to break.
        (false, false) => Step::Arrive,
        (true, false) if way.since < PATIENCE => Step::Prepare,
        (true, false) if way.must => Step::Arrive,
        (true, false) => Step::Stay,
    }
}

impl Controller {
    /// One pass over a camera that is on its way from `from`.
    pub(super) async fn relocate(
        &self,
        camera: &Camera,
        valid: ValidCamera,
        from: Shard,
        way: Move,
    ) -> (Outcome, Result<Next, Error>) {
        let (fleet, key) = (&self.context.fleet, valid.key());
        let there = fleet.shard(&way.to).filter(|to| to.health == Health::Usable);
        let Some(to) = there else {
            fleet.stays(&key);
            return self.configure(camera, valid, from, None).await;
        };
        match step(flows(&from, &valid), flows(&to, &valid), &way) {
            Step::Arrive => {
                fleet.arrived(&key);
                self.configure(camera, valid, to, Some(&from.name)).await
            }
            Step::Stay => {
                tracing::warn!(camera = key, from = from.name, to = to.name, "camera_not_moved");
                fleet.stays(&key);
                self.configure(camera, valid, from, None).await
            }
            Step::Prepare => {
                if let Err(error) = self.prepare(camera, &valid, &from, &to).await {
                    tracing::warn!(
                        camera = key,
                        to = to.name,
                        error = &error as &dyn std::error::Error,
                        "camera_not_moved"
                    );
                    fleet.stays(&key);
                }
                let (outcome, next) = self.configure(camera, valid, from, None).await;
                // Woken when its picture is there; this is for when it does not come.
                let until = PATIENCE.saturating_sub(way.since) + Duration::from_millis(100);
                let next = next.map(|next| match next {
                    Next::After(pause) => Next::After(pause.min(until)),
                    Next::Change => Next::After(until),
                });
                (outcome, next)
            }
        }
    }

    /// The same paths on the other shard. They are pulled there as here: whoever is here is up.
    async fn prepare(
        &self,
        camera: &Camera,
        valid: &ValidCamera,
        from: &Shard,
        to: &Shard,
    ) -> Result<(), Error> {
        let reference = ObjectRef::from_obj(camera);
        let mut paths = build::build(valid)?;
        for (stream, path) in valid.streams.iter().zip(&mut paths) {
            if stream.address.is_none() || !self.pin(&reference, valid, stream, from, path) {
                path.conf = path.conf.clone().at_rest();
            }
        }
        apply::apply(&self.context.fleet, to, &paths).await?;
        Ok(())
    }
}

/// Whether the camera's picture flows on `shard`.
fn flows(shard: &Shard, valid: &ValidCamera) -> bool {
    let path = path_name(&valid.namespace, &valid.name, "main");
    shard
        .seen
        .paths
        .get(&path)
        .is_some_and(|path| path.available && path.flowing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_before_it_is_broken() {
        let way = |seconds: u64, must: bool| Move {
            to: "s-1".into(),
            since: Duration::from_secs(seconds),
            must,
        };
        for (here, there, way, next) in [
            (true, false, way(0, false), Step::Prepare),
            (true, false, way(11, true), Step::Prepare),
            (true, true, way(1, false), Step::Arrive),
            (false, true, way(1, false), Step::Arrive),
            // A camera that is down anyway need not be waited for.
            (false, false, way(0, false), Step::Arrive),
            // One that bears no second connection: broken when its shard goes, else left alone.
            (true, false, way(12, true), Step::Arrive),
            (true, false, way(12, false), Step::Stay),
        ] {
            assert_eq!(step(here, there, &way), next, "{here} {there} {way:?}");
        }
    }
}
