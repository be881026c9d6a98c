//! What cameras share: one recording server serves hundreds, and its loss takes them all (R1.1-08). Pure: the clock and the dice are given.
//!
//! A server that nobody reaches is tried by one camera at a time; when it answers, all its cameras are tried. First tries at one
//! server follow each other at a pace that it can take.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::circuit::HALF_OPEN_AFTER;

/// So many cameras that can't reach a server, and none that can, are the server's failure and not theirs.
const OPENS_AT: usize = 3;
/// First tries at one server: this many at once …
const BURST: u32 = 20;
/// … and then one in this time: fifty a second. Those whose server has come back keep it, too.
pub(crate) const PACE: Duration = Duration::from_millis(20);

/// All servers, by `host:port`.
#[derive(Debug, Default)]
pub(crate) struct Servers(HashMap<Arc<str>, Server>);

#[derive(Debug)]
struct Server {
    up: Streams,
    unreached: Streams,
    /// While open: when the next camera may try.
    open: Option<Instant>,
    /// Generic cell rate algorithm (ITU-T I.371): the theoretical arrival of the next first try.
    arrival: Instant,
}

/// Some streams of a server: mostly one, where a camera is its own server, and hundreds at most.
#[derive(Debug, Default)]
struct Streams(Vec<Arc<str>>);

impl Streams {
    fn insert(&mut self, stream: &Arc<str>) {
        if let Err(at) = self.0.binary_search(stream) {
            self.0.insert(at, stream.clone());
        }
    }

    fn remove(&mut self, stream: &str) {
        if let Ok(at) = self.0.binary_search_by(|known| known.as_ref().cmp(stream)) {
            self.0.remove(at);
        }
    }
}

impl Servers {
    /// Sees to it that `server` is known, and gives its name, which is kept once.
    pub(crate) fn enrol(&mut self, server: &str, now: Instant) -> Arc<str> {
        self.of(server, now);
        self.name(server)
    }

    fn name(&self, server: &str) -> Arc<str> {
        let known = self.0.get_key_value(server);
        known.map_or_else(|| server.into(), |(name, _)| name.clone())
    }

    fn of(&mut self, server: &str, now: Instant) -> &mut Server {
        self.0.entry(self.name(server)).or_insert_with(|| Server {
            up: Streams::default(),
            unreached: Streams::default(),
            open: None,
            arrival: now,
        })
    }

    /// When a stream that is new may be tried first.
    pub(crate) fn slot(&mut self, server: &str, now: Instant) -> Instant {
        let server = self.of(server, now);
        let arrival = server.arrival.max(now);
        server.arrival = arrival + PACE;
        arrival
            .checked_sub(PACE * (BURST - 1))
            .map_or(now, |at| at.max(now))
    }

    /// The server answered `stream`, be it with a refusal. Gives the streams that may be tried now when it had been lost.
    pub(crate) fn answered(
        &mut self,
        server: &str,
        stream: &Arc<str>,
        connected: bool,
        now: Instant,
    ) -> Vec<Arc<str>> {
        let server = self.of(server, now);
        server.unreached.remove(stream);
        if connected {
            server.up.insert(stream);
        } else {
            server.up.remove(stream);
        }
        match server.open.take() {
            Some(_) => std::mem::take(&mut server.unreached).0,
            None => Vec::new(),
        }
    }

    /// `stream` could not reach the server. True when that opens its circuit.
    pub(crate) fn unreached(&mut self, server: &str, stream: &Arc<str>, now: Instant, chance: f64) -> bool {
        let server = self.of(server, now);
        server.up.remove(stream);
        server.unreached.insert(stream);
        if server.open.is_some() || server.unreached.0.len() < OPENS_AT || !server.up.0.is_empty() {
            return false;
        }
        server.open = Some(now + half_open_after(chance));
        true
    }

    /// The connection of `stream` ended, for a reason not known.
    pub(crate) fn ended(&mut self, server: &str, stream: &str) {
        if let Some(server) = self.0.get_mut(server) {
            server.up.remove(stream);
        }
    }

    /// Whether a stream may try now; else when it may ask again. Whoever may, tries for all.
    pub(crate) fn admit(&mut self, server: &str, now: Instant, chance: f64) -> Result<(), Instant> {
        let Some(next) = self.0.get_mut(server).and_then(|server| server.open.as_mut()) else {
            return Ok(());
        };
        if now < *next {
            // Not all at once when the time comes: one of them will have tried.
            return Err(*next + HALF_OPEN_AFTER.mul_f64(chance / 10.0));
        }
        *next = now + half_open_after(chance);
        Ok(())
    }

    /// Whether the server's circuit is open.
    pub(crate) fn open(&self, server: &str) -> bool {
        self.0.get(server).is_some_and(|server| server.open.is_some())
    }

    /// Servers whose circuit is open.
    pub(crate) fn lost(&self) -> usize {
        self.0.values().filter(|server| server.open.is_some()).count()
    }

    /// Forgets `stream`, and its server when it was the last.
    pub(crate) fn forget(&mut self, server: &str, stream: &str) {
        if let Some(state) = self.0.get_mut(server) {
            state.up.remove(stream);
            state.unreached.remove(stream);
            if state.up.0.is_empty() && state.unreached.0.is_empty() {
                self.0.remove(server);
            }
        }
    }
}

fn half_open_after(chance: f64) -> Duration {
    HALF_OPEN_AFTER.mul_f64(1.0 + chance / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HQ: &str = "10.1.2.3:554";

    fn lost(now: Instant, streams: u32) -> Servers {
        let mut servers = Servers::default();
        let opened: Vec<bool> = (0..streams)
            .map(|stream| servers.unreached(HQ, &stream.to_string().into(), now, 0.0))
            .collect();
        assert_eq!(opened.iter().filter(|opened| **opened).count(), 1);
        assert!(opened[2], "at the third: {opened:?}");
        servers
    }

    #[test]
    fn r1_1_08_a_server_that_nobody_reaches_is_tried_by_one_camera() {
        let now = Instant::now();
        let mut servers = lost(now, 40);
        assert!((0..40).all(|_| servers.admit(HQ, now, 0.5).is_err()));
        let later = now + HALF_OPEN_AFTER;
        assert_eq!(
            (0..40).filter(|_| servers.admit(HQ, later, 0.5).is_ok()).count(),
            1
        );
        assert!(servers.admit("10.1.2.4:554", now, 0.5).is_ok(), "another server");
    }

    #[test]
    fn when_it_answers_all_its_cameras_are_tried() {
        let now = Instant::now();
        let mut servers = lost(now, 40);
        let freed = servers.answered(HQ, &"7".into(), true, now);
        assert_eq!(freed.len(), 39, "all but the one that tried");
        assert!(!servers.open(HQ) && servers.admit(HQ, now, 0.0).is_ok());
        assert!(servers.answered(HQ, &"8".into(), true, now).is_empty());
    }

    #[test]
    fn a_refusal_is_an_answer() {
        let now = Instant::now();
        let mut servers = lost(now, 3);
        assert_eq!(servers.answered(HQ, &"0".into(), false, now).len(), 2);
        assert_eq!(servers.lost(), 0);
    }

    #[test]
    fn one_picture_says_that_the_server_lives() {
        let now = Instant::now();
        let mut servers = Servers::default();
        servers.answered(HQ, &"fine".into(), true, now);
        for stream in ["a", "b", "c", "d"] {
            assert!(!servers.unreached(HQ, &stream.into(), now, 0.0));
        }
        servers.ended(HQ, "fine");
        assert!(servers.unreached(HQ, &"e".into(), now, 0.0));
    }

    #[test]
    fn first_tries_keep_a_pace() {
        let now = Instant::now();
        let mut servers = Servers::default();
        let slots: Vec<Duration> = (0..500)
            .map(|_| servers.slot(HQ, now).duration_since(now))
            .collect();
        assert!(slots[..20].iter().all(Duration::is_zero), "{slots:?}");
        assert_eq!(slots[20], PACE);
        assert_eq!(slots[499], PACE * 480, "500 cameras in ten seconds");
        let rested = now + Duration::from_secs(60);
        assert_eq!(servers.slot(HQ, rested), rested);
    }

    #[test]
    fn nothing_is_kept_of_a_server_without_cameras() {
        let now = Instant::now();
        let mut servers = lost(now, 3);
        for stream in ["0", "1", "2"] {
            servers.forget(HQ, stream);
        }
        assert_eq!(servers.0.len(), 0);
    }
}
