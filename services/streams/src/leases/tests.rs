use std::sync::atomic::Ordering;

use marsad_crds::Camera;

use super::*;
use crate::camera::id_of;
use crate::camera::tests::online_on;
use crate::demand::Wanted;
use crate::fakes::{House, path_of};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn wait(time: u64) {
    tokio::time::sleep(seconds(time)).await;
}

/// One camera, and who may watch it.
struct Scene {
    house: House,
    camera: Camera,
}

impl Scene {
    async fn open() -> Self {
        let camera = online_on("szr", "s0");
        Self {
            house: House::with(std::slice::from_ref(&camera)).await,
            camera,
        }
    }

    async fn restart(self) -> Self {
        Self {
            house: self.house.restarted(std::slice::from_ref(&self.camera)).await,
            camera: self.camera,
        }
    }

    async fn take(&self, user: &str) -> Result<Lease, Refusal> {
        let view = self.house.reconciler.cameras.get(id_of(&self.camera)).unwrap();
        let wish = Wish {
            camera: &view,
            owner: Owner {
                user: user.to_owned(),
                client: Some("tab".to_owned()),
            },
            client_ip: String::new(),
            duration: None,
        };
        self.house.leases.take(&wish).await.map(|taken| taken.lease)
    }

    async fn beat(&self, lease: &Lease) -> Result<(), Refusal> {
        let renewed = self.house.leases.renew(lease.reservation, &lease.user).await;
        renewed.map(|_| ())
    }

    /// The viewer's browser joins the room.
    fn join(&self, lease: &Lease) {
        let who = (lease.room.clone(), lease.identity.clone());
        self.house.engines.viewers.lock().unwrap().insert(who);
    }

    fn sees(&self, lease: &Lease) -> bool {
        let who = (lease.room.clone(), lease.identity.clone());
        self.house.engines.viewers.lock().unwrap().contains(&who)
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_source_says_so_and_a_released_slot_is_anothers_at_once() {
    let scene = Scene::open().await;
    let amal = scene.take("amal").await.unwrap();
    scene.take("badr").await.unwrap();
    let full = Refusal::LimitReached {
        agency: "POLICE".to_owned(),
        current: 2,
        limit: 2,
    };
    assert_eq!(scene.take("carim").await, Err(full));
    // Who has one asks again and gets it.
    assert_eq!(scene.take("amal").await.unwrap().reservation, amal.reservation);
    scene.house.leases.release(amal.reservation, "badr").await;
    assert!(scene.take("carim").await.is_err(), "another's lease stays");
    scene.house.leases.release(amal.reservation, "amal").await;
    assert!(scene.take("carim").await.is_ok());
}

/// contracts.md 14a: with the lease the picture goes, and no token brings it back.
#[tokio::test(start_paused = true)]
async fn c14a_who_has_no_lease_is_out_within_two_seconds() {
    let scene = Scene::open().await;
    let lease = scene.take("amal").await.unwrap();
    scene.house.engines.open_room(&lease.room);
    scene.join(&lease);
    wait(10).await;
    assert!(scene.sees(&lease), "who has a lease stays");
    scene.house.leases.release(lease.reservation, "amal").await;
    assert!(!scene.sees(&lease), "released: out at once");
    scene.join(&lease);
    wait(2).await;
    assert!(
        !scene.sees(&lease),
        "back with the old token: out within two seconds"
    );
    let copied = Lease {
        identity: "badr.tab".to_owned(),
        ..lease.clone()
    };
    scene.join(&copied);
    wait(2).await;
    assert!(!scene.sees(&copied));
    let publisher = format!("{}.1", id_of(&scene.camera));
    let forward = Lease {
        identity: publisher,
        ..lease
    };
    scene.join(&forward);
    wait(4).await;
    assert!(scene.sees(&forward), "a publisher is no viewer");
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_dies_frees_its_slot_within_the_lease_time() {
    let scene = Scene::open().await;
    let lease = scene.take("amal").await.unwrap();
    scene.house.engines.open_room(&lease.room);
    scene.join(&lease);
    wait(54).await;
    assert!(scene.sees(&lease) && scene.house.books.live() == 1);
    wait(3).await;
    assert!(!scene.sees(&lease));
    assert_eq!(
        scene.house.books.live(),
        0,
        "given back before its time to live is over"
    );
    assert_eq!(scene.beat(&lease).await, Err(Refusal::ReservationUnknown));
}

#[tokio::test(start_paused = true)]
async fn the_last_lease_turns_the_forward_off() {
    let scene = Scene::open().await;
    let (amal, badr) = (
        scene.take("amal").await.unwrap(),
        scene.take("badr").await.unwrap(),
    );
    scene.house.settle().await;
    scene.house.leases.release(amal.reservation, "amal").await;
    wait(20).await;
    assert!(scene.house.engines.is_on(&path_of(&scene.camera)));
    scene.house.leases.release(badr.reservation, "badr").await;
    wait(11).await;
    assert!(!scene.house.engines.is_on(&path_of(&scene.camera)));
}

/// R1.3-19: running streams live to their deadline, and nothing new is granted.
#[tokio::test(start_paused = true)]
async fn r1_3_19_without_valkey_streams_run_on_and_none_begins() {
    let scene = Scene::open().await;
    let lease = scene.take("amal").await.unwrap();
    scene.house.engines.open_room(&lease.room);
    scene.join(&lease);
    scene.house.books.away.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        wait(15).await;
        assert_eq!(scene.beat(&lease).await, Err(Refusal::LedgerUnavailable));
        assert_eq!(
            scene.take("amal").await.unwrap().reservation,
            lease.reservation,
            "a reload"
        );
        assert_eq!(scene.take("badr").await, Err(Refusal::LedgerUnavailable));
        assert!(scene.sees(&lease));
    }
    scene.house.books.away.store(false, Ordering::Relaxed);
    assert_eq!(scene.beat(&lease).await, Ok(()));
    wait(50).await;
    scene.house.books.away.store(true, Ordering::Relaxed);
    wait(10).await;
    assert!(!scene.sees(&lease), "at its deadline it ends, whoever is away");
    wait(25).await;
    assert!(
        scene.house.leases.snapshot().is_none(),
        "figures of half a minute ago are none"
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_ledger_is_noticed_and_told_again_what_is_held() {
    let scene = Scene::open().await;
    let lease = scene.take("amal").await.unwrap();
    scene.house.books.restart();
    wait(2).await;
    assert_eq!(scene.house.books.live(), 1, "it was said again");
    assert_eq!(scene.beat(&lease).await, Ok(()));
    // Everything was said: the grace is over, and the limit holds.
    scene.take("badr").await.unwrap();
    assert!(matches!(
        scene.take("carim").await,
        Err(Refusal::LimitReached { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_the_ledger_has_ended_takes_the_picture_away() {
    let scene = Scene::open().await;
    let lease = scene.take("amal").await.unwrap();
    scene.house.engines.open_room(&lease.room);
    scene.join(&lease);
    scene.house.books.end(lease.reservation);
    assert_eq!(scene.beat(&lease).await, Err(Refusal::ReservationUnknown));
    assert!(!scene.sees(&lease));
}

#[tokio::test(start_paused = true)]
async fn what_no_replica_has_extends_nothing() {
    let scene = Scene::open().await;
    let lease = scene.take("amal").await.unwrap();
    scene.house.books.unreplicated.store(true, Ordering::Relaxed);
    wait(30).await;
    assert_eq!(scene.beat(&lease).await, Err(Refusal::LedgerUnavailable));
    let held = scene
        .house
        .reconciler
        .demand()
        .get(lease.reservation, now())
        .cloned();
    assert_eq!(held.unwrap().expires, lease.expires);
}

/// A restarted process knows who watches: nobody is thrown out, heartbeats go on, slots are not taken twice.
#[tokio::test(start_paused = true)]
async fn a_restart_takes_over_what_the_former_process_held() {
    let scene = Scene::open().await;
    let (amal, badr) = (
        scene.take("amal").await.unwrap(),
        scene.take("badr").await.unwrap(),
    );
    scene.house.engines.open_room(&amal.room);
    scene.join(&amal);
    scene.house.settle().await;
    let scene = scene.restart().await;
    wait(5).await;
    assert!(scene.sees(&amal));
    assert_eq!(scene.beat(&amal).await, Ok(()));
    assert!(matches!(
        scene.take("carim").await,
        Err(Refusal::LimitReached { .. })
    ));
    wait(52).await;
    // Nobody renewed the other one: it ended where it would have.
    assert_eq!(scene.beat(&badr).await, Err(Refusal::ReservationUnknown));
    assert!(scene.take("carim").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_thrown_out_before_the_leases_are_known() {
    let scene = Scene::open().await;
    let lease = scene.take("amal").await.unwrap();
    scene.house.engines.open_room(&lease.room);
    scene.join(&lease);
    scene.house.books.away.store(true, Ordering::Relaxed);
    let scene = scene.restart().await;
    wait(30).await;
    assert!(scene.sees(&lease));
    scene.house.books.away.store(false, Ordering::Relaxed);
    wait(3).await;
    assert!(scene.sees(&lease));
    assert_eq!(scene.beat(&lease).await, Ok(()));
    let wanted = scene
        .house
        .reconciler
        .demand()
        .wanted(id_of(&scene.camera), now());
    assert!(matches!(wanted, Wanted::Watched(_)));
}

#[tokio::test(start_paused = true)]
async fn statistics_follow_what_is_taken_and_given_back() {
    let scene = Scene::open().await;
    let mut news = scene.house.leases.follow_stats();
    wait(2).await;
    let lease = scene.take("amal").await.unwrap();
    scene.house.settle().await;
    let snapshot = scene.house.leases.snapshot().unwrap();
    assert_eq!((snapshot.total.current, snapshot.total.limit), (1, Some(2)));
    assert_eq!(snapshot.sources[0].source, "POLICE");
    assert_eq!(snapshot.sources[0].figures.current, 1);
    news.mark_unchanged();
    wait(3).await;
    assert!(!news.has_changed().unwrap(), "the same again is no news");
    scene.house.leases.release(lease.reservation, "amal").await;
    wait(1).await;
    assert!(news.has_changed().unwrap());
    assert_eq!(scene.house.leases.snapshot().unwrap().total.current, 0);
}
