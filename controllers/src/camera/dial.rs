//! Decides for every stream whether its shard may pull it now: its own tries, and those of the server that it shares with others.
//! In memory only: a status has no counters (contracts.md 3). The next leader knows from the status whose circuit was open.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;
use marsad_crds::{Camera, Reason};
use tokio::sync::mpsc;

use super::circuit::{Sight, Tries};
use super::metrics::IngestMetrics;
use super::prober::Diagnosis;
use super::servers::{PACE, Servers};
use crate::fleet::camera_of;

/// A stream as a pass sees it.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    /// The agency's code, for metrics.
    pub agency: &'a str,
    /// Its path.
    pub path: &'a str,
    /// `host:port` that it comes from.
    pub server: &'a str,
    /// Where it is pulled from, with credentials: kept as a hash only.
    pub source: &'a str,
    /// SHA-256 of the certificate that its camera must show; empty over `rtsp`.
    pub pin: &'a str,
    /// Value of the annotation that asks for a try now.
    pub requested: Option<&'a str>,
    /// What its shard says.
    pub sight: Sight,
    /// What the camera answered when it was asked.
    pub diagnosis: &'a Diagnosis,
    /// The status says that its circuit is open.
    pub left_open: bool,
}

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dial {
    /// Pull it.
    pub pull: bool,
    /// When to look again at the latest.
    pub again: Option<Duration>,
    /// It is seldom tried: its own circuit is open, or its server's.
    pub open: bool,
    /// The camera may be asked why it is down.
    pub ask: bool,
    /// It has failed so often that nobody expects it back (C-17).
    pub gave_up: bool,
    /// It has just connected, after this time.
    pub connected: Option<Duration>,
}

/// All streams' tries. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    inner: Arc<Mutex<Inner>>,
    metrics: IngestMetrics,
    wake: mpsc::UnboundedSender<ObjectRef<Camera>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By their paths.
    streams: HashMap<Arc<str>, Stream>,
    servers: Servers,
    hasher: RandomState,
}

#[derive(Debug)]
struct Stream {
    server: Arc<str>,
    /// Changes with the address, the login, and a wish for a try.
    asked: u64,
    tries: Tries,
}

impl Dialer {
    /// Nothing has been tried. Cameras that may be tried sooner than they were told are sent to `wake`.
    pub(crate) fn new(metrics: IngestMetrics, wake: mpsc::UnboundedSender<ObjectRef<Camera>>) -> Self {
        Self {
            inner: Arc::default(),
            metrics,
            wake,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the stream of `path`: its camera is gone, held back or suspended.
    pub(crate) fn forget(&self, path: &str) {
        let mut inner = self.lock();
        if let Some(stream) = inner.streams.remove(path) {
            inner.servers.forget(&stream.server, path);
        }
        self.metrics.lost_servers(inner.servers.lost());
    }

    /// The decision for one stream, now.
    pub(crate) fn step(&self, line: &Line<'_>, now: Instant, chance: f64) -> Dial {
        let mut inner = self.lock();
        let path = inner.enrol(line, now, chance);
        let Inner { streams, servers, .. } = &mut *inner;
        let Some(Stream { tries, .. }) = streams.get_mut(&path) else {
            unreachable!("it was enrolled above");
        };
        let trying_for = tries.trying_for(now);
        let mut step = tries.step(line.sight, says_no(line.diagnosis), now, chance);
        if step.begins {
            match servers.admit(line.server, now, chance) {
                Ok(()) => self.metrics.tried(line.agency, tries.failed_before()),
                Err(at) => {
                    tries.put_off(now, at);
                    step.pull = false;
                    step.again = Some(at.saturating_duration_since(now));
                }
            }
        }
        let rose = trying_for.is_some() && tries.up();
        // One that was up when this process took over was not timed.
        let connected = trying_for.filter(|took| rose && !took.is_zero());
        let mut freed = Vec::new();
        if rose {
            freed = servers.answered(line.server, &path, true, now);
        } else if step.failed {
            self.metrics.failed(line.agency, line.diagnosis);
            match line.diagnosis {
                Diagnosis::Failed(reason, _) if no_way(*reason) => {
                    if servers.unreached(line.server, &path, now, chance) {
                        tracing::warn!(server = line.server, "server_circuit_open");
                    }
                }
                Diagnosis::Failed(..) | Diagnosis::Fine => {
                    freed = servers.answered(line.server, &path, false, now);
                }
                Diagnosis::NotYet => servers.ended(line.server, line.path),
            }
        }
        let dial = Dial {
            pull: step.pull,
            again: step.again,
            open: tries.open() || (servers.open(line.server) && !tries.up()),
            gave_up: tries.gave_up(),
            ask: tries.trying() || !tries.open(),
            connected,
        };
        self.metrics.lost_servers(servers.lost());
        if !freed.is_empty() {
            tracing::info!(
                server = line.server,
                cameras = freed.len(),
                "server_circuit_closed"
            );
        }
        for (turn, path) in (1..).zip(freed) {
            if let (Some(stream), Some(camera)) = (streams.get_mut(&path), camera_at(&path)) {
                stream.tries.hurry(now, now + PACE * turn);
                // Without a listener the process is ending.
                let _ = self.wake.send(camera);
            }
        }
        dial
    }
}

impl Inner {
    /// Sees to it that the stream is known. One with another address, another password or a wish is a new one: whoever corrects a
    /// mistake need not wait. Gives the name of its path, which is kept once.
    fn enrol(&mut self, line: &Line<'_>, now: Instant, chance: f64) -> Arc<str> {
        let asked = self.hasher.hash_one((line.source, line.pin, line.requested));
        let known = self.streams.get_key_value(line.path);
        if let Some((path, _)) = known.filter(|(_, stream)| stream.asked == asked) {
            return path.clone();
        }
        let path = known.map_or_else(|| line.path.into(), |(path, _)| path.clone());
        let tries = if known.is_none() && line.left_open {
            Tries::left_open(now, chance)
        } else if line.sight == Sight::Unset {
            let slot = self.servers.slot(line.server, now);
            Tries::new(
                now,
                self.servers
                    .admit(line.server, slot, chance)
                    .err()
                    .unwrap_or(slot),
            )
        } else {
            Tries::new(now, now)
        };
        let stream = Stream {
            server: self.servers.enrol(line.server, now),
            asked,
            tries,
        };
        if let Some(before) = self.streams.insert(path.clone(), stream) {
            self.servers.forget(&before.server, &path);
        }
        path
    }
}

/// The camera of a path.
fn camera_at(path: &str) -> Option<ObjectRef<Camera>> {
    let (namespace, name) = camera_of(path)?;
    Some(ObjectRef::new(name).within(namespace))
}

/// A camera that answers at once, and with no: its try need not last.
fn says_no(diagnosis: &Diagnosis) -> bool {
    match diagnosis {
        Diagnosis::Failed(reason, _) => !matches!(
            reason,
            Reason::ConnectTimeout | Reason::Stalled | Reason::SourceUnreachable
        ),
        Diagnosis::Fine | Diagnosis::NotYet => false,
    }
}

/// Nothing at the address answered: it may be the server that is away.
fn no_way(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::DnsFailed | Reason::ConnectionRefused | Reason::ConnectTimeout | Reason::HostUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::path_name;
    use marsad_runtime::metrics::Metrics;

    struct House {
        dialer: Dialer,
        woken: mpsc::UnboundedReceiver<ObjectRef<Camera>>,
        now: Instant,
    }

    impl House {
        fn new() -> Self {
            let (wake, woken) = mpsc::unbounded_channel();
            Self {
                dialer: Dialer::new(IngestMetrics::new(&Metrics::default()), wake),
                woken,
                now: Instant::now(),
            }
        }

        fn see(
            &self,
            name: &str,
            source: &str,
            sight: Sight,
            diagnosis: &Diagnosis,
            left_open: bool,
        ) -> Dial {
            let line = Line {
                agency: "POLICE",
                path: &path_name("police", name, "main"),
                server: "10.1.2.3:554",
                source,
                pin: "",
                requested: None,
                sight,
                diagnosis,
                left_open,
            };
            self.dialer.step(&line, self.now, 0.5)
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        /// A whole try of `name` that ends with `diagnosis`.
        fn fail(&mut self, name: &str, diagnosis: &Diagnosis) -> Dial {
            self.see(name, "a", Sight::Unset, diagnosis, false);
            self.pass(12);
            self.see(name, "a", Sight::Silent, diagnosis, false)
        }
    }

    fn refused() -> Diagnosis {
        Diagnosis::Failed(Reason::ConnectionRefused, "refused".into())
    }

    #[test]
    fn whoever_corrects_the_password_need_not_wait() {
        let mut house = House::new();
        let unauthorized = Diagnosis::Failed(Reason::Unauthorized, "no".into());
        for _ in 0..3 {
            house.fail("a", &unauthorized);
            house.pass(40);
        }
        house.fail("a", &unauthorized);
        let waits = house.see("a", "a", Sight::Unset, &unauthorized, false);
        assert!(!waits.pull && waits.open && !waits.ask);
        let corrected = house.see("a", "b", Sight::Unset, &Diagnosis::NotYet, false);
        assert!(corrected.pull && !corrected.open);
    }

    #[test]
    fn r1_1_08_one_camera_tries_for_all_of_a_lost_server() {
        let mut house = House::new();
        for name in ["a", "b", "c"] {
            house.fail(name, &refused());
        }
        house.pass(1);
        let names = ["a", "b", "c", "new"];
        let look = |house: &House| -> Vec<bool> {
            names
                .iter()
                .map(|name| house.see(name, "a", Sight::Unset, &refused(), false).pull)
                .collect()
        };
        assert_eq!(look(&house), [false; 4]);
        assert!(house.see("a", "a", Sight::Unset, &refused(), false).open);
        house.pass(40);
        assert_eq!(look(&house).iter().filter(|pull| **pull).count(), 1, "one tries");
        let canary = names
            .iter()
            .position(|name| house.see(name, "a", Sight::Unset, &refused(), false).pull);
        house.see(names[canary.unwrap()], "a", Sight::Up, &Diagnosis::NotYet, false);
        let mut woken = 0;
        while house.woken.try_recv().is_ok() {
            woken += 1;
        }
        assert!(woken >= 2, "{woken}");
        house.pass(1);
        let pulled = look(&house);
        assert!(pulled[..3].iter().all(|pull| *pull), "{pulled:?}");
    }

    #[test]
    fn r1_1_29_only_a_try_that_was_seen_to_begin_is_timed() {
        let mut house = House::new();
        let taken_over = house.see("old", "a", Sight::Up, &Diagnosis::NotYet, false);
        assert_eq!(taken_over.connected, None);
        house.see("new", "a", Sight::Unset, &Diagnosis::NotYet, false);
        house.pass(2);
        let up = house.see("new", "a", Sight::Up, &Diagnosis::NotYet, false);
        assert_eq!(up.connected, Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_new_leader_neither_storms_nor_forgets_an_open_circuit() {
        let house = House::new();
        let dial = house.see("left", "a", Sight::Unset, &Diagnosis::NotYet, true);
        assert!(!dial.pull && dial.open);
        assert!(dial.again.is_some_and(|again| again <= Duration::from_secs(30)));
    }
}
