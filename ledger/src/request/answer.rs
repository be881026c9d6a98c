//! Answers of scripts.

use super::code::{Code, Numbers};

/// What every answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// How much longer nothing new is granted; 0: grants go on.
    pub grace_left_ms: u64,
    /// Which grace was the last to begin: when it is another than before, say again what you hold.
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
