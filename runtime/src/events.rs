//! What happened to an object, told beside it (`kubectl describe`): on change only, and seldom for one that changes often.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::core::ObjectMeta;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};

/// So many events of one object at once.
const BURST: u32 = 4;
/// And one more after each such time. Kubernetes' own components allow one in five minutes after 25.
const REFILL: Duration = Duration::from_secs(60);
/// A note is at most 1 kB.
const NOTE: usize = 1000;

/// Tells events under one name. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
    budgets: Arc<Mutex<HashMap<String, Budget>>>,
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Events")
    }
}

/// One object's.
#[derive(Debug, Clone, Copy)]
struct Budget {
    left: u32,
    since: Instant,
}

impl Budget {
    /// Takes one, if there is one.
    fn take(&mut self, now: Instant) -> bool {
        let periods = now.duration_since(self.since).as_secs() / REFILL.as_secs();
        let more = u32::try_from(periods).unwrap_or(u32::MAX);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.since = now;
        }
        let any = self.left > 0;
        self.left = self.left.saturating_sub(1);
        any
    }

    fn is_full(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= REFILL * BURST
    }
}

impl Events {
    /// Events of `controller` (`marsad/camera`), told by the process `instance`.
    pub fn new(client: Client, controller: &str, instance: Option<String>) -> Self {
        let reporter = Reporter {
            controller: controller.to_owned(),
            instance,
        };
        Self {
            recorder: Recorder::new(client, reporter),
            budgets: Arc::default(),
        }
    }

    /// Tells that `object` went well again, or wrong. An event that is refused or too much is left out: the status says it anyway.
    pub async fn tell<K>(&self, object: &K, kind: EventType, reason: &str, note: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        if !self.may(object.meta(), Instant::now()) {
            return;
        }
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(note.chars().take(NOTE).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            tracing::debug!(
                object = object.name_any(),
                error = &error as &dyn std::error::Error,
                "event_not_told"
            );
        }
    }

    fn may(&self, meta: &ObjectMeta, now: Instant) -> bool {
        let uid = meta.uid.clone().unwrap_or_default();
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if !budgets.contains_key(&uid) {
            budgets.retain(|_, budget| !budget.is_full(now));
        }
        let budget = budgets.entry(uid).or_insert(Budget {
            left: BURST,
            since: now,
        });
        budget.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_flaps_is_told_of_seldom() {
        let start = Instant::now();
        let mut budget = Budget {
            left: BURST,
            since: start,
        };
        // Every two seconds for five minutes.
        let told = (0..150)
            .filter(|n| budget.take(start + Duration::from_secs(2 * n)))
            .count();
        assert_eq!(told, 8, "four at once, and one a minute");
        assert!(budget.take(start + Duration::from_secs(3600)));
    }
}
