//! Answers of scripts, from the whole numbers that they are made of.

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

    fn of(number: i64) -> Option<Self> {
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
    fn signed(&mut self) -> Option<i64> {
        self.0.next().copied()
    }

    fn whole(&mut self) -> Option<u64> {
        self.signed().and_then(|number| u64::try_from(number).ok())
    }

    /// −1 stands for none.
    fn or_none(&mut self) -> Option<Option<u64>> {
        match self.signed()? {
            -1 => Some(None),
            number => u64::try_from(number).ok().map(Some),
        }
    }

    fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    fn rest<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
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

/// What every answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// How much longer nothing new is granted; 0: grants go on.
    pub grace_left_ms: u64,
    /// How many graces there have been: when it is another than before, say again what you hold.
    pub epoch: u64,
    /// Leases of the named sources that were over and are gone.
    pub reaped: u64,
}

impl Head {
    fn take(numbers: &mut Numbers<'_>) -> Option<Self> {
        let head = Self::without_reaped(numbers)?;
        let reaped = numbers.whole()?;
        Some(Self { reaped, ..head })
    }

    fn without_reaped(numbers: &mut Numbers<'_>) -> Option<Self> {
        Some(Self {
            grace_left_ms: numbers.whole()?,
            epoch: numbers.whole()?,
            reaped: 0,
        })
    }
}

/// How full it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Leases of the source.
    pub count: u64,
    /// Its limit, if one is known.
    pub limit: Option<u64>,
    /// Leases of all sources.
    pub total: u64,
    /// Their limit, if one is known.
    pub total_limit: Option<u64>,
}

impl Usage {
    fn take(numbers: &mut Numbers<'_>) -> Option<Self> {
        Some(Self {
            count: numbers.whole()?,
            limit: numbers.or_none()?,
            total: numbers.whole()?,
            total_limit: numbers.or_none()?,
        })
    }
}

/// What became of a wish for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// What every answer says.
    pub head: Head,
    /// `Done` and `Again` are leases; nothing else is.
    pub code: Code,
    /// How full it is now.
    pub usage: Usage,
    /// How long it lives without a heartbeat; 0 when there is none.
    pub left_ms: u64,
    /// Its sequence: greater than that of every earlier grant; 0 when there is none.
    pub seq: u64,
}

impl Leased {
    pub(super) fn take(code: Code, numbers: &mut Numbers<'_>) -> Option<Self> {
        Some(Self {
            head: Head::take(numbers)?,
            code,
            usage: Usage::take(numbers)?,
            left_ms: numbers.whole()?,
            seq: numbers.whole()?,
        })
    }

    /// Whether there is a lease.
    pub fn holds(&self) -> bool {
        matches!(self.code, Code::Done | Code::Again)
    }
}

/// What became of one heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// `Done`, `Bare`, `Lost` or `Reclaim`.
    pub code: Code,
    /// How long the lease lives from now.
    pub left_ms: u64,
}

/// What became of heartbeats, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beats {
    /// What every answer says.
    pub head: Head,
    /// One each.
    pub beats: Vec<Beat>,
}

impl Beats {
    pub(super) fn take(numbers: &mut Numbers<'_>) -> Option<Self> {
        Some(Self {
            head: Head::take(numbers)?,
            beats: numbers.rest(|numbers| {
                Some(Beat {
                    code: Code::of(numbers.signed()?)?,
                    left_ms: numbers.whole()?,
                })
            })?,
        })
    }
}

/// What became of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// What every answer says.
    pub head: Head,
    /// Leases of the source that are left.
    pub count: u64,
    /// Leases of all sources that are left.
    pub total: u64,
    /// Whether there was one.
    pub removed: bool,
}

impl Released {
    pub(super) fn take(numbers: &mut Numbers<'_>) -> Option<Self> {
        Some(Self {
            head: Head::take(numbers)?,
            count: numbers.whole()?,
            total: numbers.whole()?,
            removed: numbers.whole()? == 1,
        })
    }
}

/// What became of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLeased {
    /// What every answer says.
    pub head: Head,
    /// How full it is now, the block counted in.
    pub usage: Usage,
    /// How long the tokens live from now, at least.
    pub ttl_ms: u64,
    /// The sequence of each id of the request, or `None` of those that are no tokens (any more).
    pub seqs: Vec<Option<u64>>,
}

impl BlockLeased {
    pub(super) fn take(numbers: &mut Numbers<'_>) -> Option<Self> {
        Some(Self {
            head: Head::take(numbers)?,
            usage: Usage::take(numbers)?,
            ttl_ms: numbers.whole()?,
            seqs: numbers.rest(|numbers| numbers.whole().map(|seq| (seq > 0).then_some(seq)))?,
        })
    }
}

/// What a sweep found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// What every answer says.
    pub head: Head,
    /// Leases of all sources.
    pub total: u64,
    /// Leases of each source, in the order of the request.
    pub counts: Vec<u64>,
}

impl Swept {
    pub(super) fn take(numbers: &mut Numbers<'_>) -> Option<Self> {
        Some(Self {
            head: Head::take(numbers)?,
            total: numbers.whole()?,
            counts: numbers.rest(Numbers::whole)?,
        })
    }
}

/// What became of limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsSet {
    /// What every answer says.
    pub head: Head,
    /// `Done` or `Stale`.
    pub code: Code,
    /// The generation in force.
    pub generation: u64,
}

impl LimitsSet {
    pub(super) fn take(code: Code, numbers: &mut Numbers<'_>) -> Option<Self> {
        Some(Self {
            head: Head::without_reaped(numbers)?,
            code,
            generation: numbers.whole()?,
        })
    }
}

/// What became of the end of a grace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraceEnded {
    /// What every answer says.
    pub head: Head,
    /// `Done` or `Stale`.
    pub code: Code,
}

impl GraceEnded {
    pub(super) fn take(code: Code, numbers: &mut Numbers<'_>) -> Option<Self> {
        Some(Self {
            head: Head::without_reaped(numbers)?,
            code,
        })
    }
}

/// What is live of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceStats {
    /// Its leases.
    pub count: u64,
    /// Its limit, if one is known.
    pub limit: Option<u64>,
    /// How many of its last free slots only urgent callers may take.
    pub urgent: u64,
}

/// What is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsRead {
    /// What every answer says.
    pub head: Head,
    /// When it was read, by the server's clock.
    pub at_ms: u64,
    /// Generation of the limits in force; 0: none.
    pub generation: u64,
    /// Leases of all sources.
    pub total: u64,
    /// Their limit, if one is known.
    pub total_limit: Option<u64>,
    /// Of each source, in the order of the request.
    pub sources: Vec<SourceStats>,
}

impl StatsRead {
    pub(super) fn take(numbers: &mut Numbers<'_>) -> Option<Self> {
        Some(Self {
            head: Head::without_reaped(numbers)?,
            at_ms: numbers.whole()?,
            generation: numbers.whole()?,
            total: numbers.whole()?,
            total_limit: numbers.or_none()?,
            sources: numbers.rest(|numbers| {
                Some(SourceStats {
                    count: numbers.whole()?,
                    limit: numbers.or_none()?,
                    urgent: numbers.whole()?,
                })
            })?,
        })
    }
}
