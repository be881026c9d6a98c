//! The reference: the numbers that the scripts must answer, in as few words as can be had. A lease is live while its
//! deadline is to come; sets, mirrors and keys that expire are how the scripts do it, and no concern of this file.

use std::collections::BTreeMap;

use crate::lease::{LeaseId, Source};
use crate::request::{
    Code, EndGrace, Heartbeat, LeaseBlock, Limit, Reclaim, Release, Reserve, SetLimits, Stats, Sweep,
};

/// How far the lease clock goes at a time.
pub const STEP_MS: i64 = 5_000;
const UNKNOWN_SOURCE: [i64; 2] = [-3, 0];

/// A dataset and the server that has it. Numbers are signed as the scripts' are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Model {
    wall: i64,
    /// The server's run id.
    pub run_id: String,
    /// How long a grace takes.
    pub grace: i64,
    clock: Option<Clock>,
    leases: BTreeMap<LeaseId, Lease>,
    notes: BTreeMap<LeaseId, Note>,
    unreaped: BTreeMap<Source, i64>,
    total: Option<i64>,
    limits: BTreeMap<Source, Limit>,
    known: Vec<Source>,
    generation: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Clock {
    run_id: String,
    last: i64,
    offset: i64,
    grace_end: i64,
    epoch: i64,
    seq: i64,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Whose slot it has.
    pub source: Source,
    /// When it ends, on the lease clock.
    pub deadline: i64,
}

/// What is written of a lease, which the server's clock ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Note {
    seq: i64,
    token: bool,
    until: i64,
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Model {
    /// Sets the server's clock, which ends what is written of leases.
    pub fn set_wall(&mut self, wall: i64) {
        self.wall = wall;
        self.notes.retain(|_, note| note.until >= wall);
    }

    /// The server's clock.
    pub fn wall(&self) -> i64 {
        self.wall
    }

    /// Moves the clock on. Gives the time, how long grace goes on, its epoch, and how many leases of `sources` are over.
    fn step<'a>(&mut self, sources: impl IntoIterator<Item = &'a Source>) -> (i64, [i64; 3]) {
        let first = || Clock {
            last: self.wall,
            ..Clock::default()
        };
        let mut clock = self.clock.take().unwrap_or_else(first);
        let now = (self.wall - clock.offset).clamp(clock.last, clock.last + STEP_MS);
        if self.wall - clock.offset > now || clock.run_id != self.run_id {
            clock.epoch = (clock.epoch + 1).max(self.wall);
            clock.grace_end = now + self.grace;
            clock.seq = clock.seq.max(self.wall * 1_000);
            clock.run_id.clone_from(&self.run_id);
        }
        (clock.last, clock.offset) = (now, self.wall - now);
        for lease in self.leases.values().filter(|lease| lease.deadline <= now) {
            *self.unreaped.entry(lease.source.clone()).or_default() += 1;
        }
        self.leases.retain(|_, lease| lease.deadline > now);
        let reaped = sources
            .into_iter()
            .map(|source| self.unreaped.remove(source).unwrap_or(0))
            .sum();
        let head = [(clock.grace_end - now).max(0), clock.epoch, reaped];
        self.clock = Some(clock);
        (now, head)
    }

    fn raise_seq(&mut self, by: i64, at_least: i64) -> i64 {
        self.clock.as_mut().map_or(0, |clock| {
            clock.seq = (clock.seq + by).max(at_least);
            clock.seq
        })
    }

    fn count(&self, source: &Source) -> i64 {
        self.leases
            .values()
            .map(|lease| i64::from(lease.source == *source))
            .sum()
    }

    fn all(&self) -> i64 {
        signed(self.leases.len() as u64)
    }

    /// Count and limit of the source, and of all.
    fn usage(&self, source: &Source) -> [i64; 4] {
        let limit = self.limits.get(source).map_or(-1, |limit| signed(limit.slots));
        [self.count(source), limit, self.all(), self.total.unwrap_or(-1)]
    }

    fn held(&self, id: LeaseId, source: &Source) -> Option<i64> {
        self.leases
            .get(&id)
            .filter(|lease| lease.source == *source)
            .map(|lease| lease.deadline)
    }

    /// Gives a lease this deadline or its later one, and says how long it lives.
    fn extend(&mut self, id: LeaseId, source: &Source, now: i64, ttl: u64) -> i64 {
        let deadline = self.held(id, source).unwrap_or(0).max(now + signed(ttl));
        let source = source.clone();
        self.leases.insert(id, Lease { source, deadline });
        deadline - now
    }

    fn note(&mut self, id: LeaseId, seq: i64, token: bool, life: i64) {
        let until = self.wall + life;
        self.notes.insert(id, Note { seq, token, until });
    }

    fn forget(&mut self, id: LeaseId) {
        self.leases.remove(&id);
        self.notes.remove(&id);
    }

    /// The limit, urgent slots and total's limit.
    fn limit(&self, source: &Source) -> Option<(i64, i64, i64)> {
        let limit = self.limits.get(source)?;
        Some((signed(limit.slots), signed(limit.urgent), self.total?))
    }

    /// R1.3-11.
    pub fn reserve(&mut self, wish: &Reserve) -> Vec<i64> {
        let Some((limit, urgent, total)) = self.limit(&wish.source) else {
            return UNKNOWN_SOURCE.to_vec();
        };
        let (now, head) = self.step([&wish.source]);
        let count = self.count(&wish.source);
        let held = self.held(wish.id, &wish.source);
        let code = match held {
            Some(_) => Code::Again,
            None if self.leases.contains_key(&wish.id) => Code::Elsewhere,
            None if head[0] > 0 => Code::Grace,
            None if count >= limit => Code::SourceFull,
            None if !wish.urgent && count >= limit - urgent => Code::UrgentOnly,
            None if self.all() >= total => Code::TotalFull,
            None => Code::Done,
        };
        let (mut left, mut seq) = (held.map_or(0, |deadline| deadline - now), 0);
        if code == Code::Done {
            left = self.extend(wish.id, &wish.source, now, wish.ttl_ms);
        }
        if matches!(code, Code::Done | Code::Again) {
            seq = self.raise_seq(1, 0);
            let stays = |note: &&mut Note| code == Code::Again && !note.token;
            match self.notes.get_mut(&wish.id).filter(stays) {
                Some(note) => note.seq = seq,
                None => self.note(wish.id, seq, false, left + signed(wish.ttl_ms)),
            }
        }
        [&[code as i64], &head[..], &self.usage(&wish.source), &[left, seq]].concat()
    }

    /// R1.3-13.
    pub fn heartbeat(&mut self, request: &Heartbeat) -> Vec<i64> {
        let (now, head) = self.step(request.leases.iter().map(|(_, source)| source));
        let mut answer = [&[0], &head[..]].concat();
        for (id, source) in &request.leases {
            let (mut code, mut left) = (if head[0] > 0 { Code::Reclaim } else { Code::Lost }, 0);
            if self.held(*id, source).is_some() {
                left = self.extend(*id, source, now, request.ttl_ms);
                let until = self.wall + left + signed(request.ttl_ms);
                let noted = self.notes.get_mut(id).map(|note| note.until = until);
                code = noted.map_or(Code::Bare, |()| Code::Done);
            }
            answer.extend([code as i64, left]);
        }
        answer
    }

    /// R1.3-12.
    pub fn release(&mut self, request: &Release) -> Vec<i64> {
        let (_, head) = self.step([&request.source]);
        let meant = |note: &Note| request.seq == 0 || note.seq == signed(request.seq);
        let noted = self.notes.get(&request.id).map_or(request.seq == 0, meant);
        let removed = noted && self.held(request.id, &request.source).is_some();
        if removed {
            self.forget(request.id);
        }
        let left = [self.count(&request.source), self.all(), i64::from(removed)];
        [&[0], &head[..], &left].concat()
    }

    /// After a failover, or of a used token.
    pub fn reclaim(&mut self, request: &Reclaim) -> Vec<i64> {
        let (now, head) = self.step([&request.source]);
        let code = match self.leases.get(&request.id) {
            Some(lease) if lease.source == request.source => Code::Again,
            Some(_) => Code::Elsewhere,
            None if head[0] > 0 => Code::Done,
            None => Code::Lost,
        };
        let (mut left, mut seq) = (0, 0);
        if matches!(code, Code::Done | Code::Again) {
            left = self.extend(request.id, &request.source, now, request.ttl_ms);
            seq = signed(request.seq).max(self.notes.get(&request.id).map_or(0, |note| note.seq));
            self.raise_seq(0, seq);
            self.note(request.id, seq, false, left + signed(request.ttl_ms));
        }
        [
            &[code as i64],
            &head[..],
            &self.usage(&request.source),
            &[left, seq],
        ]
        .concat()
    }

    /// A block of tokens: a tenth of what is free, none above 80 % use, none of a limit up to 20.
    pub fn lease_block(&mut self, wish: &LeaseBlock) -> Vec<i64> {
        let Some((limit, urgent, total)) = self.limit(&wish.source) else {
            return UNKNOWN_SOURCE.to_vec();
        };
        let (now, head) = self.step([&wish.source]);
        let ids: Vec<LeaseId> = wish.held.iter().chain(&wish.fresh).copied().collect();
        let named_first = |index: usize, id: &LeaseId| ids.iter().position(|one| one == id) == Some(index);
        let is_held = |(index, id): (usize, &LeaseId)| {
            let lease =
                self.held(*id, &wish.source).is_some() && self.notes.get(id).is_none_or(|note| note.token);
            index < wish.held.len() && named_first(index, id) && lease
        };
        let held: Vec<bool> = ids.iter().enumerate().map(is_held).collect();
        let own = signed(held.iter().filter(|held| **held).count() as u64);
        let used = self.count(&wish.source) - own;
        let free = (limit - urgent - used).min(total - (self.all() - own)).max(0);
        let sized = limit > 20 && used * 10 <= limit * 8;
        let size = i64::from(sized) * (free / 10).min(signed(wish.want));
        let (mut kept, mut seqs) = (0, Vec::new());
        for (index, (id, held)) in ids.iter().zip(held).enumerate() {
            let fresh = index >= wish.held.len() && named_first(index, id) && head[0] == 0;
            let mut seq = 0;
            if kept < size && (held || fresh && !self.leases.contains_key(id)) {
                kept += 1;
                let left = self.extend(*id, &wish.source, now, wish.ttl_ms);
                let noted = self.notes.get(id).filter(|_| held).map(|note| note.seq);
                seq = noted.unwrap_or_else(|| self.raise_seq(1, 0));
                self.note(*id, seq, true, left + signed(wish.ttl_ms));
            } else if held {
                self.forget(*id);
            }
            seqs.push(seq);
        }
        [
            &[0],
            &head[..],
            &self.usage(&wish.source),
            &[signed(wish.ttl_ms)],
            &seqs,
        ]
        .concat()
    }

    /// R1.3-20.
    pub fn sweep(&mut self, request: &Sweep) -> Vec<i64> {
        let (_, head) = self.step(&request.sources);
        let counts: Vec<i64> = request.sources.iter().map(|source| self.count(source)).collect();
        [&[0], &head[..], &[self.all()], &counts].concat()
    }

    /// R1.3-07.
    pub fn set_limits(&mut self, request: &SetLimits) -> Vec<i64> {
        let (_, [grace_left, epoch, _]) = self.step([]);
        if signed(request.generation) < self.generation || request.known != self.known {
            return vec![Code::Stale as i64, grace_left, epoch, self.generation];
        }
        self.generation = signed(request.generation);
        self.total = Some(signed(request.total));
        self.known.clear();
        for (source, limit) in &request.sources {
            self.limits.remove(source);
            if let Some(limit) = limit {
                self.known.push(source.clone());
                self.limits.insert(source.clone(), *limit);
            }
        }
        vec![0, grace_left, epoch, self.generation]
    }

    /// Every holder has reported.
    pub fn end_grace(&mut self, request: &EndGrace) -> Vec<i64> {
        let (_, [grace_left, epoch, _]) = self.step([]);
        match self.clock.as_mut().filter(|_| epoch == signed(request.epoch)) {
            Some(clock) => clock.grace_end = 0,
            None => return vec![Code::Stale as i64, grace_left, epoch],
        }
        vec![0, 0, epoch]
    }

    /// R1.3-17. Changes nothing: what a step would find with the same server, and without the grace that it may begin.
    pub fn stats(&self, request: &Stats) -> Vec<i64> {
        let mut then = self.clone();
        then.clock
            .iter_mut()
            .for_each(|clock| clock.run_id.clone_from(&self.run_id));
        let (now, _) = then.step([]);
        let kept = self.clock.clone().unwrap_or_default();
        let mut answer = vec![
            0,
            (kept.grace_end - now).max(0),
            kept.epoch,
            self.wall,
            self.generation,
        ];
        answer.extend([then.all(), self.total.unwrap_or(-1)]);
        for source in &request.sources {
            let (slots, urgent) = self
                .limits
                .get(source)
                .map_or((-1, 0), |limit| (signed(limit.slots), signed(limit.urgent)));
            answer.extend([then.count(source), slots, urgent]);
        }
        answer
    }

    /// The leases that were live when the last call ended.
    pub fn live(&self) -> &BTreeMap<LeaseId, Lease> {
        &self.leases
    }
}
