//! The client against real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod valkey;

use std::time::Duration;

use futures::future::join_all;
use marsad_ledger::client::{Address, Circuit, Client, Error, Mode, Place, Settings};
use marsad_ledger::request::{
    Code, Heartbeat, Leased, Limit, Release, Request, Reserve, SetLimits, Stats, Sweep,
};
use marsad_ledger::{Details, Keyspace, LeaseId, Opening, Source};
use tokio::task::JoinSet;
use uuid::Uuid;
use valkey::Valkey;

fn metro() -> Source {
    Source::new("METRO").unwrap()
}

/// Without replicas and without grace: what a test wants of both it says.
fn settings(address: Address) -> Settings {
    Settings {
        replicas: 0,
        grace: Duration::ZERO,
        connections: 3,
        pause: Duration::from_millis(1),
        ..Settings::new(Place::Standalone(address))
    }
}

async fn limit(client: &Client, slots: u64) {
    let set = SetLimits {
        generation: 1,
        total: slots,
        known: vec![],
        sources: vec![(metro(), Some(Limit { slots, urgent: 0 }))],
    };
    assert_eq!(client.ask(&set).await.unwrap().answer.code, Code::Done);
}

fn wish(id: u128) -> Reserve {
    Reserve {
        id: LeaseId(Uuid::from_u128(id)),
        source: metro(),
        ttl_ms: 60_000,
        urgent: false,
        details: Details::default(),
    }
}

async fn reserve(client: &Client, id: u128) -> Result<Leased, Error> {
    client.ask(&wish(id)).await.map(|answered| answered.answer)
}

async fn count(client: &Client) -> u64 {
    let stats = client
        .ask(&Stats {
            sources: vec![metro()],
        })
        .await
        .unwrap()
        .answer;
    assert_eq!(stats.total, stats.sources[0].count);
    stats.total
}

/// Asks until the client has noticed that the server is back.
async fn back(client: &Client) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let ask = async {
        while client.ask(&Sweep::default()).await.is_err() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ask)
        .await
        .expect("the server to be back");
}

/// R1.3-41: many at once, and the last slot goes to one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_3_41_two_hundred_at_once_get_fifty_slots() {
    let server = Valkey::start();
    // Two services, each with its connections.
    let clients = [
        Client::start(settings(server.socket())),
        Client::start(settings(server.socket())),
    ];
    limit(&clients[0], 50).await;
    for round in 0..20 {
        let mut asked = JoinSet::new();
        for id in 0..200 {
            let client = clients[id as usize % 2].clone();
            asked.spawn(async move { reserve(&client, 1_000 * round + id).await.unwrap() });
        }
        let answers = asked.join_all().await;
        let granted: Vec<&Leased> = answers
            .iter()
            .filter(|leased| leased.code == Code::Done)
            .collect();
        assert_eq!(granted.len(), 50);
        assert!(
            answers
                .iter()
                .all(|leased| leased.holds() || leased.code == Code::SourceFull)
        );
        let mut seqs: Vec<u64> = granted.iter().map(|leased| leased.seq).collect();
        seqs.sort_unstable();
        seqs.dedup();
        assert_eq!(seqs.len(), 50, "each grant has a sequence of its own");
        let mut released = JoinSet::new();
        for id in 0..200 {
            let client = clients[(id as usize + 1) % 2].clone();
            let release = Release {
                id: LeaseId(Uuid::from_u128(1_000 * round + id)),
                source: metro(),
                seq: 0,
            };
            released.spawn(async move { client.ask(&release).await.unwrap().answer.removed });
        }
        let removed = released
            .join_all()
            .await
            .into_iter()
            .filter(|removed| *removed)
            .count();
        assert_eq!(removed, 50);
        assert_eq!(count(&clients[0]).await, 0);
    }
}

/// R1.3-26: a server that forgets its scripts is told them again.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_3_26_forgotten_scripts_are_sent_again() {
    let server = Valkey::start();
    let client = Client::start(settings(server.socket()));
    limit(&client, 10).await;
    for id in 0..5 {
        let _: () = redis::cmd("SCRIPT")
            .arg("FLUSH")
            .query(&mut server.connection())
            .unwrap();
        let asked = (0..4).map(|again| reserve(&client, 10 * id + again % 2));
        let codes: Vec<Code> = join_all(asked)
            .await
            .into_iter()
            .map(|leased| leased.unwrap().code)
            .collect();
        assert_eq!(
            codes.iter().filter(|code| **code == Code::Done).count(),
            2,
            "{codes:?}"
        );
    }
    assert_eq!(client.figures().failures, 0);
}

/// Issue 5: a restart with an empty dataset is noticed, never trusted.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_3_29_an_empty_server_is_noticed_and_grants_nothing_in_grace() {
    let mut server = Valkey::start();
    let client = Client::start(Settings {
        grace: Duration::from_secs(3_600),
        ..settings(server.socket())
    });
    limit(&client, 10).await;
    let first = reserve(&client, 1).await.unwrap();
    assert_eq!(first.code, Code::Grace, "a first start is one too");
    server.restart();
    back(&client).await;
    assert!(
        matches!(reserve(&client, 1).await, Err(Error::Refused(_))),
        "no limit is known"
    );
    limit(&client, 10).await;
    let again = reserve(&client, 1).await.unwrap();
    assert_eq!(again.code, Code::Grace);
    assert!(
        again.head.epoch > first.head.epoch,
        "or a holder takes it for the grace that it has reported in"
    );
    assert!(again.head.grace_left_ms > 0);
    let beat = Heartbeat {
        ttl_ms: 60_000,
        leases: vec![(LeaseId(Uuid::from_u128(1)), metro())],
    };
    assert_eq!(
        client.ask(&beat).await.unwrap().answer.beats[0].code,
        Code::Reclaim
    );
}

/// The gateway keeps no run id: the script reads the server's own, which is the one that the client knows.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_caller_without_a_run_id_and_one_with_it_see_one_server() {
    let server = Valkey::start();
    let client = Client::start(settings(server.socket()));
    limit(&client, 10).await;
    let epoch = client.ask(&Sweep::default()).await.unwrap().answer.head.epoch;
    let call = wish(1).call(
        &Keyspace::default(),
        &Opening {
            run_id: String::new(),
            grace_ms: 9_000,
        },
    );
    let mut command = redis::cmd("EVALSHA");
    command
        .arg(call.script.digest())
        .arg(call.keys.len())
        .arg(&call.keys)
        .arg(&call.args);
    let said: Vec<i64> = command.query(&mut server.connection()).unwrap();
    let same = i64::try_from(epoch).unwrap();
    assert_eq!(said[..3], [0, 0, same], "granted in the same epoch: {said:?}");
    assert_eq!(reserve(&client, 2).await.unwrap().head.epoch, epoch);
}

/// R1.3-21.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_3_21_the_circuit_opens_and_closes() {
    let mut server = Valkey::start();
    let patient = Settings {
        pause: Duration::from_secs(3_600),
        ..settings(server.socket())
    };
    let [hasty, patient] = [settings(server.socket()), patient].map(Client::start);
    limit(&hasty, 10).await;
    server.kill();
    for _ in 0..5 {
        assert_eq!(patient.figures().circuit, Circuit::Closed);
        let error = reserve(&patient, 1).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable(_) | Error::Lost(_)), "{error}");
    }
    assert_eq!(patient.figures().circuit, Circuit::Open);
    assert!(matches!(reserve(&patient, 1).await, Err(Error::CircuitOpen)));
    assert_eq!(patient.figures().failures, 5);
    for _ in 0..10 {
        assert!(reserve(&hasty, 1).await.is_err());
    }
    server.restart();
    back(&hasty).await;
    assert_eq!(hasty.figures().circuit, Circuit::Closed);
}

/// Issue 5, what happens while no replica can acknowledge.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn without_a_replica_strict_grants_nothing_and_available_counts() {
    let server = Valkey::start();
    let with = |mode| Settings {
        replicas: 1,
        wait: Duration::from_millis(5),
        mode,
        ..settings(server.socket())
    };
    let (strict, available) = (
        Client::start(with(Mode::Strict)),
        Client::start(with(Mode::Available)),
    );
    limit(&strict, 10).await;
    for id in 0..5 {
        let error = reserve(&strict, id).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::NotReplicated {
                    replicas: 0,
                    required: 1
                }
            ),
            "{error}"
        );
        // The same task takes it back before it asks anything else of the same lease.
        let release = Release {
            id: LeaseId(Uuid::from_u128(id)),
            source: metro(),
            seq: 0,
        };
        assert!(
            !strict.ask(&release).await.unwrap().answer.removed,
            "it was taken back already"
        );
    }
    assert_eq!(count(&strict).await, 0);
    assert_eq!(strict.figures().unacknowledged, 5);
    let answered = available.ask(&wish(7)).await.unwrap();
    assert!(answered.answer.holds() && !answered.replicated);
    assert_eq!(
        (available.figures().unacknowledged, count(&available).await),
        (1, 1)
    );
    // What runs goes on: the holder is told that a failover may forget it.
    let beat = Heartbeat {
        ttl_ms: 60_000,
        leases: vec![(LeaseId(Uuid::from_u128(7)), metro())],
    };
    let beaten = strict.ask(&beat).await.unwrap();
    assert_eq!(
        (beaten.answer.beats[0].code, beaten.replicated),
        (Code::Done, false)
    );
}

/// Who stops to wait holds nothing.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_grant_that_nobody_waits_for_is_taken_back() {
    let server = Valkey::start();
    let client = Client::start(settings(server.socket()));
    limit(&client, 10).await;
    for id in 0..50 {
        let wish = wish(id);
        let mut asked = Box::pin(client.ask(&wish));
        // Polled once: it is in the queue, and then dropped.
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(asked.as_mut().poll(context).is_pending()))
                .await
        );
        drop(asked);
        let release = Release {
            id: LeaseId(Uuid::from_u128(id)),
            source: metro(),
            seq: 0,
        };
        client.ask(&release).await.unwrap();
    }
    assert_eq!(count(&client).await, 0);
}

/// R1.3-29: the primary is the one that Sentinel says.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_3_29_sentinel_says_where_the_primary_is() {
    let server = Valkey::on_port(&[]);
    let sentinel = Valkey::sentinel(server.port.unwrap());
    let place = |service: &str| Place::Sentinel {
        // The first does not answer.
        sentinels: vec![Address::Tcp("127.0.0.1".to_owned(), 1), sentinel.address()],
        service: service.to_owned(),
    };
    let client = Client::start(Settings {
        place: place("marsad"),
        ..settings(server.socket())
    });
    limit(&client, 10).await;
    assert!(reserve(&client, 1).await.unwrap().holds());
    let lost = Client::start(Settings {
        place: place("other"),
        ..settings(server.socket())
    });
    let error = reserve(&lost, 1).await.unwrap_err().to_string();
    assert!(error.contains("no Sentinel knows other"), "{error}");
}

/// R1.3-27: a cluster's node that has the slot of the hash tag. A cluster of one shard is enough to hold the scripts to one slot.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_3_27_in_a_cluster_all_keys_are_in_one_slot() {
    let server = Valkey::on_port(&["--cluster-enabled", "yes"]);
    let mut connection = server.connection();
    let _: () = redis::cmd("CLUSTER")
        .arg("ADDSLOTSRANGE")
        .arg(0)
        .arg(16_383)
        .query(&mut connection)
        .unwrap();
    let up = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            tick.tick().await;
            let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut connection).unwrap();
            if info.contains("cluster_state:ok") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), up)
        .await
        .expect("the cluster to be up");
    let place = Place::Cluster(vec![Address::Tcp("127.0.0.1".to_owned(), 1), server.address()]);
    let prefix = Keyspace::new(Keyspace::CLUSTER);
    let client = Client::start(Settings {
        place,
        space: prefix,
        ..settings(server.socket())
    });
    limit(&client, 10).await;
    assert!(reserve(&client, 1).await.unwrap().holds());
    assert_eq!(count(&client).await, 1);
}
