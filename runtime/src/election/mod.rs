//! Leader election: one process of several does what must be done by one. The rules are [`candidate`]'s; here they meet
//! the API server and the clock. A leader is fenced: every step of its work is preceded by a look at the clock, and
//! nothing of it runs after its deadline, whether or not anybody could tell it so.
//!
//! What a fence can't stop is a request that has left the process before the deadline. So the deadline is well before
//! others may start ([`Times`]), and external systems see an epoch besides (contracts.md 10).

pub mod candidate;
mod lease;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use kube::Client;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::candidate::{Candidate, Moment, Step, Times, Written};
use self::lease::LeaseRecord;
use crate::heartbeat::{Heartbeat, Heartbeats};
use crate::metrics::Metrics;
use crate::role;

/// An elector that does nothing for this long, and for three leases, is stuck: it waits a retry at most, and each request has its deadline.
const STUCK: Duration = Duration::from_secs(60);

/// Settings of an election; flatten it into the role's own arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct ElectionArgs {
    /// Name of the Lease, in the release's namespace.
    #[arg(long, env = "LEADER_LEASE_NAME", default_value = "marsad-operator")]
    pub leader_lease_name: String,
    /// How long a leader that is silent is waited for, such as 4s.
    #[arg(long, env = "LEADER_LEASE_DURATION", default_value = "4s", value_parser = role::duration)]
    pub leader_lease_duration: Duration,
    /// How long a leader that can't renew goes on; less than the lease.
    #[arg(long, env = "LEADER_RENEW_DEADLINE", default_value = "3s", value_parser = role::duration)]
    pub leader_renew_deadline: Duration,
    /// Time between renewals, and between the looks of those who wait; less than the renew deadline.
    #[arg(long, env = "LEADER_RETRY_PERIOD", default_value = "500ms", value_parser = role::duration)]
    pub leader_retry_period: Duration,
}

/// The times of an election can't work.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "LEADER_RETRY_PERIOD ({:?}) must be less than LEADER_RENEW_DEADLINE ({:?}), and that less than LEADER_LEASE_DURATION ({:?}): \
     else two would lead, or none",
    .0.retry, .0.renew, .0.lease
)]
pub struct TimesError(Times);

impl ElectionArgs {
    fn times(&self) -> Result<Times, TimesError> {
        let times = Times {
            lease: self.leader_lease_duration,
            renew: self.leader_renew_deadline,
            retry: self.leader_retry_period,
        };
        if Duration::ZERO < times.retry && times.retry < times.renew && times.renew < times.lease {
            Ok(times)
        } else {
            Err(TimesError(times))
        }
    }
}

/// A time of leading. Renewals extend it; after a gap the next is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Term {
    number: u64,
    until: Instant,
}

/// What ended because its leader's time had run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this process leads no more")]
pub struct Fenced;

/// Lets work run only within one term. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fence {
    term: u64,
    terms: watch::Receiver<Option<Term>>,
}

impl Fence {
    /// One that holds for ever.
    #[cfg(test)]
    pub(crate) fn open() -> Self {
        // Thirty years: as long as tokio's own timers go.
        let until = Instant::now() + Duration::from_secs(86_400 * 365 * 30);
        let (_, terms) = watch::channel(Some(Term { number: 0, until }));
        Self { term: 0, terms }
    }

    /// Whether the term still runs.
    pub fn holds(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    fn until(&self) -> Option<Instant> {
        self.terms
            .borrow()
            .filter(|term| term.number == self.term)
            .map(|term| term.until)
    }

    async fn lapsed(&self) {
        let mut terms = self.terms.clone();
        while let Some(until) = self.until()
            && Instant::now() < until
        {
            tokio::select! {
                () = sleep_until(until) => {}
                changed = terms.changed() => if changed.is_err() {
                    // Nobody renews any more: the term ends at its deadline.
                    sleep_until(until).await;
                },
            }
        }
    }

    /// Runs `work` as long as the term runs, looking at the clock before each of its steps; then drops it.
    ///
    /// # Errors
    /// When the term ended first.
    pub async fn guard<F: Future>(&self, work: F) -> Result<F::Output, Fenced> {
        let mut work = pin!(work);
        let mut lapsed = pin!(self.lapsed());
        poll_fn(|task| {
            if !self.holds() || lapsed.as_mut().poll(task).is_ready() {
                return Poll::Ready(Err(Fenced));
            }
            work.as_mut().poll(task).map(Ok)
        })
        .await
    }
}

/// The right to know when this process leads.
#[derive(Debug)]
pub struct Leadership {
    terms: watch::Receiver<Option<Term>>,
    drained: CancellationToken,
}

impl Leadership {
    /// Runs `work` from its beginning in each term, until it returns by itself; then the record may be released to others.
    /// Whoever is fenced waits for the next term. Before the first term a stop is noticed by `stop`.
    pub async fn lead<F, W>(mut self, stop: CancellationToken, mut work: F)
    where
        F: FnMut(Fence) -> W,
        W: Future<Output = ()>,
    {
        // Dropped with the task: whatever happens here, the elector hears of its end.
        let _drained = self.drained.clone().drop_guard();
        loop {
            let fence = tokio::select! {
                () = stop.cancelled() => return,
                fence = self.begins() => fence,
            };
            let Some(fence) = fence else { return };
            tracing::info!(term = fence.term, "leading");
            match fence.guard(work(fence.clone())).await {
                Ok(()) => return,
                Err(Fenced) => tracing::warn!(term = fence.term, "fenced"),
            }
        }
    }

    /// The next moment in which a term runs; none when there will be no more.
    async fn begins(&mut self) -> Option<Fence> {
        let terms = self.terms.clone();
        let running = |term: &Option<Term>| term.is_some_and(|term| Instant::now() < term.until);
        let term = *self.terms.wait_for(running).await.ok()?;
        Some(Fence {
            term: term?.number,
            terms,
        })
    }
}

/// The task that competes, renews and releases.
pub struct Elector {
    candidate: Candidate<String>,
    record: LeaseRecord,
    times: Times,
    origin: Instant,
    terms: watch::Sender<Option<Term>>,
    drained: CancellationToken,
    leading: Gauge,
    begun: Counter,
    heartbeat: Heartbeat,
}

impl Elector {
    /// An elector for the Lease in `namespace`, and the leadership that follows from it. `process` is a name that people
    /// know, such as the pod's; it is made unique.
    ///
    /// # Errors
    /// When the times can't work.
    pub fn new(
        client: Client,
        namespace: &str,
        process: &str,
        args: &ElectionArgs,
        metrics: &Metrics,
        heartbeats: &Heartbeats,
    ) -> Result<(Self, Leadership), TimesError> {
        let times = args.times()?;
        // A restarted container has its pod's name again, and must not think that it still leads.
        let identity = format!("{process}_{:08x}", rand::random::<u32>());
        let (terms, seen) = watch::channel(None);
        let drained = CancellationToken::new();
        let elector = Self {
            candidate: Candidate::new(identity.clone(), times),
            record: LeaseRecord::new(
                client,
                namespace,
                args.leader_lease_name.clone(),
                identity,
                times.lease,
            ),
            times,
            origin: Instant::now(),
            terms,
            drained: drained.clone(),
            leading: metrics.register(
                "marsad_leader",
                "1 while this process leads, else 0",
                Gauge::default(),
            ),
            begun: metrics.register(
                "marsad_leader_terms",
                "Terms that this process has begun",
                Counter::default(),
            ),
            heartbeat: heartbeats.expect("election", STUCK.max(times.lease * 3)),
        };
        let leadership = Leadership { terms: seen, drained };
        Ok((elector, leadership))
    }

    /// Competes until what leads has ended, then releases the record.
    ///
    /// # Errors
    /// Never; the type fits [`crate::role::Role::supervise`].
    pub async fn run(mut self) -> Result<(), std::convert::Infallible> {
        let drained = self.drained.clone();
        while !drained.is_cancelled() {
            self.heartbeat.beat();
            match self.candidate.step(self.now()) {
                Step::Wait(until) => {
                    // The gauge must fall at the deadline too, not at the next try.
                    let lapses = self.candidate.leads_until().filter(|at| *at > self.now());
                    let wake = self.origin + lapses.map_or(until, |at| at.min(until));
                    tokio::select! {
                        () = drained.cancelled() => {}
                        () = sleep_until(wake) => {}
                    }
                }
                // Not cut off by a stop: a write that is under way decides what is to be released.
                Step::Read => self.read().await,
                Step::Hold(over) => self.hold(over).await,
            }
            self.tell();
        }
        if let Some(version) = self.candidate.release() {
            self.tell();
            let released = timeout(self.patience(), self.record.write(false, Some(&version))).await;
            tracing::info!(
                released = matches!(released, Ok(Written::Accepted(_))),
                "stopped_leading"
            );
        }
        Ok(())
    }

    fn now(&self) -> Moment {
        self.origin.elapsed()
    }

    /// For one request: two fit before the renew deadline.
    fn patience(&self) -> Duration {
        self.times.renew / 2
    }

    async fn read(&mut self) {
        let sent = self.now();
        match timeout(self.patience(), self.record.read()).await {
            Ok(Ok(record)) => {
                let now = self.now();
                self.candidate.heard(record, now);
            }
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "lease_not_read");
                self.candidate.unheard(sent);
            }
            Err(_) => {
                tracing::warn!("lease_not_read_in_time");
                self.candidate.unheard(sent);
            }
        }
    }

    async fn hold(&mut self, over: Option<String>) {
        let sent = self.now();
        let ended = timeout(self.patience(), self.record.write(true, over.as_deref())).await;
        let ended = ended.unwrap_or_else(|_| {
            tracing::warn!("lease_not_written_in_time");
            Written::Unknown
        });
        let now = self.now();
        self.candidate.wrote(sent, now, ended);
    }

    /// Tells whoever leads until when.
    fn tell(&self) {
        let until = self.candidate.leads_until().map(|until| self.origin + until);
        self.terms.send_if_modified(|term| {
            let before = *term;
            *term = until.filter(|until| Instant::now() < *until).map(|until| {
                let runs_on = before.filter(|before| Instant::now() < before.until);
                let number = runs_on.map_or_else(|| self.begun.inc() + 1, |before| before.number);
                Term { number, until }
            });
            self.leading.set(i64::from(term.is_some()));
            *term != before
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn ends_in(number: u64, seconds: u64) -> Option<Term> {
        Some(Term {
            number,
            until: Instant::now() + Duration::from_secs(seconds),
        })
    }

    /// Work that counts seconds and never ends.
    async fn count(steps: Arc<AtomicU32>) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_at_the_deadline_and_not_before_when_it_is_extended() {
        let (tell, terms) = watch::channel(ends_in(1, 3));
        let fence = Fence { term: 1, terms };
        let steps = Arc::new(AtomicU32::new(0));
        let renewals = async {
            tokio::time::sleep(Duration::from_millis(2500)).await;
            tell.send_replace(ends_in(1, 3));
            std::future::pending::<()>().await;
        };
        let started = Instant::now();
        tokio::select! {
            end = fence.guard(count(steps.clone())) => assert_eq!(end, Err(Fenced)),
            () = renewals => {}
        }
        assert_eq!(started.elapsed(), Duration::from_millis(5500));
        assert_eq!(steps.load(Ordering::Relaxed), 5);
        assert!(!fence.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn no_step_is_made_after_a_pause_of_the_whole_process() {
        let (_tell, terms) = watch::channel(ends_in(1, 3));
        let fence = Fence { term: 1, terms };
        let steps = Arc::new(AtomicU32::new(0));
        let mut work = pin!(fence.guard(count(steps.clone())));
        assert!(futures::poll!(work.as_mut()).is_pending());
        // SIGSTOP and SIGCONT: the step's timer and the deadline are both in the past when anything runs again.
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(work.await, Err(Fenced));
        assert_eq!(steps.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn work_of_an_earlier_term_does_not_run_in_a_later_one() {
        let (tell, terms) = watch::channel(ends_in(1, 3));
        let fence = Fence { term: 1, terms };
        tell.send_replace(ends_in(2, 3));
        assert!(!fence.holds());
        assert_eq!(fence.guard(async {}).await, Err(Fenced));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_fenced_begins_anew_in_the_next_term() {
        let (tell, terms) = watch::channel(None);
        let drained = CancellationToken::new();
        let leadership = Leadership {
            terms,
            drained: drained.clone(),
        };
        let stop = CancellationToken::new();
        let begun = Arc::new(AtomicU32::new(0));
        let (counted, stopped) = (begun.clone(), stop.clone());
        let task = tokio::spawn(leadership.lead(stop.clone(), move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            stopped.clone().cancelled_owned()
        }));
        for term in [1, 2] {
            tell.send_replace(ends_in(term, 3));
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        assert_eq!(begun.load(Ordering::Relaxed), 2);
        assert!(!drained.is_cancelled());
        tell.send_replace(ends_in(3, 3));
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        task.await.unwrap();
        assert!(drained.is_cancelled(), "the record may be released");
    }

    #[test]
    fn times_that_let_two_lead_are_refused() {
        let args = |lease, renew, retry| ElectionArgs {
            leader_lease_name: "marsad-operator".into(),
            leader_lease_duration: Duration::from_secs(lease),
            leader_renew_deadline: Duration::from_secs(renew),
            leader_retry_period: Duration::from_secs(retry),
        };
        assert!(args(4, 3, 1).times().is_ok());
        for (lease, renew, retry) in [(3, 3, 1), (3, 4, 1), (4, 3, 3), (4, 3, 0)] {
            let error = args(lease, renew, retry).times().unwrap_err();
            assert!(error.to_string().contains("LEADER_RENEW_DEADLINE"), "{error}");
        }
    }
}
