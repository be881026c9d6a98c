//! The circuit breaker (R1.3-21), with the clock injected.

use std::time::{Duration, Instant};

/// What the breaker lets through: one series each in `circuit_breaker_state` (R1.3-35).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Circuit {
    /// Everything.
    Closed,
    /// One trial.
    HalfOpen,
    /// Nothing.
    Open,
}

impl Circuit {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// The label of its series.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// Counts failures in a row.
#[derive(Debug)]
pub struct Breaker {
    limit: u32,
    pause: Duration,
    failures: u32,
    opened: Option<Instant>,
    trial: Option<Instant>,
}

impl Breaker {
    /// Closed; opens after `limit` failures in a row, and lets one trial through after each `pause`.
    pub fn new(limit: u32, pause: Duration) -> Self {
        Self {
            limit,
            pause,
            failures: 0,
            opened: None,
            trial: None,
        }
    }

    /// Whether a call may go out now. Of an open circuit one may after each pause: a trial whose end nobody told does
    /// not keep the circuit open for ever.
    pub fn allows(&mut self, now: Instant) -> bool {
        let Some(opened) = self.opened else { return true };
        let since = self.trial.unwrap_or(opened);
        let due = now.saturating_duration_since(since) >= self.pause;
        if due {
            self.trial = Some(now);
        }
        due
    }

    /// A call was answered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.opened = None;
        self.trial = None;
    }

    /// A call was not answered.
    pub fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.limit {
            self.opened = Some(now);
            self.trial = None;
        }
    }

    /// What it lets through.
    pub fn circuit(&self) -> Circuit {
        match (self.opened, self.trial) {
            (None, _) => Circuit::Closed,
            (Some(_), Some(_)) => Circuit::HalfOpen,
            (Some(_), None) => Circuit::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    #[test]
    fn r1_3_21_five_failures_in_a_row_open_it() {
        let (mut breaker, now) = (Breaker::new(5, PAUSE), Instant::now());
        for _ in 0..4 {
            breaker.failed(now);
        }
        breaker.succeeded();
        for _ in 0..4 {
            breaker.failed(now);
            assert!(breaker.allows(now));
        }
        assert_eq!(breaker.circuit(), Circuit::Closed);
        breaker.failed(now);
        assert_eq!(breaker.circuit(), Circuit::Open);
        assert!(!breaker.allows(now + PAUSE / 2));
    }

    #[test]
    fn r1_3_21_after_a_pause_one_trial_decides() {
        let (mut breaker, start) = (Breaker::new(1, PAUSE), Instant::now());
        breaker.failed(start);
        assert!(breaker.allows(start + PAUSE));
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        assert!(!breaker.allows(start + PAUSE), "a second one waits for the first");
        breaker.failed(start + PAUSE);
        assert_eq!(breaker.circuit(), Circuit::Open);
        assert!(breaker.allows(start + PAUSE * 2));
        breaker.succeeded();
        assert_eq!(breaker.circuit(), Circuit::Closed);
        assert!(breaker.allows(start + PAUSE * 2));
    }

    #[test]
    fn a_trial_that_nobody_ended_is_followed_by_another() {
        let (mut breaker, start) = (Breaker::new(1, PAUSE), Instant::now());
        breaker.failed(start);
        assert!(breaker.allows(start + PAUSE));
        assert!(breaker.allows(start + PAUSE * 2));
    }
}
