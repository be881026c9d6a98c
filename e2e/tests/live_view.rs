//! The product in one test: a Camera is applied, and its picture moves in a browser.

use std::time::Duration;

use anyhow::{Result, bail};
use marsad_crds::Reason;
use marsad_e2e::api::ApiClient;
use marsad_e2e::barcode;
use marsad_e2e::camera::{self, SOURCE};
use marsad_e2e::cluster::Cluster;
use marsad_e2e::page::{self, Page};
use marsad_e2e::scenario::scenario;
use marsad_e2e::wait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const UP: Duration = Duration::from_secs(30);
/// R0-23.
const GLASS_TO_GLASS: i64 = 2_000;

#[tokio::test]
async fn a_camera_that_is_applied_is_a_picture_that_moves() -> Result<()> {
    scenario("live", |test| async move {
        test.add("clock", json!({"video": "clock"})).await?;
        let camera = camera::up(&test.cameras(), "clock", UP).await?;
        let status = camera.status.clone().unwrap_or_default();
        assert_eq!(status.agency.as_deref(), Some("other"));
        assert!(
            status
                .ingest
                .as_ref()
                .is_some_and(|ingest| ingest.codec.as_deref() == Some("H264")),
            "{status:?}"
        );
        let id = camera::id(&camera)?;

        let page = Page::watching(&test.cluster, &id).await?;
        let frames = page.frames(&id, 75, Duration::from_secs(20)).await?;
        let clocks: Vec<u32> = frames.iter().filter_map(|frame| frame.clock).collect();
        assert!(frames.len() >= 40, "{} frames in 20 s", frames.len());
        assert!(
            clocks.len() * 10 >= frames.len() * 9,
            "{} of {} clocks read",
            clocks.len(),
            frames.len()
        );
        assert!(
            clocks
                .windows(2)
                .all(|pair| barcode::age(u64::from(pair[1]), pair[0]) >= 0),
            "time runs back: {clocks:?}"
        );
        assert!(
            clocks.windows(2).any(|pair| pair[0] != pair[1]),
            "the picture stands still: {clocks:?}"
        );
        let mut ages: Vec<i64> = frames.iter().filter_map(marsad_e2e::page::Frame::age).collect();
        ages.sort_unstable();
        let median = ages[ages.len() / 2];
        assert!(
            (0..GLASS_TO_GLASS).contains(&median),
            "glass to glass {median} ms: {ages:?}"
        );
        Ok(())
    })
    .await
}

/// What is watched is published, and what nobody watches any more is not (after the linger).
#[tokio::test]
async fn a_stream_is_reserved_renewed_and_released() -> Result<()> {
    scenario("reserve", |test| async move {
        test.add("a", json!({"video": "clip"})).await?;
        let id = camera::id(&camera::up(&test.cameras(), "a", UP).await?)?;
        let api = ApiClient::sign_in(&test.cluster).await?;
        let body = json!({"camera_id": id, "client_id": "e2e"});
        let answer = api
            .send(Method::POST, "/api/v1/stream/live", Some(body.clone()))
            .await?;
        assert_eq!(answer.status(), StatusCode::OK);
        let first: Value = answer.json().await?;
        assert_eq!(first["camera_id"], json!(id));
        assert_eq!(first["room"], format!("camera_{id}"));
        assert_eq!(
            first["lease"],
            json!({"ttl_seconds": 60, "heartbeat_interval_seconds": 15})
        );
        // contracts.md 17: the same lease again.
        let second: Value = api
            .send(Method::POST, "/api/v1/stream/live", Some(body))
            .await?
            .json()
            .await?;
        assert_eq!(second["reservation_id"], first["reservation_id"]);

        let lease = json!({"reservation_id": first["reservation_id"]});
        let beat = api
            .send(Method::POST, "/api/v1/stream/heartbeat", Some(lease.clone()))
            .await?;
        assert_eq!(beat.status(), StatusCode::OK);
        for _ in 0..2 {
            let released = api
                .send(Method::DELETE, "/api/v1/stream/live", Some(lease.clone()))
                .await?;
            assert_eq!(
                released.status(),
                StatusCode::NO_CONTENT,
                "a release is idempotent"
            );
        }
        let late = api
            .send(Method::POST, "/api/v1/stream/heartbeat", Some(lease))
            .await?;
        assert_eq!(late.status(), StatusCode::NOT_FOUND);
        let problem: Value = late.json().await?;
        assert_eq!(problem["code"], "ReservationUnknown");
        for language in ["message_en", "message_ar"] {
            assert!(
                problem[language].as_str().is_some_and(|text| !text.is_empty()),
                "{problem}"
            );
        }
        Ok(())
    })
    .await
}

/// The page hears of a camera, and of its end, without being loaded again.
#[tokio::test]
async fn a_camera_comes_to_an_open_page_and_says_why_it_is_dark() -> Result<()> {
    scenario("updates", |test| async move {
        let page = Page::sign_in(&test.cluster).await?;
        page.browser().run("window.e2eLoaded = true;", vec![]).await?;
        test.simulate("dark", json!({"video": "clip"})).await?;
        test.sim.fault(&test.simulated("dark"), "not_found").await?;
        test.apply("dark", &test.sim.url(&test.simulated("dark"))).await?;
        let camera = camera::down(
            &test.cameras(),
            "dark",
            Reason::StreamNotFound,
            Duration::from_secs(20),
        )
        .await?;
        let id = camera::id(&camera)?;
        page.open(&id, Duration::from_secs(10)).await?;
        let tile = page.tile_is(&id, "offline", Duration::from_secs(10)).await?;
        assert_eq!(tile.reason.as_deref(), Some("StreamNotFound"));
        test.sim.fault(&test.simulated("dark"), "none").await?;
        page.tile_is(&id, "live", Duration::from_secs(60)).await?;
        let same = page
            .browser()
            .run("return window.e2eLoaded === true;", vec![])
            .await?;
        assert_eq!(same, json!(true), "the page was loaded again");
        Ok(())
    })
    .await
}

/// A picture that does not move is never called live.
#[tokio::test]
async fn a_picture_that_stands_still_is_not_live() -> Result<()> {
    scenario("still", |test| async move {
        test.add("clock", json!({"video": "clock"})).await?;
        let id = camera::id(&camera::up(&test.cameras(), "clock", UP).await?)?;
        let page = Page::watching(&test.cluster, &id).await?;
        test.sim.fault(&test.simulated("clock"), "stall").await?;
        wait::answer(
            "the tile says that it is not live",
            Duration::from_secs(6),
            async || match page.tile(&id).await? {
                tile if tile.state == "live" => bail!("{tile:?}"),
                _ => Ok(()),
            },
        )
        .await?;
        test.sim.fault(&test.simulated("clock"), "none").await?;
        let now = page::now()?;
        page.picture_after(&id, now, Duration::from_secs(60)).await?;
        Ok(())
    })
    .await
}

/// R0-08: Arabic and right to left, English and left to right.
#[tokio::test]
async fn the_page_is_arabic_from_right_to_left_and_english_from_left_to_right() -> Result<()> {
    let cluster = Cluster::from_env().await?;
    let page = Page::sign_in(&cluster).await?;
    let browser = page.browser();
    let direction = async || {
        browser
            .run(
                "return [document.documentElement.dir, document.documentElement.lang];",
                vec![],
            )
            .await
    };
    assert_eq!(direction().await?, json!(["rtl", "ar"]), "Arabic is the default");
    let arabic = page.text().await?;
    assert!(
        arabic
            .chars()
            .any(|letter| ('\u{0600}'..='\u{06ff}').contains(&letter)),
        "{arabic}"
    );
    let chosen = browser
        .run(
            "const button = [...document.querySelectorAll('button')].find(one => one.textContent.trim() === 'English');
            button?.click(); return Boolean(button);",
            vec![],
        )
        .await?;
    assert_eq!(chosen, json!(true), "no button English: {arabic}");
    wait::answer(
        "the page is English",
        Duration::from_secs(5),
        async || match direction().await? {
            found if found == json!(["ltr", "en"]) => Ok(()),
            found => bail!("{found}"),
        },
    )
    .await
}

/// Nothing is ever open.
#[tokio::test]
async fn without_signing_in_there_is_nothing() -> Result<()> {
    let cluster = Cluster::from_env().await?;
    let nobody = ApiClient::anonymous(&cluster);
    let live = json!({"camera_id": "6f1c0000-0000-5000-8000-000000000000"});
    let calls: [(Method, &str, Option<Value>); 5] = [
        (Method::GET, "/api/v1/cameras", None),
        (Method::GET, "/api/v1/auth/me", None),
        (Method::POST, "/api/v1/auth/ws-ticket", None),
        (Method::POST, "/api/v1/stream/live", Some(live.clone())),
        (Method::DELETE, "/api/v1/stream/live", Some(live)),
    ];
    for (method, path, body) in calls {
        let answer = nobody.send(method.clone(), path, body).await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
        let kind = answer
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        assert!(
            kind.starts_with("application/problem+json"),
            "{method} {path}: {kind}"
        );
    }
    let wrong = json!({"username": SOURCE, "password": "wrong"});
    let answer = nobody
        .send(Method::POST, "/api/v1/auth/login", Some(wrong))
        .await?;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    Ok(())
}
