//! What is written of leases, read without a script, whose answers are whole numbers: for a holder that was restarted, and for
//! whoever puts limits in force. Each call opens a connection of its own, as they are rare and a kept one might be to a
//! server that is the primary no more.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd, pipe};

use super::connect::connect;
use super::{Client, Error};
use crate::keys::Keyspace;
use crate::lease::{Details, LeaseId, Source};
use crate::model::STEP_MS;

/// Most reservations read in one pipeline.
const PIECE: usize = 500;

/// A lease as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub id: LeaseId,
    /// Whose slot it has.
    pub source: Source,
    /// How long it lives from now without a heartbeat.
    pub left_ms: u64,
    /// The sequence of its grant.
    pub seq: u64,
    /// What people see of it.
    pub details: Details,
    /// When it was granted.
    pub reserved_at: String,
}

impl Client {
    /// The sources in force, in the order of the call that set them (`known` of
    /// [`SetLimits`](crate::request::SetLimits)).
    ///
    /// # Errors
    /// When the primary cannot be reached.
    pub async fn sources(&self) -> Result<Vec<Source>, Error> {
        let mut connection = self.reader().await?;
        in_force(&mut connection, &self.settings.space)
            .await
            .map_err(|error| lost(&error))
    }

    /// The live leases of all sources in force. Tokens of blocks, which nobody uses yet, are not among them, nor is a lease whose
    /// description has ended ([`Bare`](crate::request::Code::Bare)).
    ///
    /// # Errors
    /// When the primary cannot be reached.
    pub async fn held(&self) -> Result<Vec<Held>, Error> {
        let mut connection = self.reader().await?;
        let mut all = Vec::new();
        for source in in_force(&mut connection, &self.settings.space)
            .await
            .map_err(|error| lost(&error))?
        {
            all.extend(
                of_source(&mut connection, &self.settings.space, &source)
                    .await
                    .map_err(|error| lost(&error))?,
            );
        }
        Ok(all)
    }

    async fn reader(&self) -> Result<MultiplexedConnection, Error> {
        match connect(&self.settings).await {
            Ok(session) => Ok(session.connection),
            Err(error) => Err(Error::Unreachable(error.to_string())),
        }
    }
}

fn lost(error: &redis::RedisError) -> Error {
    Error::Lost(error.to_string())
}

async fn in_force(connection: &mut MultiplexedConnection, space: &Keyspace) -> RedisResult<Vec<Source>> {
    let joined: Option<String> = cmd("HGET")
        .arg(space.key("quota"))
        .arg("sources")
        .query_async(connection)
        .await?;
    let joined = joined.unwrap_or_default();
    Ok(joined
        .split(',')
        .filter_map(|code| Source::new(code).ok())
        .collect())
}

async fn of_source(
    connection: &mut MultiplexedConnection,
    space: &Keyspace,
    source: &Source,
) -> RedisResult<Vec<Held>> {
    type Clock = (Option<i64>, Option<i64>);
    let ((seconds, micros), (last, offset), deadlines): ((i64, i64), Clock, Vec<(String, i64)>) = pipe()
        .cmd("TIME")
        .cmd("HMGET")
        .arg(space.key("clock"))
        .arg(&["last", "offset"])
        .cmd("ZRANGE")
        .arg(space.key(format!("lease:{source}")))
        .arg(&["0", "-1", "WITHSCORES"])
        .query_async(connection)
        .await?;
    let wall = seconds * 1_000 + micros / 1_000;
    let last = last.unwrap_or(wall);
    // As `lease_time` of the prelude: never back, and no further than a step.
    let now = (wall - offset.unwrap_or(0)).clamp(last, last + STEP_MS);
    let live: Vec<(LeaseId, u64)> = deadlines
        .into_iter()
        .filter_map(|(id, deadline)| {
            let left = u64::try_from(deadline - now).ok().filter(|&left| left > 0)?;
            Some((id.parse().ok()?, left))
        })
        .collect();
    let mut held = Vec::with_capacity(live.len());
    for piece in live.chunks(PIECE) {
        let mut ask = pipe();
        for (id, _) in piece {
            ask.cmd("HGETALL").arg(space.key(format!("reservation:{id}")));
        }
        let written: Vec<HashMap<String, String>> = ask.query_async(connection).await?;
        let leases = piece.iter().zip(written);
        held.extend(leases.filter_map(|((id, left_ms), fields)| described(*id, source, *left_ms, fields)));
    }
    Ok(held)
}

fn described(
    id: LeaseId,
    source: &Source,
    left_ms: u64,
    mut fields: HashMap<String, String>,
) -> Option<Held> {
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    if take("kind") != "stream" {
        return None;
    }
    Some(Held {
        id,
        source: source.clone(),
        left_ms,
        seq: take("seq").parse().ok()?,
        details: Details {
            camera: take("camera_id"),
            user: take("user_id"),
            client_ip: take("client_ip"),
            holder: take("holder"),
            identity: take("identity"),
        },
        reserved_at: take("reserved_at"),
    })
}
