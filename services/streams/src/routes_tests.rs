use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use marsad_crds::{Camera, LiveMode, Reason};
use marsad_identity::testing::{signer, token};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::camera::id_of;
use crate::camera::tests::{camera, condition, online_on};
use crate::fakes::{House, path_of};

struct Client {
    router: Router,
}

impl Client {
    fn of(house: &House) -> Self {
        Self {
            router: router(Live::new(house.leases.clone()), Verifier::fixed(signer().jwks())),
        }
    }

    async fn call(&self, method: &str, path: &str, user: Option<&str>, body: Value) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-request-id", "r1");
        if let Some(user) = user {
            request = request.header("authorization", format!("Bearer {}", token(user)));
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn watch(&self, user: &str, camera: &Camera, client: &str) -> (StatusCode, Value) {
        let body = json!({"camera_id": id_of(camera), "client_id": client});
        self.call("POST", "/api/v1/stream/live", Some(user), body).await
    }

    async fn beat(&self, user: &str, reservation: &Value) -> (StatusCode, Value) {
        self.call(
            "POST",
            "/api/v1/stream/heartbeat",
            Some(user),
            json!({"reservation_id": reservation}),
        )
        .await
    }

    async fn leave(&self, user: &str, reservation: &Value) -> StatusCode {
        self.call(
            "DELETE",
            "/api/v1/stream/live",
            Some(user),
            json!({"reservation_id": reservation}),
        )
        .await
        .0
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn c14a_c17_reserve_renew_release_linger_gone() {
    let szr = online_on("szr", "s0");
    let house = House::with(std::slice::from_ref(&szr)).await;
    let client = Client::of(&house);
    let (status, granted) = client.watch("amal", &szr, "tab").await;
    assert_eq!(status, StatusCode::OK, "{granted}");
    let id = id_of(&szr);
    assert_eq!(granted["room"], format!("camera_{id}"));
    assert_eq!(granted["identity"], "amal.tab");
    assert_eq!((&granted["camera_id"], &granted["url"]), (&json!(id), &json!("")));
    assert_eq!(
        granted["lease"],
        json!({"ttl_seconds": 60, "heartbeat_interval_seconds": 15})
    );
    assert!(granted["token"].is_string() && granted["expires_at"].is_string());
    house.settle().await;
    assert!(house.engines.is_on(&path_of(&szr)));

    let (_, again) = client.watch("amal", &szr, "tab").await;
    assert_eq!(again["reservation_id"], granted["reservation_id"]);

    // Heartbeats carry it past its first life.
    for _ in 0..8 {
        tokio::time::sleep(seconds(15)).await;
        let (status, renewed) = client.beat("amal", &granted["reservation_id"]).await;
        assert_eq!((status, &renewed["ttl_seconds"]), (StatusCode::OK, &json!(60)));
    }
    assert!(house.engines.is_on(&path_of(&szr)));

    assert_eq!(
        client.leave("amal", &granted["reservation_id"]).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        client.leave("amal", &granted["reservation_id"]).await,
        StatusCode::NO_CONTENT
    );
    tokio::time::sleep(seconds(9)).await;
    assert!(house.engines.is_on(&path_of(&szr)), "it lingers");
    tokio::time::sleep(seconds(2)).await;
    assert!(!house.engines.is_on(&path_of(&szr)));
    assert!(!house.reconciler.is_at_work(id), "the camera is forgotten");
}

#[tokio::test(start_paused = true)]
async fn r1_3_a_lease_that_is_not_renewed_ends_by_itself() {
    let szr = online_on("szr", "s0");
    let house = House::with(std::slice::from_ref(&szr)).await;
    let client = Client::of(&house);
    let (_, granted) = client.watch("amal", &szr, "tab").await;
    tokio::time::sleep(seconds(61)).await;
    let (status, problem) = client.beat("amal", &granted["reservation_id"]).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::NOT_FOUND, &json!("ReservationUnknown"))
    );
    assert!(house.engines.is_on(&path_of(&szr)));
    tokio::time::sleep(seconds(10)).await;
    assert!(!house.engines.is_on(&path_of(&szr)));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_and_how() {
    let offline = camera(
        "off",
        &json!({"conditions": [condition("Online", "False", "Unauthorized", "wrong password")]}),
    );
    let mut hidden = online_on("hidden", "s0");
    hidden.spec.live.mode = LiveMode::Off;
    let fine = online_on("fine", "s0");
    let house = House::with(&[offline.clone(), hidden.clone(), fine.clone()]).await;
    let client = Client::of(&house);
    let live = "/api/v1/stream/live";
    let unknown = json!({"camera_id": Uuid::from_u128(1)});
    let good = json!({"camera_id": id_of(&fine)});
    let other = json!({"camera_id": id_of(&fine), "user_id": "badr"});
    let bad_client = json!({"camera_id": id_of(&fine), "client_id": "a b"});
    let table = [
        (None, good.clone(), 401, "Unauthorized"),
        (Some("amal"), json!({"camera": 1}), 400, "InvalidRequest"),
        (Some("amal"), bad_client, 400, "InvalidRequest"),
        (Some("amal"), other, 403, "Forbidden"),
        (Some("amal"), unknown, 404, "CameraNotFound"),
        (
            Some("amal"),
            json!({"camera_id": id_of(&offline)}),
            409,
            "CameraOffline",
        ),
        (Some("amal"), json!({"camera_id": id_of(&hidden)}), 409, "LiveOff"),
    ];
    for (user, body, status, code) in table {
        let (got, problem) = client.call("POST", live, user, body).await;
        assert_eq!(
            (got.as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{problem}"
        );
        assert_eq!(
            (&problem["instance"], &problem["request_id"]),
            (&json!(live), &json!("r1"))
        );
        assert!(
            problem["message_ar"]
                .as_str()
                .unwrap()
                .chars()
                .any(|c| ('\u{600}'..'\u{700}').contains(&c))
        );
    }
    let (_, problem) = client
        .call("POST", live, Some("amal"), json!({"camera_id": id_of(&offline)}))
        .await;
    assert_eq!(problem["reason"], "Unauthorized");
    house.settle().await;
    assert!(
        house.engines.forwards.lock().unwrap().is_empty(),
        "nothing was started for anybody refused"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_about_cameras_before_they_were_listed() {
    let house = House::unready();
    let (status, problem) = Client::of(&house)
        .watch("amal", &online_on("a", "s0"), "tab")
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("NotReady"))
    );
}

#[tokio::test(start_paused = true)]
async fn another_users_lease_is_neither_renewed_nor_ended() {
    let szr = online_on("szr", "s0");
    let house = House::with(std::slice::from_ref(&szr)).await;
    let client = Client::of(&house);
    let (_, granted) = client.watch("amal", &szr, "tab").await;
    assert_eq!(
        client.beat("badr", &granted["reservation_id"]).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        client.leave("badr", &granted["reservation_id"]).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        client.beat("amal", &granted["reservation_id"]).await.0,
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn without_livekit_there_is_no_lease_and_watchers_are_told() {
    let (szr, other) = (online_on("szr", "s0"), online_on("other", "s0"));
    let house = House::with(&[szr.clone(), other.clone()]).await;
    let client = Client::of(&house);
    client.watch("amal", &szr, "tab").await;
    tokio::time::sleep(seconds(5)).await;
    house
        .engines
        .livekit_down
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let (status, problem) = client.watch("badr", &other, "tab").await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("LiveKitUnavailable"))
    );
    tokio::time::sleep(seconds(3)).await;
    assert!(!house.reconciler.is_at_work(id_of(&other)));
    assert_eq!(
        house.engines.told.lock().unwrap().get(&id_of(&szr)),
        Some(&Reason::LiveKitUnavailable)
    );
    house
        .engines
        .livekit_down
        .store(false, std::sync::atomic::Ordering::Relaxed);
    tokio::time::sleep(seconds(2)).await;
    assert!(house.engines.told.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_is_started_again() {
    let szr = online_on("szr", "s0");
    let house = House::with(std::slice::from_ref(&szr)).await;
    house
        .engines
        .panics
        .store(true, std::sync::atomic::Ordering::Relaxed);
    Client::of(&house).watch("amal", &szr, "tab").await;
    tokio::time::sleep(seconds(2)).await;
    assert!(house.engines.is_on(&path_of(&szr)));
}

#[tokio::test(start_paused = true)]
async fn a_camera_switched_off_deleted_or_always_on_is_followed() {
    let mut szr = online_on("szr", "s0");
    let house = House::with(std::slice::from_ref(&szr)).await;
    Client::of(&house).watch("amal", &szr, "tab").await;
    house.settle().await;
    szr.spec.live.mode = LiveMode::Off;
    house.apply(&szr).await;
    assert!(!house.engines.is_on(&path_of(&szr)));
    szr.spec.live.mode = LiveMode::Always;
    house.apply(&szr).await;
    tokio::time::sleep(seconds(600)).await;
    assert!(house.engines.is_on(&path_of(&szr)), "Always needs no viewer");
    house.delete(&szr).await;
    assert!(!house.engines.is_on(&path_of(&szr)));
}

#[tokio::test(start_paused = true)]
async fn what_a_former_process_left_goes_after_a_lease_unless_somebody_comes_back() {
    let (szr, other) = (online_on("szr", "s0"), online_on("other", "s0"));
    let told = condition("Publishing", "False", "TrackMissing", "x");
    let stale = camera("stale", &json!({"conditions": [told]}));
    let house = House::with(&[szr.clone(), other.clone(), stale.clone()]).await;
    for camera in [&szr, &other] {
        let placement = crate::camera::Placement {
            shard: "s0".into(),
            path: path_of(camera),
        };
        house
            .engines
            .forwards
            .lock()
            .unwrap()
            .insert(placement, ("x".into(), "x".into()));
    }
    house
        .engines
        .told
        .lock()
        .unwrap()
        .insert(id_of(&stale), Reason::TrackMissing);
    tokio::time::sleep(seconds(30)).await;
    let client = Client::of(&house);
    let (_, granted) = client.watch("amal", &szr, "tab").await;
    tokio::time::sleep(seconds(25)).await;
    assert!(house.engines.is_on(&path_of(&other)), "grace");
    client.beat("amal", &granted["reservation_id"]).await;
    tokio::time::sleep(seconds(50)).await;
    assert!(house.engines.is_on(&path_of(&szr)));
    assert!(!house.engines.is_on(&path_of(&other)));
    assert!(house.engines.told.lock().unwrap().is_empty());
}
