use proptest::prelude::*;

use super::*;

const TTL: Duration = Duration::from_secs(60);
const LINGER: Duration = Duration::from_secs(10);
const CAMERA: Uuid = Uuid::from_u128(7);

fn owner(user: &str, client: Option<&str>) -> Owner {
    Owner {
        user: user.into(),
        client: client.map(str::to_owned),
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lease(camera: Uuid, owner: &Owner, expires: Instant) -> Lease {
    let reservation = owner.lease(camera);
    Lease {
        reservation,
        camera,
        room: format!("camera_{camera}"),
        user: owner.user.clone(),
        identity: owner.identity(reservation),
        source: Source::new("POLICE").unwrap(),
        seq: 1,
        client_ip: String::new(),
        reserved_at: String::new(),
        expires,
        ends: None,
    }
}

#[test]
fn c17_the_same_owner_asks_for_the_same_lease() {
    let (amal, tab2) = (owner("amal", Some("tab1")), owner("amal", Some("tab2")));
    assert_eq!(amal.lease(CAMERA), owner("amal", Some("tab1")).lease(CAMERA));
    assert_eq!(amal.identity(amal.lease(CAMERA)), "amal.tab1");
    let others = [
        tab2.lease(CAMERA),
        owner("amal", None).lease(CAMERA),
        owner("badr", Some("tab1")).lease(CAMERA),
        amal.lease(Uuid::from_u128(8)),
        owner("tab1/amal", None).lease(CAMERA),
    ];
    assert!(!others.contains(&amal.lease(CAMERA)));
    // It is in ledgers that outlive a release.
    assert_eq!(
        amal.lease(CAMERA).to_string(),
        "4646938c-0c64-5303-9705-2431544fe095"
    );
}

#[test]
fn c17_without_a_client_the_identity_stays_with_the_lease() {
    let amal = owner("amal", None);
    let id = amal.lease(CAMERA);
    assert_eq!(amal.identity(id), format!("amal.{}", id.simple()));
}

#[test]
fn two_answers_about_one_lease_may_come_in_any_order() {
    let (mut demand, start) = (Demand::new(LINGER), Instant::now());
    let amal = owner("amal", None);
    let mut later = lease(CAMERA, &amal, start + secs(90));
    later.seq = 5;
    demand.hold(later.clone());
    demand.hold(lease(CAMERA, &amal, start + TTL));
    assert_eq!(demand.get(later.reservation, start), Some(&later));
    demand.renew(later.reservation, start + secs(30), 1, start);
    assert_eq!(
        demand.get(later.reservation, start),
        Some(&later),
        "never shortened"
    );
}

#[test]
fn an_expired_lease_lingers_from_its_expiry_is_told_once_and_not_revived() {
    let (mut demand, start) = (Demand::new(LINGER), Instant::now());
    let held = lease(CAMERA, &owner("amal", None), start + TTL);
    demand.hold(held.clone());
    let over = start + TTL;
    demand.renew(held.reservation, over + TTL, 1, over);
    assert_eq!(demand.get(held.reservation, over), None);
    assert_eq!(
        demand.wanted(CAMERA, start + secs(65)),
        Wanted::Lingering(start + secs(70))
    );
    // Nothing depends on pruning in time, and pruning keeps what is to be told.
    demand.prune(CAMERA, start + secs(65));
    assert_eq!(
        demand.wanted(CAMERA, start + secs(65)),
        Wanted::Lingering(start + secs(70))
    );
    assert_eq!(demand.wanted(CAMERA, start + secs(70)), Wanted::No);
    assert_eq!(demand.take_over(start + secs(66)), [held]);
    assert_eq!(demand.take_over(start + secs(66)), []);
}

#[test]
fn a_lease_that_was_asked_for_a_time_ends_with_it_however_often_it_is_renewed() {
    let (mut demand, start) = (Demand::new(LINGER), Instant::now());
    let mut held = lease(CAMERA, &owner("amal", None), start + TTL);
    held.ends = Some(start + secs(70));
    demand.hold(held.clone());
    demand.renew(held.reservation, start + secs(110), 1, start + secs(50));
    assert!(demand.get(held.reservation, start + secs(69)).is_some());
    assert!(demand.get(held.reservation, start + secs(70)).is_none());
    assert!(
        demand
            .admitted(start + secs(69))
            .contains(&(held.room.as_str(), held.identity.as_str()))
    );
    assert!(demand.admitted(start + secs(70)).is_empty());
}

#[test]
fn a_withdrawn_lease_leaves_nothing() {
    let (mut demand, start) = (Demand::new(LINGER), Instant::now());
    let held = lease(CAMERA, &owner("amal", None), start + TTL);
    demand.hold(held.clone());
    assert_eq!(demand.withdraw(held.reservation), Some(held.clone()));
    assert_eq!(demand.withdraw(held.reservation), None);
    assert_eq!(demand.wanted(CAMERA, start), Wanted::No);
    demand.prune(CAMERA, start);
    assert!(demand.cameras.is_empty() && demand.index.is_empty());
}

#[derive(Debug, Clone)]
enum Act {
    Hold { user: u8, camera: u8 },
    Renew { nth: usize },
    End { nth: usize },
    Prune { camera: u8 },
    TakeOver,
}

fn acts() -> impl Strategy<Value = Vec<(u64, Act)>> {
    let act = prop_oneof![
        4 => (0_u8..3, 0_u8..3).prop_map(|(user, camera)| Act::Hold { user, camera }),
        3 => (0_usize..12).prop_map(|nth| Act::Renew { nth }),
        2 => (0_usize..12).prop_map(|nth| Act::End { nth }),
        1 => (0_u8..3).prop_map(|camera| Act::Prune { camera }),
        1 => Just(Act::TakeOver),
    ];
    proptest::collection::vec((0_u64..40, act), 0..60)
}

/// One life of a lease, kept for ever: what the state machine must agree with.
struct Remembered {
    id: Uuid,
    camera: u8,
    until: Instant,
    /// Whether it came to its end by time alone.
    expires: bool,
}

fn camera_id(camera: u8) -> Uuid {
    Uuid::from_u128(u128::from(camera))
}

fn expected(history: &[Remembered], camera: u8, now: Instant) -> Wanted {
    let mine = || history.iter().filter(|lease| lease.camera == camera);
    if let Some(last) = mine().map(|lease| lease.until).filter(|&until| until > now).max() {
        return Wanted::Watched(last);
    }
    match mine()
        .map(|lease| lease.until + LINGER)
        .filter(|&until| until > now)
        .max()
    {
        Some(until) => Wanted::Lingering(until),
        None => Wanted::No,
    }
}

proptest! {
    #[test]
    fn wanted_iff_a_lease_lives_or_lingers_and_each_end_is_told_once(acts in acts()) {
        let (mut demand, mut now) = (Demand::new(LINGER), Instant::now());
        let mut history: Vec<Remembered> = Vec::new();
        let mut told = 0;
        for (pause, act) in acts {
            now += secs(pause);
            match act {
                Act::Hold { user, camera } => {
                    let held = lease(camera_id(camera), &owner(&user.to_string(), None), now + TTL);
                    let id = held.reservation;
                    // A holder asks the ledger anew for what is over, and first says so.
                    told += demand.take_over(now).len();
                    demand.hold(held);
                    match history.iter_mut().find(|one| one.id == id && one.until > now) {
                        Some(one) => one.until = now + TTL,
                        None => history.push(Remembered { id, camera, until: now + TTL, expires: true }),
                    }
                }
                Act::Renew { nth } => if let Some(one) = history.get_mut(nth) {
                    let lives = one.until > now;
                    let newer = demand.get(one.id, now).is_some() && !lives;
                    if !newer {
                        demand.renew(one.id, now + TTL, 1, now);
                        if lives { one.until = now + TTL; }
                    }
                },
                Act::End { nth } => if let Some(one) = history.get_mut(nth).filter(|one| one.until > now) {
                    prop_assert!(demand.end(one.id, now).is_some());
                    one.until = now;
                    one.expires = false;
                },
                Act::Prune { camera } => demand.prune(camera_id(camera), now),
                Act::TakeOver => told += demand.take_over(now).len(),
            }
            for camera in 0..3 {
                prop_assert_eq!(demand.wanted(camera_id(camera), now), expected(&history, camera, now));
            }
        }
        // In the end nothing is kept, and every lease that ran out was told.
        now += TTL + LINGER;
        told += demand.take_over(now).len();
        for camera in 0..3 {
            demand.prune(camera_id(camera), now);
        }
        prop_assert!(demand.cameras.is_empty() && demand.index.is_empty());
        prop_assert_eq!(told, history.iter().filter(|one| one.expires).count());
    }
}
