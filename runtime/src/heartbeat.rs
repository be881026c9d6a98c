//! Signs of life of what a process consists of: a task that has stopped making progress without ending is found by the liveness
//! probe, and the process is started afresh. (A task that ends or panics ends the role at once: [`crate::role`].)

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// All that is expected to show signs of life. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Heartbeats(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    next: u64,
    expected: HashMap<u64, Expected>,
}

#[derive(Debug)]
struct Expected {
    name: &'static str,
    within: Duration,
    last: Instant,
}

/// One of them; no longer expected when dropped.
#[derive(Debug)]
pub struct Heartbeat {
    all: Heartbeats,
    id: u64,
}

impl Heartbeats {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `name` must show a sign of life each time `within` has passed.
    #[must_use]
    pub fn expect(&self, name: &'static str, within: Duration) -> Heartbeat {
        let mut known = self.lock();
        let id = known.next;
        known.next += 1;
        let last = Instant::now();
        known.expected.insert(id, Expected { name, within, last });
        Heartbeat {
            all: self.clone(),
            id,
        }
    }

    /// Who is late, and how long it has been silent.
    pub fn late(&self) -> Vec<(&'static str, Duration)> {
        let known = self.lock();
        let mut late: Vec<_> = known
            .expected
            .values()
            .map(|expected| (expected, expected.last.elapsed()))
            .filter(|(expected, silent)| *silent > expected.within)
            .map(|(expected, silent)| (expected.name, silent))
            .collect();
        late.sort_unstable();
        late
    }
}

impl Heartbeat {
    /// A sign of life.
    pub fn beat(&self) {
        if let Some(expected) = self.all.lock().expected.get_mut(&self.id) {
            expected.last = Instant::now();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.all.lock().expected.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_for_too_long_is_named_until_it_beats_or_is_gone() {
        let all = Heartbeats::default();
        let (quick, slow) = (
            all.expect("quick", Duration::from_secs(5)),
            all.expect("slow", Duration::from_secs(60)),
        );
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(all.late(), [("quick", Duration::from_secs(6))]);
        quick.beat();
        assert_eq!(all.late(), []);
        tokio::time::advance(Duration::from_secs(61)).await;
        drop(slow);
        assert_eq!(all.late(), [("quick", Duration::from_secs(61))]);
    }
}
