//! The client: typed calls, answered by a few tasks that each have one connection.

mod breaker;
mod connect;
mod reading;
mod settings;
mod worker;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

pub use breaker::{Breaker, Circuit};
pub use connect::ConnectError;
pub use reading::Held;
pub use settings::{Address, Login, Mode, Place, Settings};

use crate::request::{Refused, Request, Undecodable, read};
use worker::{Waiting, Worker};

/// Calls that wait for a connection, at most: beyond it callers wait to wait.
const QUEUE: usize = 4_096;

/// A call has no answer that can be acted on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Valkey has failed too often in a row: nothing was sent.
    #[error("Valkey is away (circuit open)")]
    CircuitOpen,
    /// No connection: nothing was sent.
    #[error("Valkey cannot be reached: {0}")]
    Unreachable(String),
    /// Sent and not answered: it may have happened. Asking again with the same id is safe.
    #[error("Valkey's answer was lost: {0}")]
    Lost(String),
    /// Too few replicas have it: it was not granted.
    #[error("{replicas} of {required} replicas have it: not granted")]
    NotReplicated {
        /// How many have it.
        replicas: u32,
        /// How many have to.
        required: u32,
    },
    /// The server refused to run the script: nothing happened.
    #[error("Valkey refused: {0}")]
    Server(String),
    /// The script refused the call: nothing happened.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The answer is none of this script's.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
}

/// An answer, and who has what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<T> {
    /// The script's.
    pub answer: T,
    /// Whether as many replicas have it as have to.
    pub replicated: bool,
}

/// Figures for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// What the breaker lets through.
    pub circuit: Circuit,
    /// Grants without enough replicas: refused in [`Mode::Strict`], given in [`Mode::Available`].
    pub unacknowledged: u64,
    /// Connections that failed, and batches whose answer was lost.
    pub failures: u64,
}

/// What the tasks share.
#[derive(Debug)]
struct Shared {
    breaker: Mutex<Breaker>,
    unacknowledged: AtomicU64,
    failures: AtomicU64,
}

impl Shared {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, why: &dyn fmt::Display) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.breaker().failed(Instant::now());
        tracing::warn!(%why, "valkey_failed");
    }

    fn unacknowledged(&self) {
        self.unacknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client of the ledger. Clones share its connections; they end with the last clone.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Arc<Settings>,
    queues: Vec<mpsc::Sender<Waiting>>,
    next: Arc<AtomicUsize>,
    shared: Arc<Shared>,
}

impl Client {
    /// Starts the tasks, in the runtime that it is called in. They connect with the first call.
    pub fn start(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let shared = Arc::new(Shared {
            breaker: Mutex::new(Breaker::new(settings.failures, settings.pause)),
            unacknowledged: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        let start = |_| {
            let (queue, waiting) = mpsc::channel(QUEUE);
            tokio::spawn(Worker::new(settings.clone(), shared.clone(), waiting).run());
            queue
        };
        Self {
            settings: settings.clone(),
            queues: (0..settings.connections.max(1)).map(start).collect(),
            next: Arc::new(AtomicUsize::new(0)),
            shared,
        }
    }

    /// Asks a script. Calls of one lease go one after the other.
    ///
    /// # Errors
    /// When there is no answer, or a refusal: see [`Error`] for what may have happened.
    pub async fn ask<R: Request + Clone + Send + 'static>(
        &self,
        request: &R,
    ) -> Result<Answered<R::Answer>, Error> {
        let call = request.call(&self.settings.space, &self.settings.opening());
        let undo = request.may_grant().then(|| {
            let (request, settings) = (request.clone(), self.settings.clone());
            let undo: worker::Undo = Box::new(move |numbers| {
                let answer = read::<R>(numbers).ok()?.ok()?;
                // It too may be the call that notices another server, and begins a grace.
                let opening = settings.opening();
                let releases = request.granted(&answer)?;
                Some(
                    releases
                        .iter()
                        .map(|release| release.call(&settings.space, &opening))
                        .collect(),
                )
            });
            undo
        });
        let (answer, answered) = oneshot::channel();
        let gone = || Error::Unreachable("the client has stopped".to_owned());
        let queue = self.queue(request).ok_or_else(gone)?;
        queue
            .send(Waiting { call, undo, answer })
            .await
            .map_err(|_| gone())?;
        let raw = answered.await.map_err(|_| gone())??;
        Ok(Answered {
            answer: read::<R>(&raw.numbers)??,
            replicated: raw.replicas >= self.settings.replicas,
        })
    }

    fn queue(&self, request: &impl Request) -> Option<&mpsc::Sender<Waiting>> {
        let place = match request.lease() {
            Some(id) => {
                let mut hasher = DefaultHasher::new();
                id.hash(&mut hasher);
                usize::try_from(hasher.finish() % self.queues.len() as u64).unwrap_or(0)
            }
            None => self.next.fetch_add(1, Ordering::Relaxed) % self.queues.len().max(1),
        };
        self.queues.get(place)
    }

    /// What becomes of a grant without enough replicas.
    pub fn mode(&self) -> Mode {
        self.settings.mode
    }

    /// Figures for metrics.
    pub fn figures(&self) -> Figures {
        Figures {
            circuit: self.shared.breaker().circuit(),
            unacknowledged: self.shared.unacknowledged.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
        }
    }
}
