//! Where one camera stands and what is to be done next. Level-triggered and pure: facts and the time go in, the next
//! step comes out; what a step led to is told back. `reconcile.rs` carries the steps out, one at a time a camera.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use marsad_crds::{LiveMode, Reason};
use marsad_runtime::backoff::Schedule;

use crate::camera::{CameraView, Fingerprint, Placement};
use crate::demand::Wanted;
use crate::track_watch::{
    Action, FIRST_LOOK, Judgement, Look, PATIENCE, STEADY_LOOK, Trouble, Verdict, WAITING_LOOK,
};

/// A shard that answers is tried again at this pace: its path may be put back any moment. A silent one is not called
/// at all; its return wakes the camera.
const RETRY: Schedule = Schedule {
    initial: Duration::from_millis(200),
    max: Duration::from_secs(2),
};
const WRITE_RETRY: Schedule = Schedule {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(30),
};

/// What is known of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shard {
    /// There is no such pod.
    Unknown,
    /// Its MediaMTX does not answer.
    Silent,
    /// It answers; the number changes when it has been restarted and so forgotten its forwards.
    Up(u64),
}

/// A forward that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Where.
    pub placement: Placement,
    /// Into which room.
    pub room: String,
    /// The publisher's identity there.
    pub identity: String,
    /// Which life of the shard.
    pub epoch: u64,
    /// When its token is to be replaced.
    pub rotate_at: Instant,
}

/// What is so, outside.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The demand.
    pub wanted: Wanted,
    /// The camera, if it is there.
    pub camera: Option<&'a CameraView>,
    /// The shards.
    pub shard: &'a dyn Fn(&str) -> Shard,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Set the forward, with a new token in any case if `fresh`.
    Ensure {
        /// Where.
        placement: Placement,
        /// Into which room.
        room: String,
        /// A token that is still good is replaced too.
        fresh: bool,
    },
    /// Take our forward away.
    Remove(Placement),
    /// Look for the track.
    Look,
    /// Make condition Publishing say this; nothing: take it away.
    Write(Option<Trouble>),
    /// Nothing until then, or until something changes.
    Wait(Option<Instant>),
    /// Nothing now or ever: forget the camera.
    Done,
}

enum Wish {
    Publish(Placement, String),
    /// Wanted, and no shard has it: leave things as they are.
    Keep,
    Nothing,
}

#[derive(Debug, Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    fn fail(&mut self, schedule: Schedule, chance: f64, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + schedule.pause(self.failures, chance));
    }

    fn over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
}

/// One camera's state in this process.
#[derive(Debug, Default)]
pub struct Standing {
    published: Option<Published>,
    /// Where else a forward of ours may be, and in which life of the shard, if known.
    leftovers: BTreeMap<Placement, Option<u64>>,
    blocked: Option<(Trouble, Fingerprint)>,
    ensure_pause: Pause,
    remove_pause: Pause,
    write_pause: Pause,
    /// Why the last try to set the forward failed.
    failure: Option<Trouble>,
    refresh: bool,
    refreshes: u32,
    ensured_at: Option<Instant>,
    unproven_since: Option<Instant>,
    proofs: u32,
    look_at: Option<Instant>,
    trouble: Option<Trouble>,
    written: Option<Reason>,
}

impl Standing {
    /// At first sight of a camera: `written` is the reason of the condition Publishing that it carries.
    pub fn new(written: Option<Reason>) -> Self {
        Self {
            written,
            ..Self::default()
        }
    }

    /// A forward of ours was found where none may be needed.
    pub fn found(&mut self, placement: Placement) {
        self.leftovers.insert(placement, None);
    }

    /// Something changed: what waited to be tried again is tried now.
    pub fn hurry(&mut self) {
        for pause in [
            &mut self.ensure_pause,
            &mut self.remove_pause,
            &mut self.write_pause,
        ] {
            *pause = Pause::default();
        }
    }

    /// The forward that is on, as far as known.
    pub fn published(&self) -> Option<&Published> {
        self.published.as_ref()
    }

    /// The next step.
    pub fn next(&mut self, facts: Facts<'_>, now: Instant) -> Step {
        let watched = self.observe(facts, now);
        let wish = self.wish(facts);
        if let Some(step) = self
            .removal(&wish, facts, now)
            .or_else(|| self.ensuring(&wish, facts, now))
        {
            return step;
        }
        let silent = match &wish {
            Wish::Publish(placement, _) => !matches!((facts.shard)(&placement.shard), Shard::Up(_)),
            Wish::Keep | Wish::Nothing => false,
        };
        if watched && !silent && self.published.is_some() && self.look_at.is_none_or(|at| at <= now) {
            return Step::Look;
        }
        let say = if watched {
            self.what_to_say(silent, now)
        } else {
            None
        };
        if facts.camera.is_none() {
            self.written = None;
        } else if say.as_ref().map(|trouble| trouble.reason) != self.written && self.write_pause.over(now) {
            return Step::Write(say);
        }
        let nothing_left = self.published.is_none() && self.leftovers.is_empty() && self.written.is_none();
        if matches!(wish, Wish::Nothing) && facts.wanted == Wanted::No && nothing_left {
            return Step::Done;
        }
        Step::Wait(self.wake_at(facts, watched, silent, now))
    }

    /// What a look has to know; nothing when no forward is on.
    pub fn look(&self, now: Instant) -> Option<Look<'_>> {
        let since = |at: Option<Instant>| at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        Some(Look {
            identity: &self.published.as_ref()?.identity,
            since_ensured: since(self.ensured_at),
            unproven_for: since(self.unproven_since),
            refreshes: self.refreshes,
        })
    }

    /// The forward was set (`Ok`), or could not be, with what to tell viewers.
    pub fn ensured(&mut self, outcome: Result<Published, Trouble>, chance: f64, now: Instant) {
        match outcome {
            Ok(published) => {
                if let Some(before) = self.published.replace(published) {
                    let placement = self.published.as_ref().map(|published| &published.placement);
                    if Some(&before.placement) != placement {
                        self.leftovers.insert(before.placement, Some(before.epoch));
                    }
                }
                if let Some(published) = &self.published {
                    self.leftovers.remove(&published.placement);
                }
                self.refreshes = if self.refresh {
                    self.refreshes.saturating_add(1)
                } else {
                    self.refreshes
                };
                self.refresh = false;
                self.failure = None;
                self.ensure_pause = Pause::default();
                self.ensured_at = Some(now);
                self.proofs = 0;
                self.look_at = Some(now + FIRST_LOOK);
            }
            Err(trouble) => {
                self.failure = Some(trouble);
                self.ensure_pause.fail(RETRY, chance, now);
            }
        }
    }

    /// The forward at `placement` is gone (`true`), or could not be taken away.
    pub fn removed(&mut self, placement: &Placement, gone: bool, chance: f64, now: Instant) {
        if gone {
            self.forget(placement);
            self.remove_pause = Pause::default();
        } else {
            self.remove_pause.fail(RETRY, chance, now);
        }
    }

    /// A look was judged. `print` is the camera's fingerprint at that time.
    pub fn looked(&mut self, judgement: Judgement, print: Option<Fingerprint>, now: Instant) {
        let pause = match judgement.verdict {
            Verdict::Publishing => {
                self.trouble = None;
                self.unproven_since = None;
                self.refreshes = 0;
                self.proofs = self.proofs.saturating_add(1);
                // With B-frames a track shows for a moment at every try: once is no proof.
                if self.proofs < 2 {
                    WAITING_LOOK
                } else {
                    STEADY_LOOK
                }
            }
            Verdict::Waiting => {
                self.proofs = 0;
                WAITING_LOOK
            }
            Verdict::Trouble(trouble) => {
                self.proofs = 0;
                if judgement.action == Action::Withdraw
                    && let Some(print) = print
                {
                    self.blocked = Some((trouble.clone(), print));
                }
                self.trouble = Some(trouble);
                WAITING_LOOK
            }
        };
        self.look_at = Some(now + pause);
        if self.proofs == 0 {
            self.unproven_since.get_or_insert(now);
        }
        self.refresh |= judgement.action == Action::Refresh;
    }

    /// Condition Publishing says `said` now, or could not be written.
    pub fn wrote(&mut self, said: Option<Option<Reason>>, chance: f64, now: Instant) {
        match said {
            Some(said) => {
                self.written = said;
                self.write_pause = Pause::default();
            }
            None => self.write_pause.fail(WRITE_RETRY, chance, now),
        }
    }

    /// Takes note of the facts; says whether somebody watches.
    fn observe(&mut self, facts: Facts<'_>, now: Instant) -> bool {
        let print = facts.camera.map(CameraView::fingerprint);
        self.blocked.take_if(|(_, then)| print.as_ref() != Some(then));
        let live = facts.camera.is_some_and(|camera| camera.live != LiveMode::Off);
        let watched = live && matches!(facts.wanted, Wanted::Watched(_));
        if watched {
            if self.proofs == 0 {
                self.unproven_since.get_or_insert(now);
            }
        } else {
            self.trouble = None;
            self.unproven_since = None;
            self.proofs = 0;
            self.look_at = None;
            self.refreshes = 0;
            // A former try that did not succeed says nothing about the next viewer's.
            self.blocked.take_if(|_| facts.wanted == Wanted::No);
        }
        watched
    }

    fn wish(&self, facts: Facts<'_>) -> Wish {
        let Some(camera) = facts.camera else {
            return Wish::Nothing;
        };
        let wanted = match camera.live {
            LiveMode::Off => false,
            LiveMode::Always => true,
            LiveMode::OnDemand => facts.wanted != Wanted::No,
        };
        match &camera.placement {
            _ if !wanted || self.blocked.is_some() => Wish::Nothing,
            Some(placement) => Wish::Publish(placement.clone(), camera.room.clone()),
            None => Wish::Keep,
        }
    }

    /// What is on where it should not be, on shards that answer. A shard that is gone or was restarted has forgotten it.
    fn removal(&mut self, wish: &Wish, facts: Facts<'_>, now: Instant) -> Option<Step> {
        let stays = |placement: &Placement| match wish {
            Wish::Publish(wished, _) => placement == wished,
            Wish::Keep => true,
            Wish::Nothing => false,
        };
        let forgotten = |placement: &Placement, epoch: Option<u64>| match (facts.shard)(&placement.shard) {
            Shard::Unknown => true,
            Shard::Up(now) => epoch.is_some_and(|then| then != now),
            Shard::Silent => false,
        };
        self.published.take_if(|published| {
            !stays(&published.placement) && forgotten(&published.placement, Some(published.epoch))
        });
        self.leftovers
            .retain(|placement, epoch| stays(placement) || !forgotten(placement, *epoch));
        let published = self.published.iter().map(|published| &published.placement);
        let answers = |placement: &&Placement| matches!((facts.shard)(&placement.shard), Shard::Up(_));
        let mut surplus = published
            .chain(self.leftovers.keys())
            .filter(|placement| !stays(placement));
        surplus
            .find(answers)
            .filter(|_| self.remove_pause.over(now))
            .cloned()
            .map(Step::Remove)
    }

    fn ensuring(&self, wish: &Wish, facts: Facts<'_>, now: Instant) -> Option<Step> {
        let Wish::Publish(placement, room) = wish else {
            return None;
        };
        let Shard::Up(epoch) = (facts.shard)(&placement.shard) else {
            return None;
        };
        let stands = self.published.as_ref().is_some_and(|published| {
            published.placement == *placement && published.room == *room && published.epoch == epoch
        });
        let rotate = self
            .published
            .as_ref()
            .is_some_and(|published| published.rotate_at <= now);
        if (stands && !rotate && !self.refresh) || !self.ensure_pause.over(now) {
            return None;
        }
        let fresh = stands && (rotate || self.refresh);
        Some(Step::Ensure {
            placement: placement.clone(),
            room: room.clone(),
            fresh,
        })
    }

    fn what_to_say(&self, silent: bool, now: Instant) -> Option<Trouble> {
        if let Some((trouble, _)) = &self.blocked {
            return Some(trouble.clone());
        }
        let since = self.unproven_since?;
        let late = now.saturating_duration_since(since) >= PATIENCE;
        if silent && late {
            return Some(Trouble::new(
                Reason::ShardLost,
                "the camera's shard does not answer; it is being replaced",
            ));
        }
        self.failure
            .clone()
            .filter(|_| late)
            .or_else(|| self.trouble.clone())
    }

    fn wake_at(&self, facts: Facts<'_>, watched: bool, silent: bool, now: Instant) -> Option<Instant> {
        let demand = match facts.wanted {
            Wanted::Watched(until) | Wanted::Lingering(until) => Some(until),
            Wanted::No => None,
        };
        let looks = self
            .look_at
            .filter(|_| watched && !silent && self.published.is_some());
        let patience = self
            .unproven_since
            .filter(|_| watched)
            .map(|since| since + PATIENCE);
        let rotation = self.published.as_ref().map(|published| published.rotate_at);
        let pauses = [&self.ensure_pause, &self.remove_pause, &self.write_pause].map(|pause| pause.until);
        [demand, looks, patience, rotation]
            .into_iter()
            .chain(pauses)
            .flatten()
            .filter(|&at| at > now)
            .min()
    }

    fn forget(&mut self, placement: &Placement) {
        self.leftovers.remove(placement);
        self.published
            .take_if(|published| published.placement == *placement);
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
