//! The codes that answers begin with, and the numbers that they are made of.

use super::Request;

/// What became of a request; the numbers are those of the scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Done: granted, renewed, released, reclaimed.
    Done,
    /// It was there already.
    Again,
    /// The source has no free slot.
    SourceFull,
    /// All sources together have no free slot.
    TotalFull,
    /// The free slots of the source are kept for urgent callers.
    UrgentOnly,
    /// In grace nothing new is granted.
    Grace,
    /// There is no such lease (any more): stop, or ask anew.
    Lost,
    /// There is no such lease, and grace is on: reclaim it.
    Reclaim,
    /// Another source has a lease of this name.
    Elsewhere,
    /// Renewed; what people see of it is gone, and a reclaim says it again.
    Bare,
    /// Another generation, epoch or list of sources is in force: nothing changed.
    Stale,
}

impl Code {
    /// Every one, in the order of its number.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Again,
        Self::SourceFull,
        Self::TotalFull,
        Self::UrgentOnly,
        Self::Grace,
        Self::Lost,
        Self::Reclaim,
        Self::Elsewhere,
        Self::Bare,
        Self::Stale,
    ];

    pub(super) fn of(number: i64) -> Option<Self> {
        usize::try_from(number)
            .ok()
            .and_then(|number| Self::ALL.get(number))
            .copied()
    }
}

/// A script refused a call and changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// An argument is not what the script takes.
    #[error("argument {position} is not what the script takes (0: keys, or how many there are)")]
    Malformed {
        /// Its place in ARGV.
        position: i64,
    },
    /// The script has another version than its caller.
    #[error("the script has version {theirs}, its caller another")]
    Version {
        /// The script's.
        theirs: i64,
    },
    /// No limit is set for the source, or none for all together.
    #[error("no limit is known for this source")]
    UnknownSource,
}

/// An answer is not what this script answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a script answered what it should not: {0:?}")]
pub struct Undecodable(pub Vec<i64>);

/// Numbers still to be taken.
#[derive(Debug)]
pub struct Numbers<'a>(std::slice::Iter<'a, i64>);

impl Numbers<'_> {
    pub(super) fn signed(&mut self) -> Option<i64> {
        self.0.next().copied()
    }

    pub(super) fn whole(&mut self) -> Option<u64> {
        self.signed().and_then(|number| u64::try_from(number).ok())
    }

    /// −1 stands for none.
    pub(super) fn or_none(&mut self) -> Option<Option<u64>> {
        match self.signed()? {
            -1 => Some(None),
            number => u64::try_from(number).ok().map(Some),
        }
    }

    fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    pub(super) fn rest<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut all = Vec::new();
        while !self.is_empty() {
            all.push(one(self)?);
        }
        Some(all)
    }
}

/// The answer to a request.
///
/// # Errors
/// When the script refused, or, inside, when the numbers are none of its answers.
pub fn read<R: Request>(numbers: &[i64]) -> Result<Result<R::Answer, Refused>, Undecodable> {
    let wrong = || Undecodable(numbers.to_vec());
    let mut rest = Numbers(numbers.iter());
    let code = match rest.signed().ok_or_else(wrong)? {
        -1 => {
            let position = rest.signed().ok_or_else(wrong)?;
            return Ok(Err(Refused::Malformed { position }));
        }
        -2 => {
            let theirs = rest.signed().ok_or_else(wrong)?;
            return Ok(Err(Refused::Version { theirs }));
        }
        -3 => return Ok(Err(Refused::UnknownSource)),
        number => Code::of(number).ok_or_else(wrong)?,
    };
    let answer = R::answer(code, &mut rest).ok_or_else(wrong)?;
    if !rest.is_empty() {
        return Err(wrong());
    }
    Ok(Ok(answer))
}
