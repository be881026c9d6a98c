//! One connection's task: group commit. It takes what waits into one pipeline that ends with one WAIT (research/quota.md
//! §2.5): a WAIT of each caller's own would hold up all behind it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use redis::{Cmd, ErrorKind, Pipeline, ServerErrorKind, Value};
use tokio::sync::{mpsc, oneshot};

use super::connect::{Session, connect};
use super::settings::{Mode, Settings};
use super::{Error, Shared};
use crate::request::Call;

/// What a call granted, if it did, as the calls that take it back.
pub(super) type Undo = Box<dyn Fn(&[i64]) -> Option<Vec<Call>> + Send>;

/// An answer, and how many replicas have what it says.
#[derive(Debug)]
pub(super) struct Raw {
    pub numbers: Vec<i64>,
    pub replicas: u32,
}

/// A call that waits for its turn.
pub(super) struct Waiting {
    pub call: Call,
    pub undo: Option<Undo>,
    pub answer: oneshot::Sender<Result<Raw, Error>>,
}

pub(super) struct Worker {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Waiting>,
    session: Option<Session>,
    /// What was not granted after all: sent before anything that may ask for the same again.
    undo: VecDeque<Call>,
}

impl Worker {
    pub(super) fn new(settings: Arc<Settings>, shared: Arc<Shared>, queue: mpsc::Receiver<Waiting>) -> Self {
        Self {
            settings,
            shared,
            queue,
            session: None,
            undo: VecDeque::new(),
        }
    }

    /// Works until nobody can ask any more, and nothing is left to take back.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(self.settings.batch);
        loop {
            if self.undo.is_empty() {
                let taken = self.queue.recv_many(&mut batch, self.settings.batch).await;
                if taken == 0 {
                    return;
                }
            } else {
                while batch.len() < self.settings.batch
                    && let Ok(waiting) = self.queue.try_recv()
                {
                    batch.push(waiting);
                }
            }
            let reached = self.commit(&mut batch).await;
            if !reached && batch.is_empty() && !self.undo.is_empty() {
                if self.queue.is_closed() {
                    // Their time to live takes them back.
                    return;
                }
                // Nobody waits for these: they go with whoever comes next.
                let Some(next) = self.queue.recv().await else {
                    return;
                };
                batch.push(next);
            }
        }
    }

    /// Answers everything in `batch`. Gives whether the server was reached.
    async fn commit(&mut self, batch: &mut Vec<Waiting>) -> bool {
        if !self.shared.breaker().allows(Instant::now()) {
            fail(batch, || Error::CircuitOpen);
            return false;
        }
        let old = self.session.take();
        let reused = old.is_some();
        let Some(mut session) = self.connected(old, batch).await else {
            return false;
        };
        let undone = self.undo.len();
        let all = undone + batch.len();
        let pipeline = self.pipeline(batch, &session);
        let mut exchanged = self.exchange(&mut session, pipeline, all).await;
        if exchanged
            .as_ref()
            .is_err_and(|error| reused && error.is_connection_dropped())
        {
            // It may have been closed long ago. To ask again is safe: the same id is the same lease.
            let Some(anew) = self.connected(None, batch).await else {
                return false;
            };
            session = anew;
            let pipeline = self.pipeline(batch, &session);
            exchanged = self.exchange(&mut session, pipeline, all).await;
        }
        let (mut values, mut replicas) = match exchanged {
            Ok(exchanged) => exchanged,
            Err(error) => {
                self.shared.failed(&error);
                fail(batch, || Error::Lost(error.to_string()));
                return false;
            }
        };
        let answers = values.split_off(undone.min(values.len()));
        let missing: Vec<usize> = answers
            .iter()
            .enumerate()
            .filter(|(_, value)| no_script(value))
            .map(|(at, _)| at)
            .collect();
        let mut answers: Vec<Option<Value>> = answers.into_iter().map(Some).collect();
        let mut whole = true;
        if !missing.is_empty() {
            let mut pipeline = redis::pipe();
            for waiting in missing.iter().filter_map(|at| batch.get(*at)) {
                pipeline.add_command(command(
                    "EVAL",
                    waiting.call.script.text(),
                    &waiting.call,
                    &session,
                ));
            }
            let again = self.exchange(&mut session, pipeline, missing.len()).await;
            let (again, acknowledged) = match again {
                Ok((values, acknowledged)) => (values.into_iter().map(Some).collect(), acknowledged),
                Err(error) => {
                    self.shared.failed(&error);
                    whole = false;
                    (vec![None; missing.len()], 0)
                }
            };
            replicas = replicas.min(acknowledged);
            for (at, value) in missing.iter().zip(again) {
                if let Some(place) = answers.get_mut(*at) {
                    *place = value;
                }
            }
        }
        let primary = !values.iter().chain(answers.iter().flatten()).any(not_primary);
        if !primary {
            self.shared.failed(&"the server is no primary any more");
        }
        if primary && whole {
            self.undo.drain(..undone);
            self.shared.breaker().succeeded();
            self.session = Some(session);
        }
        for (waiting, value) in batch.drain(..).zip(answers) {
            self.answer(waiting, value, replicas);
        }
        primary && whole
    }

    /// The session that is there, or a new one; without either, everything in `batch` is answered.
    async fn connected(&self, session: Option<Session>, batch: &mut Vec<Waiting>) -> Option<Session> {
        if session.is_some() {
            return session;
        }
        match connect(&self.settings).await {
            Ok(session) => Some(session),
            Err(error) => {
                self.shared.failed(&error);
                fail(batch, || Error::Unreachable(error.to_string()));
                None
            }
        }
    }

    /// What is to be taken back, then what is asked.
    fn pipeline(&self, batch: &[Waiting], session: &Session) -> Pipeline {
        let mut pipeline = redis::pipe();
        for call in &self.undo {
            // By its text: it must not come later than its turn for want of a script.
            pipeline.add_command(command("EVAL", call.script.text(), call, session));
        }
        for waiting in batch {
            pipeline.add_command(command(
                "EVALSHA",
                waiting.call.script.digest(),
                &waiting.call,
                session,
            ));
        }
        pipeline
    }

    /// Sends a pipeline, with a WAIT at its end if replicas are asked for. Gives the values, and who has what they say.
    async fn exchange(
        &self,
        session: &mut Session,
        mut pipeline: Pipeline,
        count: usize,
    ) -> redis::RedisResult<(Vec<Value>, u32)> {
        let waits = self.settings.replicas > 0;
        if waits {
            let most = u64::try_from(self.settings.wait.as_millis()).unwrap_or(u64::MAX);
            pipeline.cmd("WAIT").arg(self.settings.replicas).arg(most);
        }
        let all = count + usize::from(waits);
        let mut values = session.connection.send_packed_commands(&pipeline, 0, all).await?;
        let replicas = match waits.then(|| values.pop()).flatten() {
            Some(Value::Int(replicas)) => u32::try_from(replicas).unwrap_or(0),
            _ => 0,
        };
        Ok((values, replicas))
    }

    fn answer(&mut self, waiting: Waiting, value: Option<Value>, replicas: u32) {
        let Waiting { undo, answer, .. } = waiting;
        let required = self.settings.replicas;
        let numbers = match value.map_or_else(
            || Err(Error::Lost("no answer".to_owned())),
            |value| numbers(value, required),
        ) {
            Ok(numbers) => numbers,
            Err(error) => {
                let _ = answer.send(Err(error));
                return;
            }
        };
        let granted = undo.and_then(|undo| undo(&numbers));
        if replicas < required
            && let Some(undo) = &granted
        {
            self.shared.unacknowledged();
            if self.settings.mode == Mode::Strict {
                self.undo.extend(undo.iter().cloned());
                let _ = answer.send(Err(Error::NotReplicated { replicas, required }));
                return;
            }
        }
        // Who asked is gone: nobody holds what was granted.
        if answer.send(Ok(Raw { numbers, replicas })).is_err() {
            self.undo.extend(granted.into_iter().flatten());
        }
    }
}

/// EVALSHA or EVAL, with the run id of the server that the connection is to.
fn command(name: &str, script: &str, call: &Call, session: &Session) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(call.keys.len()).arg(&call.keys);
    for (place, argument) in call.args.iter().enumerate() {
        if place == Call::RUN_ID {
            command.arg(&session.run_id);
        } else {
            command.arg(argument);
        }
    }
    command
}

fn fail(batch: &mut Vec<Waiting>, error: impl Fn() -> Error) {
    for waiting in batch.drain(..) {
        let _ = waiting.answer.send(Err(error()));
    }
}

fn kind(value: &Value) -> Option<ErrorKind> {
    match value {
        Value::ServerError(error) => error.kind().map(ErrorKind::Server),
        _ => None,
    }
}

fn no_script(value: &Value) -> bool {
    kind(value) == Some(ErrorKind::Server(ServerErrorKind::NoScript))
}

/// Answers of a server that has to be left for another.
fn not_primary(value: &Value) -> bool {
    matches!(
        kind(value),
        Some(ErrorKind::Server(
            ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::ClusterDown
        ))
    )
}

fn numbers(value: Value, required: u32) -> Result<Vec<i64>, Error> {
    match value {
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::Int(number) => Ok(number),
                other => Err(Error::Server(format!("a script answered {other:?}"))),
            })
            .collect(),
        Value::ServerError(error) if error.code() == "NOREPLICAS" => Err(Error::NotReplicated {
            replicas: 0,
            required,
        }),
        Value::ServerError(error) => Err(Error::Server(error.to_string())),
        other => Err(Error::Server(format!("a script answered {other:?}"))),
    }
}
