//! Conditions as kstatus reads them: one of each type, the transition time moves only when the status flips,
//! `observedGeneration` on each. Pure; the clock is given.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The longest message the API server takes.
const LONGEST_MESSAGE: usize = 32_768;

/// True, False or Unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// Nobody knows yet.
    Unknown,
}

impl Status {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(yes: bool) -> Self {
        if yes { Self::True } else { Self::False }
    }
}

/// A condition as a controller wants it, before times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// CamelCase type.
    pub type_: &'static str,
    /// Its status.
    pub status: Status,
    /// Stable CamelCase reason.
    pub reason: &'static str,
    /// For people: names the object, the field and the way out; never a secret, never a number that moves.
    pub message: String,
}

impl Wanted {
    /// A condition.
    pub fn new(
        type_: &'static str,
        status: impl Into<Status>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_,
            status: status.into(),
            reason,
            message: message.into(),
        }
    }
}

/// The conditions to write: all of `wanted`, each with the transition time of the one in `before` when its status is
/// unchanged, else `now`. Types that are not wanted are left out (server-side apply then removes them).
pub fn settle(
    before: &[Condition],
    wanted: Vec<Wanted>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    wanted
        .into_iter()
        .map(|wanted| {
            let since = before
                .iter()
                .find(|old| old.type_ == wanted.type_ && old.status == wanted.status.as_str())
                .map_or_else(|| Time(now), |old| old.last_transition_time.clone());
            let mut message = wanted.message;
            if message.len() > LONGEST_MESSAGE {
                let end = (0..=LONGEST_MESSAGE)
                    .rev()
                    .find(|&at| message.is_char_boundary(at))
                    .unwrap_or(0);
                message.truncate(end);
            }
            Condition {
                type_: wanted.type_.to_owned(),
                status: wanted.status.as_str().to_owned(),
                reason: wanted.reason.to_owned(),
                message,
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect()
}

/// The condition of a type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of a type is True.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ready(status: Status) -> Vec<Wanted> {
        vec![Wanted::new("Ready", status, "Reason", "message")]
    }

    #[test]
    fn the_time_moves_only_when_the_status_flips() {
        let first = settle(&[], ready(Status::False), Some(1), at(10));
        let same = settle(
            &first,
            vec![Wanted::new("Ready", false, "Other", "new text")],
            Some(2),
            at(20),
        );
        assert_eq!(same[0].last_transition_time.0, at(10));
        assert_eq!(
            (same[0].reason.as_str(), same[0].observed_generation),
            ("Other", Some(2))
        );
        let flipped = settle(&same, ready(Status::True), Some(2), at(30));
        assert_eq!(flipped[0].last_transition_time.0, at(30));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let wanted = vec![Wanted::new("Ready", true, "Reason", "ع".repeat(LONGEST_MESSAGE))];
        let message = &settle(&[], wanted, None, at(0))[0].message;
        assert!(message.len() <= LONGEST_MESSAGE && message.ends_with('ع'));
    }

    proptest! {
        #[test]
        fn settling_twice_changes_nothing(status in prop_oneof![Just(Status::True), Just(Status::False), Just(Status::Unknown)],
                                          generation in proptest::option::of(0_i64..9), later in 0_i64..1000) {
            let once = settle(&[], ready(status), generation, at(0));
            prop_assert_eq!(settle(&once, ready(status), generation, at(later)), once);
        }
    }
}
