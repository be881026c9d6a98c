//! Who is reconciled next when more wait than may run: fresh changes before the backlog of a start, each first come, first
//! served. kube's own queue knows no order, so that an edit waits behind ten thousand objects that nobody has touched.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A bounded number of permits. Cheap to clone.
pub(crate) struct Gate<K: Key> {
    queue: Arc<Mutex<Queue<K>>>,
}

pub(crate) trait Key: Eq + Hash + Clone + Send + 'static {}
impl<K: Eq + Hash + Clone + Send + 'static> Key for K {}

struct Queue<K: Key> {
    free: usize,
    fresh: VecDeque<oneshot::Sender<Permit<K>>>,
    /// In order; a key without a waiter has been promoted.
    backlog: VecDeque<K>,
    waiters: HashMap<K, oneshot::Sender<Permit<K>>>,
}

/// Given back when dropped.
pub(crate) struct Permit<K: Key> {
    gate: Gate<K>,
}

impl<K: Key> Clone for Gate<K> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
    }
}

impl<K: Key> Gate<K> {
    /// Lets `width` through at a time.
    pub(crate) fn new(width: usize) -> Self {
        Self {
            queue: Arc::new(Mutex::new(Queue {
                free: width,
                fresh: VecDeque::new(),
                backlog: VecDeque::new(),
                waiters: HashMap::new(),
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<K>> {
        // Each change of the queue is whole before anything can panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit before all of the backlog.
    pub(crate) async fn enter(&self) -> Permit<K> {
        self.wait(|queue, waiter| queue.fresh.push_back(waiter)).await
    }

    /// Waits for a permit after all that is fresh, unless `key` is promoted. One key waits once.
    pub(crate) async fn enter_late(&self, key: K) -> Permit<K> {
        self.wait(|queue, waiter| {
            queue.waiters.insert(key.clone(), waiter);
            queue.backlog.push_back(key);
        })
        .await
    }

    /// `key` is fresh now: it waits no longer behind the backlog.
    pub(crate) fn promote(&self, key: &K) {
        let mut queue = self.lock();
        if let Some(waiter) = queue.waiters.remove(key) {
            queue.fresh.push_back(waiter);
        }
    }

    /// Those who wait.
    pub(crate) fn waiting(&self) -> usize {
        let queue = self.lock();
        queue.fresh.len() + queue.waiters.len()
    }

    async fn wait(&self, enqueue: impl FnOnce(&mut Queue<K>, oneshot::Sender<Permit<K>>)) -> Permit<K> {
        let permit = {
            let mut queue = self.lock();
            if let Some(free) = queue.free.checked_sub(1) {
                queue.free = free;
                return Permit { gate: self.clone() };
            }
            let (waiter, permit) = oneshot::channel();
            enqueue(&mut queue, waiter);
            permit
        };
        match permit.await {
            Ok(permit) => permit,
            // The same key waits anew and has taken this one's place: it is served when that is.
            Err(_) => std::future::pending().await,
        }
    }
}

impl<K: Key> Queue<K> {
    fn next(&mut self) -> Option<oneshot::Sender<Permit<K>>> {
        if let Some(waiter) = self.fresh.pop_front() {
            return Some(waiter);
        }
        while let Some(key) = self.backlog.pop_front() {
            if let Some(waiter) = self.waiters.remove(&key) {
                return Some(waiter);
            }
        }
        None
    }
}

impl<K: Key> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut queue = self.gate.lock();
        loop {
            let Some(waiter) = queue.next() else {
                queue.free += 1;
                return;
            };
            // Whoever has given up waiting takes none.
            if waiter.is_closed() {
                continue;
            }
            drop(queue);
            // One that gives up just now drops it in its turn.
            let _ = waiter.send(Permit {
                gate: self.gate.clone(),
            });
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::BoxFuture;

    struct Waiting(&'static str, BoxFuture<'static, Permit<&'static str>>);

    fn late(gate: &Gate<&'static str>, key: &'static str) -> Waiting {
        let gate = gate.clone();
        Waiting(key, Box::pin(async move { gate.enter_late(key).await }))
    }

    fn fresh(gate: &Gate<&'static str>, key: &'static str) -> Waiting {
        let gate = gate.clone();
        Waiting(key, Box::pin(async move { gate.enter().await }))
    }

    /// The order in which they come through a gate that one holds, and gives up.
    fn order(mut waiting: Vec<Waiting>, held: Permit<&'static str>) -> Vec<&'static str> {
        let mut held = Some(held);
        let mut through = Vec::new();
        for _ in 0..=waiting.len() {
            let mut passed = Vec::new();
            waiting.retain_mut(|Waiting(key, permit)| match permit.now_or_never() {
                Some(permit) => {
                    through.push(*key);
                    passed.push(permit);
                    false
                }
                None => true,
            });
            assert!(passed.len() <= 1, "one at a time");
            drop(held.take());
            drop(passed);
        }
        through
    }

    fn held(gate: &Gate<&'static str>) -> Permit<&'static str> {
        gate.enter().now_or_never().expect("free")
    }

    /// Lets all get in line.
    fn queued(waiting: Vec<Waiting>) -> Vec<Waiting> {
        waiting
            .into_iter()
            .map(|Waiting(key, mut permit)| {
                assert!((&mut permit).now_or_never().is_none(), "{key} need not wait");
                Waiting(key, permit)
            })
            .collect()
    }

    #[test]
    fn what_is_fresh_goes_first() {
        let gate = Gate::new(1);
        let permit = held(&gate);
        let waiting = queued(vec![
            late(&gate, "a"),
            late(&gate, "b"),
            fresh(&gate, "edit"),
            late(&gate, "c"),
        ]);
        assert_eq!(gate.waiting(), 4);
        assert_eq!(order(waiting, permit), ["edit", "a", "b", "c"]);
        assert_eq!(gate.waiting(), 0);
    }

    #[test]
    fn what_changes_while_it_waits_is_promoted() {
        let gate = Gate::new(1);
        let permit = held(&gate);
        let waiting = queued(vec![late(&gate, "a"), late(&gate, "b"), late(&gate, "c")]);
        gate.promote(&"c");
        gate.promote(&"not there");
        assert_eq!(order(waiting, permit), ["c", "a", "b"]);
    }

    #[test]
    fn who_gives_up_takes_no_permit_along() {
        let gate = Gate::new(1);
        let permit = held(&gate);
        let mut waiting = queued(vec![late(&gate, "a"), fresh(&gate, "b"), late(&gate, "c")]);
        waiting.retain(|Waiting(key, _)| *key == "c");
        assert_eq!(order(waiting, permit), ["c"]);
        assert!(gate.enter().now_or_never().is_some(), "none is lost");
    }

    #[test]
    fn as_many_as_it_is_wide_come_through() {
        let gate: Gate<&str> = Gate::new(3);
        let through: Vec<_> = (0..5).filter_map(|_| gate.enter().now_or_never()).collect();
        assert_eq!(through.len(), 3);
    }
}
