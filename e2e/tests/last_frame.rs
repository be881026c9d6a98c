//! The last picture of a camera (R1.1-11): kept while it is dead, served with its age, shown in its tile.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use marsad_crds::Reason;
use marsad_e2e::api::ApiClient;
use marsad_e2e::barcode;
use marsad_e2e::camera;
use marsad_e2e::page::{self, Page};
use marsad_e2e::scenario::scenario;
use marsad_e2e::wait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const UP: Duration = Duration::from_secs(30);
/// From a fault to its reason, as in `camera_faults.rs`.
const TOLD: Duration = Duration::from_secs(15);
/// The first picture of a camera that has come online, with a few others before it in the queue.
const FIRST: Duration = Duration::from_secs(20);
/// A picture a minute, and what it takes to read one.
const NEXT: Duration = Duration::from_secs(80);
/// From the end of a fault to Online.
const BACK: Duration = Duration::from_secs(60);

/// What the API gives.
#[derive(Debug)]
struct Served {
    age: i64,
    etag: String,
    bytes: usize,
}

async fn served(api: &ApiClient, id: &str) -> Result<Served> {
    let answer = api
        .send(Method::GET, &format!("/api/v1/cameras/{id}/still"), None)
        .await?;
    let status = answer.status();
    let header = |name: &str| -> Result<String> {
        let value = answer.headers().get(name).with_context(|| name.to_owned())?;
        Ok(value.to_str()?.to_owned())
    };
    if status != StatusCode::OK {
        bail!("{status}: {}", answer.text().await?);
    }
    ensure!(header("content-type")? == "video/mp4", "{answer:?}");
    ensure!(header("cache-control")? == "private, no-cache", "{answer:?}");
    Ok(Served {
        age: header("age")?.parse()?,
        etag: header("etag")?,
        bytes: answer.bytes().await?.len(),
    })
}

async fn first(api: &ApiClient, id: &str) -> Result<Served> {
    wait::answer("a last picture is served", FIRST, async || served(api, id).await).await
}

#[tokio::test]
async fn r1_1_11_a_dead_tile_shows_the_last_picture_and_its_age() -> Result<()> {
    scenario("lastframe", |test| async move {
        test.add("clock", json!({"video": "clock"})).await?;
        let id = camera::id(&camera::up(&test.cameras(), "clock", UP).await?)?;
        let api = ApiClient::sign_in(&test.cluster).await?;
        first(&api, &id).await?;
        let died = page::now()?;
        test.sim.fault(&test.simulated("clock"), "not_found").await?;
        camera::down(&test.cameras(), "clock", Reason::StreamNotFound, TOLD).await?;

        // A page that never saw the camera alive.
        let page = Page::sign_in(&test.cluster).await?;
        page.open(&id, Duration::from_secs(10)).await?;
        page.tile_is(&id, "offline", Duration::from_secs(10)).await?;
        let still = wait::answer("the tile shows a picture", Duration::from_secs(10), async || {
            page.still(&id).await?.context("none")
        })
        .await?;
        let now = page::now()?;
        let clock = still.clock.with_context(|| format!("no clock: {still:?}"))?;
        // Moments may pass between the fault and its being noticed by the camera.
        assert!(
            barcode::age(died, clock) > -2_000,
            "of before the fault: {still:?}"
        );
        assert!(still.text.contains("آخر صورة قبل"), "{}", still.text);

        let told = served(&api, &id).await?;
        let age = barcode::age(now, clock) / 1_000;
        assert!(
            (-1..=4).contains(&(age - told.age)),
            "{age} s old, said to be {told:?}"
        );

        test.sim.fault(&test.simulated("clock"), "none").await?;
        page.tile_is(&id, "live", BACK).await?;
        assert!(
            page.still(&id).await?.is_none(),
            "a last picture over one that moves"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn r1_1_11_a_killed_shard_leaves_the_last_picture() -> Result<()> {
    scenario("stillshard", |test| async move {
        let pool = test.pool(1).await?;
        test.add_to_pool("a", json!({"video": "clip"}), &pool).await?;
        let id = camera::id(&camera::up(&test.cameras(), "a", UP).await?)?;
        let api = ApiClient::sign_in(&test.cluster).await?;
        let before = first(&api, &id).await?;
        let seen = Instant::now();
        test.cluster.kill(&format!("ingest-{pool}-0")).await?;
        let after = served(&api, &id).await?;
        if after.etag == before.etag {
            let passed = i64::try_from(seen.elapsed().as_secs())?;
            assert!(after.age >= before.age + passed, "{after:?} after {before:?}");
            assert_eq!(after.bytes, before.bytes);
        }
        // From the pod that replaces it, at another address.
        wait::answer("a picture of the new shard", NEXT, async || {
            let now = served(&api, &id).await?;
            ensure!(now.etag != after.etag, "{now:?}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn r1_1_11_a_camera_that_never_sent_has_none() -> Result<()> {
    scenario("nostill", |test| async move {
        test.simulate("dark", json!({"video": "clip"})).await?;
        test.sim.fault(&test.simulated("dark"), "not_found").await?;
        test.apply("dark", &test.sim.url(&test.simulated("dark"))).await?;
        let dark = camera::down(&test.cameras(), "dark", Reason::StreamNotFound, UP).await?;
        let own = format!("/api/v1/cameras/{}/still", camera::id(&dark)?);
        let nobody = "/api/v1/cameras/6f1c0000-0000-5000-8000-000000000000/still";
        let api = ApiClient::sign_in(&test.cluster).await?;
        for (path, code) in [(own.as_str(), "StillNotAvailable"), (nobody, "CameraNotFound")] {
            let answer = api.send(Method::GET, path, None).await?;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
            let problem: Value = answer.json().await?;
            assert_eq!(problem["code"], code);
            for language in ["message_en", "message_ar"] {
                let said = problem[language].as_str().unwrap_or_default();
                assert!(!said.is_empty(), "{problem}");
            }
        }
        let anonymous = ApiClient::anonymous(&test.cluster);
        let answer = anonymous.send(Method::GET, &own, None).await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        Ok(())
    })
    .await
}
