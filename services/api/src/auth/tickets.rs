//! One-time tickets: a WebSocket can't carry a header, and a token in an address would end up in logs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use marsad_identity::Caller;

/// How long a ticket waits to be used.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30);
/// Tickets at once; the oldest goes first.
const MOST: usize = 10_000;

#[derive(Debug)]
struct Ticket {
    caller: Caller,
    expires: Instant,
}

/// Tickets given out and not used yet. They live in this process: api runs once until a shared store holds them.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<String, Ticket>>);

impl Tickets {
    /// A ticket of 256 random bits for this caller.
    pub(crate) fn issue(&self, caller: Caller, now: Instant) -> String {
        let name = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= MOST {
            tickets.retain(|_, ticket| ticket.expires > now);
        }
        if tickets.len() >= MOST {
            let oldest = tickets
                .iter()
                .min_by_key(|(_, ticket)| ticket.expires)
                .map(|(name, _)| name.clone());
            oldest.and_then(|name| tickets.remove(&name));
        }
        tickets.insert(
            name.clone(),
            Ticket {
                caller,
                expires: now + LIFETIME,
            },
        );
        name
    }

    /// Whose ticket it is; it is gone afterwards.
    pub(crate) fn redeem(&self, ticket: &str, now: Instant) -> Option<Caller> {
        let ticket = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(ticket)?;
        (ticket.expires > now).then_some(ticket.caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn caller(id: &str) -> Caller {
        Caller {
            id: id.into(),
            name: id.into(),
            token_id: "t".into(),
            expires_at: Timestamp::MAX,
        }
    }

    #[test]
    fn a_ticket_works_once_and_for_thirty_seconds() {
        let tickets = Tickets::default();
        let now = Instant::now();
        let (one, two) = (tickets.issue(caller("a"), now), tickets.issue(caller("b"), now));
        assert_eq!(one.len(), 43);
        assert_ne!(one, two);
        assert_eq!(tickets.redeem(&one, now).unwrap().id, "a");
        assert!(tickets.redeem(&one, now).is_none(), "used");
        assert!(tickets.redeem(&two, now + LIFETIME).is_none(), "too old");
        assert!(tickets.redeem(&two, now).is_none(), "and gone");
        assert!(tickets.redeem("invented", now).is_none());
    }

    #[test]
    fn tickets_are_bounded_and_the_newest_wins() {
        let tickets = Tickets::default();
        let now = Instant::now();
        let first = tickets.issue(caller("first"), now);
        for _ in 1..MOST {
            tickets.issue(caller("x"), now + Duration::from_secs(1));
        }
        let last = tickets.issue(caller("last"), now + Duration::from_secs(2));
        assert!(tickets.redeem(&first, now).is_none());
        assert_eq!(tickets.redeem(&last, now).unwrap().id, "last");
        assert_eq!(tickets.0.lock().unwrap().len(), MOST - 1);
    }
}
