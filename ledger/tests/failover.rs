//! The primary dies: no grant is lost, and at no instant are there more holders than slots (R1.3-29, -40).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod valkey;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use marsad_ledger::client::{Client, Error, Place, Settings};
use marsad_ledger::request::{
    Code, EndGrace, Heartbeat, Leased, Limit, Reclaim, Release, Reserve, SetLimits, Sweep,
};
use marsad_ledger::{Details, LeaseId, Source};
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use uuid::Uuid;
use valkey::Valkey;

const PATIENCE: Duration = Duration::from_secs(60);
const TTL_MS: u64 = 3_600_000;

fn metro() -> Source {
    Source::new("METRO").unwrap()
}

fn settings(place: Place) -> Settings {
    Settings {
        connections: 2,
        wait: Duration::from_millis(500),
        // It ends when it is told to.
        grace: Duration::from_secs(3_600),
        pause: Duration::from_millis(5),
        ..Settings::new(place)
    }
}

fn limits(slots: u64) -> SetLimits {
    SetLimits {
        generation: 1,
        total: slots,
        known: vec![],
        sources: vec![(metro(), Some(Limit { slots, urgent: 0 }))],
    }
}

fn wish(id: LeaseId) -> Reserve {
    Reserve {
        id,
        source: metro(),
        ttl_ms: TTL_MS,
        urgent: false,
        details: Details::default(),
    }
}

fn reclaim(id: LeaseId, seq: u64) -> Reclaim {
    Reclaim {
        id,
        source: metro(),
        ttl_ms: TTL_MS,
        seq,
        details: Details::default(),
        reserved_at: String::new(),
    }
}

/// Gives the epoch of the grace that it ends.
async fn end_grace(client: &Client) -> u64 {
    let epoch = client.ask(&Sweep::default()).await.unwrap().answer.head.epoch;
    assert_eq!(
        client.ask(&EndGrace { epoch }).await.unwrap().answer.code,
        Code::Done
    );
    epoch
}

/// The most holders at any instant, from when each heard that it holds to when it stopped.
fn most_holders(history: &[(Instant, Instant)]) -> usize {
    let mut edges: Vec<(Instant, i32)> = Vec::new();
    for (from, to) in history {
        edges.extend([(*from, 1), (*to, -1)]);
    }
    // At the same instant the one that stops is counted out first.
    edges.sort();
    let mut holders = 0;
    let count = |(_, change): &(Instant, i32)| {
        holders += change;
        holders
    };
    edges.iter().map(count).max().unwrap_or(0) as usize
}

#[test]
fn the_interval_checker_sees_one_too_many() {
    let now = Instant::now();
    let at = |from, to| (now + Duration::from_millis(from), now + Duration::from_millis(to));
    assert_eq!(most_holders(&[at(0, 10), at(10, 20), at(5, 8)]), 2);
    assert_eq!(most_holders(&[at(0, 11), at(10, 20), at(5, 12)]), 3);
    assert_eq!(most_holders(&[]), 0);
}

/// What an isolated primary grants, and what its successor does, with and without each guard.
struct Split {
    lost: usize,
    holders: usize,
}

/// Six leases of ten; the replica is promoted behind the primary's back; four more are asked of the old primary, which
/// dies; ten are asked of the new one, before and after the holders have said what they have.
async fn split(wait: bool, grace: bool) -> Split {
    let mut primary = Valkey::on_port(&[]);
    let replica = primary.replica();
    let settings = |address| Settings {
        replicas: u32::from(wait),
        // It is over as soon as the replica has it: a busy machine is no failure.
        wait: PATIENCE,
        grace: if grace {
            Duration::from_secs(3_600)
        } else {
            Duration::ZERO
        },
        ..settings(Place::Standalone(address))
    };
    let old = Client::start(settings(primary.socket()));
    old.ask(&limits(10)).await.unwrap();
    end_grace(&old).await;
    let mut held = BTreeMap::new();
    let mut granted = |id: LeaseId, leased: &Leased| leased.holds() && held.insert(id, leased.seq).is_none();
    let ids: Vec<LeaseId> = (0..30).map(|id| LeaseId(Uuid::from_u128(id))).collect();
    for id in &ids[..6] {
        assert!(granted(*id, &old.ask(&wish(*id)).await.unwrap().answer));
    }
    primary.until_in_step();
    let _: () = redis::cmd("REPLICAOF")
        .arg("NO")
        .arg("ONE")
        .query(&mut replica.connection())
        .unwrap();
    let short = Client::start(Settings {
        wait: Duration::from_millis(5),
        ..settings(primary.socket())
    });
    for id in &ids[6..10] {
        match short.ask(&wish(*id)).await {
            Ok(answered) => assert!(granted(*id, &answered.answer)),
            Err(error) => assert!(matches!(error, Error::NotReplicated { .. }), "{error}"),
        }
    }
    primary.kill();
    primary.follow(&replica);
    replica.until_in_step();
    let new = Client::start(settings(replica.socket()));
    let mut seqs: Vec<u64> = held.values().copied().collect();
    let mut newcomers = 0;
    for id in &ids[10..20] {
        newcomers += usize::from(new.ask(&wish(*id)).await.unwrap().answer.holds());
    }
    let mut lost = 0;
    for (id, seq) in &held {
        lost += usize::from(new.ask(&reclaim(*id, *seq)).await.unwrap().answer.code != Code::Again);
    }
    end_grace(&new).await;
    for id in &ids[20..] {
        let leased = new.ask(&wish(*id)).await.unwrap().answer;
        if leased.holds() {
            newcomers += 1;
            seqs.push(leased.seq);
        }
    }
    seqs.sort_unstable();
    assert!(
        seqs.windows(2).all(|two| two[0] < two[1]),
        "a sequence was given out twice: {seqs:?}"
    );
    Split {
        lost,
        holders: held.len() + newcomers,
    }
}

#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_3_40_a_primary_that_is_cut_off_grants_nothing_that_is_lost() {
    let Split { lost, holders } = split(true, true).await;
    assert_eq!((lost, holders), (0, 10));
}

/// Each guard alone is enough here; without both there are four too many.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn without_wait_grants_are_lost_and_without_grace_as_well_there_are_too_many() {
    let Split { lost, holders } = split(false, true).await;
    assert_eq!(
        (lost, holders),
        (4, 10),
        "reclaimed before anything new is granted"
    );
    let Split { lost, holders } = split(true, false).await;
    assert_eq!((lost, holders), (0, 10));
    let Split { lost, holders } = split(false, false).await;
    assert_eq!((lost, holders), (4, 14));
}

/// A service replica: what it granted, by id and sequence.
struct Service {
    client: Client,
    /// Written to while the holders' leases are reclaimed: none of them stops meanwhile.
    held: RwLock<Mutex<BTreeMap<LeaseId, u64>>>,
    history: Mutex<Vec<(Instant, Instant)>>,
    grants: AtomicU64,
    /// Reclaims that brought a lease back: it had been lost.
    lost: AtomicU64,
    reclaimed: AtomicU64,
    stopped: AtomicBool,
}

impl Service {
    fn over(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Takes leases, renews each a few times, and releases it, again and again.
    async fn hold(self: Arc<Self>) {
        let mut tick = tokio::time::interval(Duration::from_millis(2));
        while !self.over() {
            let id = LeaseId(Uuid::new_v4());
            let leased = match self.client.ask(&wish(id)).await {
                Ok(answered) if answered.answer.holds() => answered.answer,
                _ => {
                    tick.tick().await;
                    continue;
                }
            };
            let from = Instant::now();
            self.held.read().await.lock().unwrap().insert(id, leased.seq);
            self.grants.fetch_add(1, Ordering::SeqCst);
            // Who holds goes on while the server is away: its deadline is far.
            let mut beats = 0;
            while beats < 3 {
                let beat = Heartbeat {
                    ttl_ms: TTL_MS,
                    leases: vec![(id, metro())],
                };
                if let Ok(answered) = self.client.ask(&beat).await {
                    assert_ne!(answered.answer.beats[0].code, Code::Lost, "a live lease is lost");
                    beats += 1;
                }
                tick.tick().await;
            }
            let held = self.held.read().await;
            held.lock().unwrap().remove(&id);
            self.history.lock().unwrap().push((from, Instant::now()));
            while self
                .client
                .ask(&Release {
                    id,
                    source: metro(),
                    seq: 0,
                })
                .await
                .is_err()
                && !self.over()
            {
                tick.tick().await;
            }
        }
    }

    /// Sees a new epoch and says again what is held in it; gives the epoch.
    async fn report(&self, before: u64) -> u64 {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            tick.tick().await;
            let Ok(answered) = self.client.ask(&Sweep::default()).await else {
                continue;
            };
            if answered.answer.head.epoch == before {
                continue;
            }
            let held = self.held.write().await;
            let leases = held.lock().unwrap().clone();
            // All at once: they go in a few batches, each of which waits for replicas that are not there yet.
            let again = leases.into_iter().map(|(id, seq)| async move {
                loop {
                    if let Ok(answered) = self.client.ask(&reclaim(id, seq)).await {
                        break answered.answer;
                    }
                    tokio::task::yield_now().await;
                }
            });
            for leased in join_all(again).await {
                self.reclaimed.fetch_add(1, Ordering::SeqCst);
                self.lost
                    .fetch_add(u64::from(leased.code != Code::Again), Ordering::SeqCst);
            }
            return answered.answer.head.epoch;
        }
    }
}

/// Asks `look` until it says yes.
async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let end = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tick.tick().await;
    }
}

/// Two services at full load, a primary that is killed, a Sentinel that promotes its replica.
async fn killed_under_load() {
    const SLOTS: u64 = 20;
    let mut primary = Valkey::on_port(&[]);
    let replica = primary.replica();
    let sentinel = Valkey::sentinel(primary.port.unwrap());
    let mut watch = sentinel.port_connection();
    until("Sentinel to know the replica", || {
        let known: redis::Value = redis::cmd("SENTINEL")
            .arg("replicas")
            .arg("marsad")
            .query(&mut watch)
            .unwrap();
        known.as_sequence().is_some_and(|replicas| replicas.len() == 1)
    })
    .await;
    let place = Place::Sentinel {
        sentinels: vec![sentinel.address()],
        service: "marsad".to_owned(),
    };
    let services = [0, 1].map(|_| {
        Arc::new(Service {
            client: Client::start(settings(place.clone())),
            held: RwLock::default(),
            history: Mutex::default(),
            grants: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            reclaimed: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        })
    });
    let [first, second] = &services;
    first.client.ask(&limits(SLOTS)).await.unwrap();
    let opened = end_grace(&first.client).await;
    let mut holders = JoinSet::new();
    for index in 0..40 {
        holders.spawn(services[index % 2].clone().hold());
    }
    let grants = || {
        services
            .iter()
            .map(|service| service.grants.load(Ordering::SeqCst))
            .sum::<u64>()
    };
    until("grants before the kill", || grants() > 500).await;
    primary.kill();
    let (killed, before) = (Instant::now(), grants());
    let (epoch, other) = tokio::join!(first.report(opened), second.report(opened));
    assert!(
        epoch > opened && epoch == other,
        "{opened}, then {epoch} and {other}"
    );
    let reported = killed.elapsed();
    let in_between = grants() - before;
    primary.follow(&replica);
    assert_eq!(
        first.client.ask(&EndGrace { epoch }).await.unwrap().answer.code,
        Code::Done
    );
    until("grants after the failover", || {
        grants() > before + in_between + 500
    })
    .await;
    for service in &services {
        service.stopped.store(true, Ordering::SeqCst);
    }
    while let Some(ended) = holders.join_next().await {
        ended.unwrap();
    }
    let history: Vec<(Instant, Instant)> = services
        .iter()
        .flat_map(|service| service.history.lock().unwrap().clone())
        .collect();
    let sum = |figure: fn(&Service) -> &AtomicU64| -> u64 {
        services
            .iter()
            .map(|service| figure(service).load(Ordering::SeqCst))
            .sum()
    };
    let (most, lost, reclaimed) = (
        most_holders(&history),
        sum(|service| &service.lost),
        sum(|service| &service.reclaimed),
    );
    println!(
        "{} grants, {reclaimed} reclaimed {reported:?} after the kill, {lost} lost, {most} holders of {SLOTS}",
        grants()
    );
    assert!(reclaimed > 0, "nobody held anything when the primary was killed");
    assert_eq!(lost, 0);
    assert_eq!(most, SLOTS as usize, "all slots in use, and no more");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_3_40_a_primary_killed_under_load_loses_no_grant() {
    killed_under_load().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the engines, and minutes: --soak"]
async fn r1_3_40_a_primary_killed_under_load_loses_no_grant_soak() {
    for _ in 0..20 {
        killed_under_load().await;
    }
}
