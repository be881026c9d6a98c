//! What goes to a script and what comes back, typed. Times are milliseconds of the lease clock.

mod answer;
mod call;
mod code;

pub use answer::{
    Beat, Beats, BlockLeased, GraceEnded, Head, Leased, LimitsSet, Released, SourceStats, StatsRead, Swept,
    Usage,
};
pub use call::{Call, Request, Writer};
pub use code::{Code, Numbers, Refused, Undecodable, read};

use crate::lease::{Details, LeaseId, Source};
use crate::script::Script;

/// Asks for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// The lease's name; the same again is the same lease.
    pub id: LeaseId,
    /// Whose slot it takes.
    pub source: Source,
    /// How long it lives without a heartbeat.
    pub ttl_ms: u64,
    /// May take a slot that is kept for urgent callers.
    pub urgent: bool,
    /// What people see.
    pub details: Details,
}

impl Request for Reserve {
    type Answer = Leased;
    const SCRIPT: Script = Script::Reserve;

    fn write(&self, writer: &mut Writer<'_>) {
        writer.keys_of(&self.source, &["lease", "limit", "count"]);
        writer.key("quota");
        writer.keys_of_lease(self.id);
        writer.arg(&self.source);
        writer.arg(self.id);
        writer.arg(self.ttl_ms);
        writer.arg(u8::from(self.urgent));
        writer.details(&self.details);
    }

    fn lease(&self) -> Option<LeaseId> {
        Some(self.id)
    }

    fn may_grant(&self) -> bool {
        true
    }

    fn granted(&self, answer: &Leased) -> Option<Vec<Release>> {
        let (id, source) = (self.id, self.source.clone());
        match answer.code {
            Code::Done => Some(vec![Release {
                id,
                source,
                seq: answer.seq,
            }]),
            Code::Again => Some(Vec::new()),
            _ => None,
        }
    }

    fn answer(code: Code, numbers: &mut Numbers<'_>) -> Option<Leased> {
        Leased::take(code, numbers)
    }
}

/// Renews leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// How long they live from now, if that is longer than they do anyway.
    pub ttl_ms: u64,
    /// Which.
    pub leases: Vec<(LeaseId, Source)>,
}

impl Request for Heartbeat {
    type Answer = Beats;
    const SCRIPT: Script = Script::Heartbeat;

    fn write(&self, writer: &mut Writer<'_>) {
        let mut sources: Vec<&Source> = self.leases.iter().map(|(_, source)| source).collect();
        sources.sort();
        sources.dedup();
        writer.key("lease:total");
        writer.key("count:total");
        writer.arg(self.ttl_ms);
        writer.arg(sources.len());
        for source in &sources {
            writer.key(format_args!("lease:{source}"));
            writer.key(format_args!("count:{source}"));
            writer.arg(source);
        }
        for (id, source) in &self.leases {
            writer.keys_of_lease(*id);
            writer.arg(id);
            writer.arg(
                sources
                    .iter()
                    .position(|one| *one == source)
                    .map_or(0, |place| place + 1),
            );
        }
    }

    fn answer(_: Code, numbers: &mut Numbers<'_>) -> Option<Beats> {
        Beats::take(numbers)
    }
}

/// Ends a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Which.
    pub id: LeaseId,
    /// Whose slot it has.
    pub source: Source,
    /// The sequence of the grant that it ends; 0 ends whichever there is.
    pub seq: u64,
}

impl Request for Release {
    type Answer = Released;
    const SCRIPT: Script = Script::Release;

    fn write(&self, writer: &mut Writer<'_>) {
        writer.keys_of(&self.source, &["lease", "count"]);
        writer.keys_of_lease(self.id);
        writer.arg(&self.source);
        writer.arg(self.id);
        writer.arg(self.seq);
    }

    fn lease(&self) -> Option<LeaseId> {
        Some(self.id)
    }

    fn answer(_: Code, numbers: &mut Numbers<'_>) -> Option<Released> {
        Released::take(numbers)
    }
}

/// Says again what was granted: after a failover, or of a token that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reclaim {
    /// The lease.
    pub id: LeaseId,
    /// Whose slot it has.
    pub source: Source,
    /// How long it lives from now.
    pub ttl_ms: u64,
    /// The sequence that it was granted with.
    pub seq: u64,
    /// What people see.
    pub details: Details,
    /// When it was granted, for people.
    pub reserved_at: String,
}

impl Request for Reclaim {
    type Answer = Leased;
    const SCRIPT: Script = Script::Reclaim;

    fn write(&self, writer: &mut Writer<'_>) {
        writer.keys_of(&self.source, &["lease", "limit", "count"]);
        writer.keys_of_lease(self.id);
        writer.arg(&self.source);
        writer.arg(self.id);
        writer.arg(self.ttl_ms);
        writer.arg(self.seq);
        writer.details(&self.details);
        writer.arg(&self.reserved_at);
    }

    fn lease(&self) -> Option<LeaseId> {
        Some(self.id)
    }

    fn answer(code: Code, numbers: &mut Numbers<'_>) -> Option<Leased> {
        Leased::take(code, numbers)
    }
}

/// Leases, renews and gives back tokens to grant from while Valkey is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseBlock {
    /// Whose slots.
    pub source: Source,
    /// How long they live from now.
    pub ttl_ms: u64,
    /// How many at most; 0 gives all back.
    pub want: u64,
    /// The service replica.
    pub holder: String,
    /// Tokens it has and has not used.
    pub held: Vec<LeaseId>,
    /// Names for new ones.
    pub fresh: Vec<LeaseId>,
}

impl Request for LeaseBlock {
    type Answer = BlockLeased;
    const SCRIPT: Script = Script::Block;

    fn write(&self, writer: &mut Writer<'_>) {
        writer.keys_of(&self.source, &["lease", "limit", "count"]);
        writer.key("quota");
        writer.arg(&self.source);
        writer.arg(self.ttl_ms);
        writer.arg(self.want);
        writer.arg(&self.holder);
        writer.arg(self.held.len());
        for id in self.held.iter().chain(&self.fresh) {
            writer.key(format_args!("reservation:{id}"));
            writer.arg(id);
        }
    }

    fn may_grant(&self) -> bool {
        !self.fresh.is_empty()
    }

    fn granted(&self, answer: &BlockLeased) -> Option<Vec<Release>> {
        let fresh = self.fresh.iter().zip(answer.seqs.iter().skip(self.held.len()));
        let releases: Vec<Release> = fresh
            .filter_map(|(id, seq)| {
                Some(Release {
                    id: *id,
                    source: self.source.clone(),
                    seq: (*seq)?,
                })
            })
            .collect();
        (!releases.is_empty()).then_some(releases)
    }

    fn answer(_: Code, numbers: &mut Numbers<'_>) -> Option<BlockLeased> {
        BlockLeased::take(numbers)
    }
}

/// Ends what is over; with no source it is the tick that keeps the lease clock going.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sweep {
    /// Which sources.
    pub sources: Vec<Source>,
    /// How many samples their histories keep; 0 takes none.
    pub samples: u64,
}

impl Request for Sweep {
    type Answer = Swept;
    const SCRIPT: Script = Script::Sweep;

    fn write(&self, writer: &mut Writer<'_>) {
        writer.key("lease:total");
        writer.key("count:total");
        writer.arg(self.samples);
        for source in &self.sources {
            writer.key(format_args!("lease:{source}"));
            writer.key(format_args!("count:{source}"));
            writer.key(format_args!("stats:{source}:history"));
            writer.arg(source);
        }
    }

    fn answer(_: Code, numbers: &mut Numbers<'_>) -> Option<Swept> {
        Swept::take(numbers)
    }
}

/// The limit of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Most leases.
    pub slots: u64,
    /// How many of its last free slots only urgent callers may take.
    pub urgent: u64,
}

/// Puts limits in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetLimits {
    /// Generation of the StreamQuota; an older one changes nothing.
    pub generation: u64,
    /// Most leases of all sources together.
    pub total: u64,
    /// The sources that were in force, in the order of the call that set them.
    pub known: Vec<Source>,
    /// What is in force from now; `None` forgets a source.
    pub sources: Vec<(Source, Option<Limit>)>,
}

impl Request for SetLimits {
    type Answer = LimitsSet;
    const SCRIPT: Script = Script::SetLimits;

    fn write(&self, writer: &mut Writer<'_>) {
        writer.key("quota");
        writer.key("limit:total");
        writer.arg(self.generation);
        writer.arg(self.total);
        let known: Vec<&str> = self.known.iter().map(Source::as_str).collect();
        writer.arg(known.join(","));
        for (source, limit) in &self.sources {
            writer.key(format_args!("limit:{source}"));
            writer.arg(source);
            match limit {
                Some(limit) => writer.arg(limit.slots),
                None => writer.arg("gone"),
            }
            writer.arg(limit.map_or(0, |limit| limit.urgent));
        }
    }

    fn answer(code: Code, numbers: &mut Numbers<'_>) -> Option<LimitsSet> {
        LimitsSet::take(code, numbers)
    }
}

/// Ends the grace of an epoch: every holder has reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndGrace {
    /// Which.
    pub epoch: u64,
}

impl Request for EndGrace {
    type Answer = GraceEnded;
    const SCRIPT: Script = Script::EndGrace;

    fn write(&self, writer: &mut Writer<'_>) {
        writer.arg(self.epoch);
    }

    fn answer(code: Code, numbers: &mut Numbers<'_>) -> Option<GraceEnded> {
        GraceEnded::take(code, numbers)
    }
}

/// Reads what is live; a replica answers it as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Of which sources.
    pub sources: Vec<Source>,
}

impl Request for Stats {
    type Answer = StatsRead;
    const SCRIPT: Script = Script::Stats;

    fn write(&self, writer: &mut Writer<'_>) {
        writer.key("quota");
        writer.key("lease:total");
        writer.key("limit:total");
        for source in &self.sources {
            writer.key(format_args!("lease:{source}"));
            writer.key(format_args!("limit:{source}"));
            writer.arg(source);
        }
    }

    fn answer(_: Code, numbers: &mut Numbers<'_>) -> Option<StatsRead> {
        StatsRead::take(numbers)
    }
}
