//! Who is reconciled next when more wait than may run: what people edit, then what has happened to an object, then the backlog of a
//! start, each first come, first served. kube's own queue knows no order, so that an edit waits behind ten thousand objects that nobody has touched.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A bounded number of permits. Cheap to clone.
pub(crate) struct Gate<K: Key> {
    queue: Arc<Mutex<Queue<K>>>,
}

pub(crate) trait Key: Eq + Hash + Clone + Send + 'static {}
impl<K: Eq + Hash + Clone + Send + 'static> Key for K {}

/// Who goes before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// A person has just edited it.
    Edited,
    /// Something has happened to it.
    Fresh,
    /// It was there at the start, and nothing has happened.
    Backlog,
}

struct Queue<K: Key> {
    free: usize,
    /// One for each rank, in order; a key that now has another rank, or no waiter, is passed over.
    lines: [VecDeque<K>; 3],
    waiters: HashMap<K, (Rank, oneshot::Sender<Permit<K>>)>,
    /// Edited while they were not waiting and others were: their next turn is an early one.
    edited: HashSet<K>,
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
                lines: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
                waiters: HashMap::new(),
                edited: HashSet::new(),
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<K>> {
        // Each change of the queue is whole before anything can panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit before all of the backlog. One key waits once.
    pub(crate) async fn enter(&self, key: K) -> Permit<K> {
        self.wait(key, Rank::Fresh).await
    }

    /// Waits for a permit after all that is fresh, unless `key` is promoted.
    pub(crate) async fn enter_late(&self, key: K) -> Permit<K> {
        self.wait(key, Rank::Backlog).await
    }

    /// A person has edited `key`: it goes before all that nobody waits for, be it waiting now or about to.
    pub(crate) fn promote(&self, key: &K) {
        let mut queue = self.lock();
        let others_wait = !queue.waiters.is_empty();
        match queue.waiters.get_mut(key) {
            Some((Rank::Edited, _)) => {}
            Some((rank, _)) => {
                *rank = Rank::Edited;
                queue.line(Rank::Edited).push_back(key.clone());
            }
            None if others_wait => {
                queue.edited.insert(key.clone());
            }
            None => {}
        }
    }

    /// Those who wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiters.len()
    }

    async fn wait(&self, key: K, rank: Rank) -> Permit<K> {
        let permit = {
            let mut queue = self.lock();
            let rank = if queue.edited.remove(&key) {
                Rank::Edited
            } else {
                rank
            };
            if let Some(free) = queue.free.checked_sub(1) {
                queue.free = free;
                return Permit { gate: self.clone() };
            }
            let (waiter, permit) = oneshot::channel();
            queue.waiters.insert(key.clone(), (rank, waiter));
            queue.line(rank).push_back(key);
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
    const fn line(&mut self, rank: Rank) -> &mut VecDeque<K> {
        let [edited, fresh, backlog] = &mut self.lines;
        match rank {
            Rank::Edited => edited,
            Rank::Fresh => fresh,
            Rank::Backlog => backlog,
        }
    }

    fn next(&mut self) -> Option<oneshot::Sender<Permit<K>>> {
        for rank in [Rank::Edited, Rank::Fresh, Rank::Backlog] {
            while let Some(key) = self.line(rank).pop_front() {
                if self.waiters.get(&key).is_some_and(|(now, _)| *now == rank)
                    && let Some((_, waiter)) = self.waiters.remove(&key)
                {
                    return Some(waiter);
                }
            }
        }
        // Nobody waits: there is nobody to go before, and the room that thousands took is given back.
        self.edited = HashSet::new();
        self.waiters.shrink_to_fit();
        self.lines.iter_mut().for_each(VecDeque::shrink_to_fit);
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
        Waiting(key, Box::pin(async move { gate.enter(key).await }))
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
        gate.enter("held").now_or_never().expect("free")
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

    /// While thousands start, each that was placed comes back when its shard has it: an edit must not wait behind those.
    #[test]
    fn an_edit_goes_before_what_happens_by_itself() {
        let gate = Gate::new(1);
        let permit = held(&gate);
        let mut waiting = queued(vec![
            fresh(&gate, "a"),
            late(&gate, "b"),
            fresh(&gate, "edited"),
            fresh(&gate, "c"),
        ]);
        gate.promote(&"edited");
        gate.promote(&"edited");
        // Its pass is under way: the next one is early.
        gate.promote(&"running");
        waiting.extend(queued(vec![fresh(&gate, "d"), fresh(&gate, "running")]));
        assert_eq!(order(waiting, permit), ["edited", "running", "a", "c", "d", "b"]);
        assert!(gate.lock().edited.is_empty());
    }

    #[test]
    fn who_gives_up_takes_no_permit_along() {
        let gate = Gate::new(1);
        let permit = held(&gate);
        let mut waiting = queued(vec![late(&gate, "a"), fresh(&gate, "b"), late(&gate, "c")]);
        waiting.retain(|Waiting(key, _)| *key == "c");
        assert_eq!(order(waiting, permit), ["c"]);
        assert!(gate.enter("d").now_or_never().is_some(), "none is lost");
    }

    #[test]
    fn as_many_as_it_is_wide_come_through() {
        let gate: Gate<&str> = Gate::new(3);
        let keys = ["a", "b", "c", "d", "e"];
        let through: Vec<_> = keys
            .into_iter()
            .filter_map(|key| gate.enter(key).now_or_never())
            .collect();
        assert_eq!(through.len(), 3);
    }
}
