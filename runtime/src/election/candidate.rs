//! The rules of election, pure: what is heard goes in, what to do comes out. `tests/election_model.rs` checks every
//! interleaving of two and three candidates for "at most one leader".
//!
//! Three rules make it safe. The record is written only over the version that was read, so of two writers one fails. A
//! holder's silence is measured by our own clock, from when we first saw the record as it is: the holder's timestamps are
//! never compared with ours. And a leader counts its time from *before* it sent the write that succeeded, and stops at
//! [`Times::renew`], which is shorter than what others wait.

use std::time::Duration;

/// A moment: time since a start that is the candidate's own. Only differences count.
pub type Moment = Duration;

/// The times of an election; `retry` < `renew` < `lease`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Times {
    /// How long a record must stay as it is before another candidate takes it.
    pub lease: Duration,
    /// How long a leader leads after the last write that succeeded was sent.
    pub renew: Duration,
    /// Time between two tries to read or to write.
    pub retry: Duration,
}

/// The record as the API server holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record<V> {
    /// Who leads; none when it was released.
    pub holder: Option<String>,
    /// How long its holder asks others to wait.
    pub lease: Duration,
    /// Changes with every write.
    pub version: V,
}

/// What a candidate wants done. Each is answered by [`Candidate::heard`] or [`Candidate::wrote`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step<V> {
    /// Read the record.
    Read,
    /// Write ourselves as the holder over this version; over none: create it.
    Hold(Option<V>),
    /// Nothing before this moment.
    Wait(Moment),
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Written<V> {
    /// Accepted; the version is now this.
    Accepted(V),
    /// Somebody was quicker.
    Conflict,
    /// Refused, or no answer: it may have happened, and it may still happen.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Seen<V> {
    record: Option<Record<V>>,
    /// When it first looked like this.
    since: Moment,
    /// When it was last heard.
    heard: Moment,
}

/// One that would lead.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Candidate<V> {
    name: String,
    times: Times,
    seen: Option<Seen<V>>,
    /// When the last write that we know to have made us the holder was sent.
    held: Option<Moment>,
    /// When what failed last was sent: what took long to fail is tried again at once.
    failed: Option<Moment>,
}

impl<V: Clone + Eq> Candidate<V> {
    /// A candidate that knows nothing yet. `name` must be this process's alone: a restart is another candidate.
    pub fn new(name: String, times: Times) -> Self {
        Self {
            name,
            times,
            seen: None,
            held: None,
            failed: None,
        }
    }

    /// Until when we lead; none when we don't hold the record. In the past when a leader could not renew.
    pub fn leads_until(&self) -> Option<Moment> {
        self.held.map(|sent| sent + self.times.renew)
    }

    /// What to do at `now`.
    pub fn step(&self, now: Moment) -> Step<V> {
        if let Some(failed) = self.failed
            && now < failed + self.times.retry
        {
            return Step::Wait(failed + self.times.retry);
        }
        let Some(seen) = &self.seen else {
            return Step::Read;
        };
        if let Some(sent) = self.held {
            let due = sent + self.times.retry;
            return if now < due {
                Step::Wait(due)
            } else {
                self.hold(seen)
            };
        }
        let free = match &seen.record {
            None => seen.since,
            Some(record) => match &record.holder {
                None => seen.since,
                // A write of ours whose answer was lost.
                Some(holder) if *holder == self.name => seen.since,
                // Its holder may have longer times than ours: a rollout changes them one pod at a time.
                Some(_) => seen.since + record.lease.max(self.times.lease),
            },
        };
        if now >= free {
            return self.hold(seen);
        }
        let due = seen.heard + self.times.retry;
        if now >= due {
            Step::Read
        } else {
            Step::Wait(due.min(free))
        }
    }

    fn hold(&self, seen: &Seen<V>) -> Step<V> {
        Step::Hold(seen.record.as_ref().map(|record| record.version.clone()))
    }

    /// The record as a read gave it at `now`: none when there is none.
    pub fn heard(&mut self, record: Option<Record<V>>, now: Moment) {
        let same = self.seen.take().filter(|seen| seen.record == record);
        self.seen = Some(Seen {
            record,
            since: same.map_or(now, |seen| seen.since),
            heard: now,
        });
        self.failed = None;
    }

    /// The read that was sent at `sent` gave nothing.
    pub fn unheard(&mut self, sent: Moment) {
        self.failed = Some(sent);
    }

    /// The write that was sent at `sent` ended at `now`.
    pub fn wrote(&mut self, sent: Moment, now: Moment, ended: Written<V>) {
        match ended {
            Written::Accepted(version) => {
                self.held = Some(sent);
                self.failed = None;
                self.seen = Some(Seen {
                    record: Some(Record {
                        holder: Some(self.name.clone()),
                        lease: self.times.lease,
                        version,
                    }),
                    since: now,
                    heard: now,
                });
            }
            Written::Conflict => {
                // The version that we held is no more: whoever wrote (we, unheard, or another), read first.
                self.held = None;
                self.seen = None;
            }
            Written::Unknown => self.failed = Some(sent),
        }
    }

    /// Leads no more from here on. Gives back the version to write over with no holder, when we hold the record.
    pub fn release(&mut self) -> Option<V> {
        self.held.take()?;
        self.seen.take()?.record.map(|record| record.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        lease: Duration::from_secs(4),
        renew: Duration::from_secs(3),
        retry: Duration::from_secs(1),
    };

    fn at(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    fn candidate() -> Candidate<u32> {
        Candidate::new("we".into(), TIMES)
    }

    fn held_by(holder: &str, version: u32) -> Option<Record<u32>> {
        Some(Record {
            holder: Some(holder.into()),
            lease: TIMES.lease,
            version,
        })
    }

    #[test]
    fn no_record_is_created_and_then_renewed() {
        let mut we = candidate();
        assert_eq!(we.step(at(0)), Step::Read);
        we.heard(None, at(0));
        assert_eq!(we.step(at(0)), Step::Hold(None));
        we.wrote(at(0), at(1), Written::Accepted(1));
        assert_eq!(we.leads_until(), Some(at(3)), "from the sending, not the answer");
        assert_eq!(we.step(at(1)), Step::Hold(Some(1)));
        we.wrote(at(1), at(1), Written::Accepted(2));
        assert_eq!(we.step(at(1)), Step::Wait(at(2)));
    }

    #[test]
    fn a_holder_is_taken_for_dead_by_our_clock_alone() {
        let mut we = candidate();
        we.heard(held_by("they", 7), at(10));
        assert_eq!(we.step(at(10)), Step::Wait(at(11)));
        we.heard(held_by("they", 7), at(13));
        assert_eq!(we.step(at(13)), Step::Wait(at(14)), "not a retry later");
        assert_eq!(we.step(at(14)), Step::Hold(Some(7)));
        // It was only slow.
        we.heard(held_by("they", 8), at(14));
        assert_eq!(we.step(at(15)), Step::Read);
        assert_eq!(we.leads_until(), None);
    }

    #[test]
    fn a_holder_with_longer_times_is_given_them() {
        let mut we = candidate();
        let record = held_by("they", 1).map(|record| Record {
            lease: at(15),
            ..record
        });
        we.heard(record.clone(), at(0));
        we.heard(record, at(14));
        assert_eq!(we.step(at(14)), Step::Wait(at(15)));
        assert_eq!(we.step(at(15)), Step::Hold(Some(1)));
    }

    #[test]
    fn a_released_record_is_taken_at_once() {
        let mut we = candidate();
        we.heard(
            Some(Record {
                holder: None,
                lease: TIMES.lease,
                version: 5,
            }),
            at(0),
        );
        assert_eq!(we.step(at(0)), Step::Hold(Some(5)));
        we.wrote(at(0), at(0), Written::Accepted(6));
        assert_eq!(we.release(), Some(6));
        assert_eq!(we.leads_until(), None, "before the record says so");
        assert_eq!(we.release(), None);
    }

    #[test]
    fn a_leader_that_is_not_answered_stops_before_others_may_start() {
        let mut we = candidate();
        we.heard(None, at(0));
        we.wrote(at(0), at(0), Written::Accepted(1));
        for second in 1..=3 {
            assert_eq!(we.step(at(second)), Step::Hold(Some(1)));
            we.wrote(at(second), at(second), Written::Unknown);
        }
        assert_eq!(we.leads_until(), Some(at(3)));
        // It competes on; the version that it knows is no longer the record's.
        assert_eq!(we.step(at(4)), Step::Hold(Some(1)));
        we.wrote(at(4), at(4), Written::Conflict);
        assert_eq!((we.step(at(4)), we.leads_until()), (Step::Read, None));
    }

    #[test]
    fn a_write_of_ours_whose_answer_was_lost_is_written_over_not_believed() {
        let mut we = candidate();
        we.heard(None, at(0));
        we.wrote(at(0), at(0), Written::Unknown);
        assert_eq!(we.step(at(0)), Step::Wait(at(1)));
        assert_eq!(we.step(at(2)), Step::Hold(None));
        we.wrote(at(2), at(2), Written::Conflict);
        we.heard(held_by("we", 1), at(2));
        assert_eq!((we.step(at(2)), we.leads_until()), (Step::Hold(Some(1)), None));
    }

    #[test]
    fn failures_are_paced_and_slow_ones_are_not_waited_for_twice() {
        let mut we = candidate();
        we.unheard(at(5));
        assert_eq!(we.step(at(5)), Step::Wait(at(6)));
        assert_eq!(we.step(at(6)), Step::Read);
        we.heard(None, at(6));
        we.wrote(at(6), at(6), Written::Accepted(1));
        we.wrote(at(7), at(9), Written::Unknown);
        assert_eq!(we.step(at(9)), Step::Hold(Some(1)));
    }
}
