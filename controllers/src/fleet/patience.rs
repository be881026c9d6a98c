//! How long a shard may be silent before its cameras are given away. Silence is not death: a shard that is only slow, because its node
//! has more to do than it can, gets slower still when its neighbours are given its cameras, and so do they. Pure.

use std::time::{Duration, Instant};

/// Half of the ten seconds in which the cameras of a lost shard must be Online elsewhere (contracts.md 12). A pod that is gone is known
/// at once (`Fleet::bereave`); this is for one that hangs or whose node is lost.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(5);
/// A node that is lost is never waited for longer.
const AT_MOST: Duration = Duration::from_secs(60);
/// After so long without a false alarm a shard is believed again at once.
const FORGIVEN_AFTER: Duration = Duration::from_secs(600);
/// Of fewer shards the most that can be silent while another has room is half.
const CROWD: usize = 3;

/// What is known of one shard's silences.
#[derive(Debug, Default)]
pub(super) struct Patience {
    false_alarms: u32,
    last: Option<Instant>,
}

impl Patience {
    /// The silence after which the shard is lost: twice as long after each false alarm, and the longest when most shards of its pool
    /// are silent (`silent` of `all`, itself counted): what they have in common is then the reason, as for Kubernetes' node controller,
    /// which evicts nobody from a zone most of whose nodes do not answer (`--unhealthy-zone-threshold`).
    pub(super) fn lasts(&self, silent: usize, all: usize, now: Instant) -> Duration {
        if all >= CROWD && silent.saturating_mul(2) > all {
            return AT_MOST;
        }
        LOST_AFTER
            .saturating_mul(2_u32.saturating_pow(self.alarms(now)))
            .min(AT_MOST)
    }

    /// The shard had been given up, and answers: it was there all the time.
    pub(super) fn false_alarm(&mut self, now: Instant) {
        self.false_alarms = self.alarms(now).saturating_add(1);
        self.last = Some(now);
    }

    /// The false alarms that are not forgiven yet.
    fn alarms(&self, now: Instant) -> u32 {
        let last = self.last.map(|last| now.duration_since(last));
        last.filter(|since| *since < FORGIVEN_AFTER)
            .map_or(0, |_| self.false_alarms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_was_only_slow_is_given_more_time_and_forgiven() {
        let start = Instant::now();
        let mut patience = Patience::default();
        let lasts =
            |patience: &Patience, at: u64| patience.lasts(1, 4, start + Duration::from_secs(at)).as_secs();
        assert_eq!(lasts(&patience, 0), 5);
        let mut given = Vec::new();
        for alarm in 0..6 {
            patience.false_alarm(start + Duration::from_secs(alarm * 60));
            given.push(lasts(&patience, alarm * 60));
        }
        assert_eq!(given, [10, 20, 40, 60, 60, 60]);
        assert_eq!(lasts(&patience, 300 + 599), 60);
        assert_eq!(lasts(&patience, 300 + 600), 5);
        patience.false_alarm(start + Duration::from_secs(3600));
        assert_eq!(lasts(&patience, 3600), 10, "the old ones are forgotten");
    }

    #[test]
    fn most_of_a_pool_is_not_lost_at_once_but_half_of_it_may_be() {
        let (patience, now) = (Patience::default(), Instant::now());
        for (silent, all, seconds) in [
            (1, 1, 5),
            (1, 2, 5),
            (2, 2, 5),
            (1, 3, 5),
            (2, 3, 60),
            (2, 4, 5),
            (3, 4, 60),
            (6, 6, 60),
        ] {
            assert_eq!(
                patience.lasts(silent, all, now).as_secs(),
                seconds,
                "{silent} of {all}"
            );
        }
    }
}
