use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use marsad_crds::Camera;
use proptest::prelude::*;

use super::*;
use crate::camera::tests::online_on;
use crate::track_watch::{Participant, Room, Source, Track, judge};

/// A world in which MediaMTX forgets at a restart, paths may be missing and LiveKit may lose everybody.
struct World {
    now: Instant,
    wanted_until: Option<(Instant, Instant)>,
    camera: Option<Camera>,
    shards: HashMap<String, Shard>,
    lives: HashMap<String, u64>,
    forwards: HashMap<Placement, (u64, String)>,
    path_missing: bool,
    bframes: bool,
    livekit: bool,
    in_room: bool,
    said: Option<Reason>,
    writes: u32,
    patches: u32,
}

impl World {
    fn new() -> Self {
        Self {
            now: Instant::now(),
            wanted_until: None,
            camera: Some(online_on("a", "s0")),
            shards: HashMap::from([("s0".into(), Shard::Up(1)), ("s1".into(), Shard::Up(1))]),
            lives: HashMap::from([("s0".into(), 1), ("s1".into(), 1)]),
            forwards: HashMap::new(),
            path_missing: false,
            bframes: false,
            livekit: true,
            in_room: false,
            said: None,
            writes: 0,
            patches: 0,
        }
    }

    fn watch(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        self.wanted_until = Some((end, end + Duration::from_secs(10)));
    }

    fn wanted(&self) -> Wanted {
        match self.wanted_until {
            Some((end, _)) if end > self.now => Wanted::Watched(end),
            Some((_, linger)) if linger > self.now => Wanted::Lingering(linger),
            _ => Wanted::No,
        }
    }

    /// A new life, whether it is heard of at once or not.
    fn restart(&mut self, shard: &str) {
        *self.lives.get_mut(shard).unwrap() += 1;
        if matches!(self.shards[shard], Shard::Up(_)) {
            self.speak(shard);
        }
        self.forwards.retain(|placement, _| placement.shard != shard);
        self.in_room = !self.forwards.is_empty() && self.in_room;
    }

    fn silence(&mut self, shard: &str) {
        self.shards.insert(shard.into(), Shard::Silent);
    }

    fn speak(&mut self, shard: &str) {
        self.shards.insert(shard.into(), Shard::Up(self.lives[shard]));
    }

    fn move_to(&mut self, shard: &str) {
        if let Some(camera) = &mut self.camera {
            let ingest = camera.status.as_mut().unwrap().ingest.as_mut().unwrap();
            ingest.shard = Some(shard.into());
        }
    }

    fn step(&mut self, standing: &mut Standing) -> Step {
        let view = self
            .camera
            .clone()
            .map(|camera| CameraView::new(Arc::new(camera)));
        let shards = RefCell::new(&self.shards);
        let shard = |name: &str| shards.borrow().get(name).copied().unwrap_or(Shard::Unknown);
        let facts = Facts {
            wanted: self.wanted(),
            camera: view.as_ref(),
            shard: &shard,
        };
        let step = standing.next(facts, self.now);
        match &step {
            Step::Ensure {
                placement,
                room,
                fresh,
            } => {
                let outcome = if self.path_missing {
                    Err(Trouble::new(Reason::PathNotConfigured, "missing"))
                } else {
                    let Some(Shard::Up(epoch)) = self.shards.get(&placement.shard).copied() else {
                        panic!("silent")
                    };
                    let identity = format!("cam.{epoch}");
                    let before = self.forwards.insert(placement.clone(), (epoch, identity.clone()));
                    if before.is_none() || *fresh {
                        self.patches += 1;
                        self.in_room = self.livekit && !self.bframes;
                    }
                    let rotate_at = self.now + Duration::from_secs(6 * 3600);
                    Ok(Published {
                        placement: placement.clone(),
                        room: room.clone(),
                        identity,
                        epoch,
                        rotate_at,
                    })
                };
                standing.ensured(outcome, 0.0, self.now);
            }
            Step::Remove(placement) => {
                assert!(matches!(self.shards.get(&placement.shard), Some(Shard::Up(_))));
                self.forwards.remove(placement);
                standing.removed(placement, true, 0.0, self.now);
            }
            Step::Look => {
                let look = standing.look(self.now).unwrap();
                let publisher = Participant {
                    identity: look.identity.to_owned(),
                    tracks: vec![Track {
                        mime: "video/H264".into(),
                        muted: false,
                    }],
                };
                let room = match (self.livekit, self.in_room) {
                    (false, _) => Room::Refused,
                    (true, true) => Room::Participants(vec![publisher]),
                    (true, false) => Room::Participants(vec![]),
                };
                let source = if self.bframes {
                    Source::Failed("H264 streams with B-frames".into())
                } else {
                    Source::Forwarding
                };
                let judgement = judge(&room, &source, look);
                standing.looked(judgement, view.as_ref().map(CameraView::fingerprint), self.now);
            }
            Step::Write(said) => {
                self.writes += 1;
                self.said = said.as_ref().map(|trouble| trouble.reason);
                standing.wrote(Some(self.said), 0.0, self.now);
            }
            Step::Wait(_) | Step::Done => {}
        }
        step
    }

    /// Until nothing is to be done, or for `seconds`.
    fn run(&mut self, standing: &mut Standing, seconds: u64) -> Step {
        let end = self.now + Duration::from_secs(seconds);
        let mut steps = 0;
        loop {
            let step = self.step(standing);
            let next = match &step {
                Step::Done => None,
                Step::Wait(until) => *until,
                _ => {
                    steps += 1;
                    assert!(steps < 100_000, "busy loop at {step:?}");
                    continue;
                }
            };
            match next.filter(|&at| at <= end) {
                Some(at) => self.now = at,
                None => {
                    self.now = end;
                    return step;
                }
            }
        }
    }

    fn at(shard: &str) -> Placement {
        Placement {
            shard: shard.into(),
            path: "police/a/main".into(),
        }
    }
}

#[test]
fn r0_21_the_first_step_for_a_viewer_is_the_forward() {
    let (mut world, mut standing) = (World::new(), Standing::default());
    world.watch(60);
    assert!(matches!(
        world.step(&mut standing),
        Step::Ensure { fresh: false, .. }
    ));
}

#[test]
fn on_while_watched_and_lingering_then_gone_and_forgotten() {
    let (mut world, mut standing) = (World::new(), Standing::default());
    world.watch(60);
    world.run(&mut standing, 69);
    assert!(world.forwards.contains_key(&World::at("s0")));
    assert_eq!(world.run(&mut standing, 2), Step::Done);
    assert!(world.forwards.is_empty());
    assert_eq!(
        (world.writes, world.patches),
        (0, 1),
        "nothing was written about a camera that works"
    );
}

#[test]
fn a_restarted_shard_is_given_the_forward_again_once_it_has_the_path() {
    let (mut world, mut standing) = (World::new(), Standing::default());
    world.watch(600);
    world.run(&mut standing, 10);
    world.restart("s0");
    world.path_missing = true;
    world.run(&mut standing, 1);
    world.path_missing = false;
    world.run(&mut standing, 2);
    assert!(world.forwards.contains_key(&World::at("s0")), "within RETRY.max");
    assert_eq!(
        world.said, None,
        "nobody was told of something shorter than patience"
    );
}

#[test]
fn c13a_a_new_life_of_the_shard_is_enough_nobody_has_to_miss_the_picture_first() {
    let (mut world, mut standing) = (World::new(), Standing::default());
    world.camera.as_mut().unwrap().spec.live.mode = LiveMode::Always;
    world.run(&mut standing, 10);
    assert!(
        world.forwards.contains_key(&World::at("s0")),
        "Always needs no viewer"
    );
    world.restart("s0");
    world.run(&mut standing, 0);
    assert!(world.forwards.contains_key(&World::at("s0")));
}

#[test]
fn c10_a_moved_camera_is_removed_from_its_old_shard_first() {
    let (mut world, mut standing) = (World::new(), Standing::default());
    world.watch(600);
    world.run(&mut standing, 10);
    world.move_to("s1");
    assert_eq!(world.step(&mut standing), Step::Remove(World::at("s0")));
    assert!(matches!(world.step(&mut standing), Step::Ensure { .. }));
    assert_eq!(world.forwards.keys().collect::<Vec<_>>(), [&World::at("s1")]);
}

#[test]
fn c12_a_silent_old_shard_does_not_hold_up_the_move_and_is_cleaned_when_it_is_back() {
    let (mut world, mut standing) = (World::new(), Standing::default());
    world.watch(600);
    world.run(&mut standing, 10);
    world.shards.insert("s0".into(), Shard::Silent);
    world.move_to("s1");
    assert!(matches!(world.step(&mut standing), Step::Ensure { .. }));
    world.run(&mut standing, 5);
    assert!(world.forwards.contains_key(&World::at("s0")));
    world.shards.insert("s0".into(), Shard::Up(1));
    world.run(&mut standing, 1);
    assert_eq!(world.forwards.keys().collect::<Vec<_>>(), [&World::at("s1")]);
}

#[test]
fn a_silent_shard_is_told_within_three_seconds_and_not_called() {
    let (mut world, mut standing) = (World::new(), Standing::default());
    world.shards.insert("s0".into(), Shard::Silent);
    world.watch(600);
    world.run(&mut standing, 3);
    assert_eq!(world.said, Some(Reason::ShardLost));
    world.shards.insert("s0".into(), Shard::Up(2));
    world.run(&mut standing, 2);
    assert_eq!(world.said, None);
}

#[test]
fn b_frames_are_told_withdrawn_and_tried_again_when_the_camera_changes() {
    let (mut world, mut standing) = (World::new(), Standing::default());
    world.bframes = true;
    world.watch(600);
    world.run(&mut standing, 3);
    assert_eq!((world.said, world.forwards.len()), (Some(Reason::BFrames), 0));
    world.run(&mut standing, 100);
    assert_eq!((world.patches, world.writes), (1, 1), "no churn");
    world.bframes = false;
    world.camera.as_mut().unwrap().metadata.generation = Some(2);
    world.run(&mut standing, 3);
    assert_eq!((world.said, world.forwards.len()), (None, 1));
}

#[test]
fn livekit_gone_is_told_and_its_return_gets_a_new_token_at_once() {
    let (mut world, mut standing) = (World::new(), Standing::default());
    world.watch(600);
    world.run(&mut standing, 30);
    (world.livekit, world.in_room) = (false, false);
    world.run(&mut standing, 3);
    assert_eq!((world.said, world.patches), (Some(Reason::LiveKitUnavailable), 1));
    world.run(&mut standing, 60);
    world.livekit = true;
    world.run(&mut standing, 3);
    assert_eq!((world.said, world.patches, world.in_room), (None, 2, true));
}

#[test]
fn a_token_is_replaced_at_half_its_life() {
    let (mut world, mut standing) = (World::new(), Standing::default());
    world.watch(13 * 3600);
    world.run(&mut standing, 12 * 3600 + 10);
    assert_eq!(world.patches, 3);
}

#[test]
fn a_condition_left_by_a_former_process_is_taken_away() {
    let (mut world, mut standing) = (World::new(), Standing::new(Some(Reason::BFrames)));
    world.said = Some(Reason::BFrames);
    assert_eq!(world.run(&mut standing, 1), Step::Done);
    assert_eq!(world.said, None);
}

#[derive(Debug, Clone)]
enum Event {
    Watch(u64),
    Leave,
    Restart(bool),
    Silence(bool, bool),
    Move(bool),
    Path(bool),
    Bframes(bool),
    Livekit(bool),
    LoseRoom,
    Found(bool),
    Delete(bool),
    Mode(u8),
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let event = prop_oneof![
        (1_u64..200).prop_map(Event::Watch),
        Just(Event::Leave),
        any::<bool>().prop_map(Event::Restart),
        (any::<bool>(), any::<bool>()).prop_map(|(which, silent)| Event::Silence(which, silent)),
        any::<bool>().prop_map(Event::Move),
        any::<bool>().prop_map(Event::Path),
        any::<bool>().prop_map(Event::Bframes),
        any::<bool>().prop_map(Event::Livekit),
        Just(Event::LoseRoom),
        any::<bool>().prop_map(Event::Found),
        any::<bool>().prop_map(Event::Delete),
        (0_u8..3).prop_map(Event::Mode),
    ];
    proptest::collection::vec((0_u64..30, event), 0..25)
}

fn name(which: bool) -> &'static str {
    if which { "s0" } else { "s1" }
}

proptest! {
    /// Whatever happened, once the world is whole again: a camera that is watched is in its room from its own shard and
    /// from no other, one that is not is nowhere, and nothing more is written.
    #[test]
    fn it_ends_well(events in events(), watched_in_the_end in any::<bool>()) {
        let (mut world, mut standing) = (World::new(), Standing::default());
        let mut kept = online_on("a", "s0");
        for (pause, event) in events {
            world.run(&mut standing, pause);
            standing.hurry();
            match event {
                Event::Watch(seconds) => world.watch(seconds),
                Event::Leave => world.wanted_until = world.wanted_until.map(|_| (world.now, world.now + Duration::from_secs(10))),
                Event::Restart(which) => world.restart(name(which)),
                Event::Silence(which, true) => world.silence(name(which)),
                Event::Silence(which, false) => world.speak(name(which)),
                Event::Move(which) => world.move_to(name(which)),
                Event::Path(missing) => world.path_missing = missing,
                Event::Bframes(on) => {
                    world.bframes = on;
                    if let Some(camera) = &mut world.camera { *camera.metadata.generation.as_mut().unwrap() += 1; }
                }
                Event::Livekit(up) => { world.livekit = up; world.in_room &= up; }
                Event::LoseRoom => world.in_room = false,
                Event::Found(which) => {
                    if let Some(Shard::Up(epoch)) = world.shards.get(name(which)).copied() {
                        let placement = World::at(name(which));
                        world.forwards.entry(placement.clone()).or_insert((epoch, "x".into()));
                        standing.found(placement);
                    }
                }
                Event::Delete(gone) => match (&world.camera, gone) {
                    (Some(camera), true) => { kept = camera.clone(); world.camera = None; world.said = None; }
                    (None, false) => world.camera = Some(kept.clone()),
                    _ => {}
                },
                Event::Mode(mode) => if let Some(camera) = &mut world.camera {
                    camera.spec.live.mode = [LiveMode::OnDemand, LiveMode::Always, LiveMode::Off][usize::from(mode)];
                },
            }
        }
        // The world is whole again.
        world.camera = Some(world.camera.take().unwrap_or(kept));
        let camera = world.camera.as_mut().unwrap();
        camera.spec.live.mode = LiveMode::OnDemand;
        *camera.metadata.generation.as_mut().unwrap() += 1;
        (world.path_missing, world.bframes, world.livekit) = (false, false, true);
        for shard in ["s0", "s1"] {
            world.speak(shard);
        }
        standing.hurry();
        world.wanted_until = None;
        if watched_in_the_end { world.watch(1000); }
        let end = world.run(&mut standing, 60);
        let own = camera_shard(&world);
        if watched_in_the_end {
            prop_assert_eq!(world.forwards.keys().cloned().collect::<Vec<_>>(), vec![World::at(&own)]);
            prop_assert!(world.in_room);
        } else {
            prop_assert_eq!(end, Step::Done);
            prop_assert!(world.forwards.is_empty());
        }
        prop_assert_eq!(world.said, None);
        let (writes, patches) = (world.writes, world.patches);
        world.run(&mut standing, 600);
        prop_assert_eq!((world.writes, world.patches), (writes, patches), "a quiet time writes nothing");
    }
}

fn camera_shard(world: &World) -> String {
    world
        .camera
        .as_ref()
        .unwrap()
        .status
        .as_ref()
        .unwrap()
        .ingest
        .as_ref()
        .unwrap()
        .shard
        .clone()
        .unwrap()
}
