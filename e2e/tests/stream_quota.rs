//! Live streams are counted: a limit holds, is lowered without throwing anybody out, and a ledger that is killed costs nobody the
//! picture and no slot.
#![allow(clippy::indexing_slicing, reason = "of JSON, in what tests share")]

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use marsad_crds::StreamQuota;
use marsad_e2e::api::ApiClient;
use marsad_e2e::camera;
use marsad_e2e::cluster::{Cluster, is_ready};
use marsad_e2e::page::Page;
use marsad_e2e::scenario::scenario;
use marsad_e2e::wait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const UP: Duration = Duration::from_secs(30);
/// The agency of the tests' namespaces, and its code.
const AGENCY: &str = "other";
const SOURCE: &str = "OTHER";
/// The operator looks every two seconds, `streams` each second.
const IN_FORCE: Duration = Duration::from_secs(10);
/// A lease that an earlier test has left is over by then.
const LEASE: Duration = Duration::from_secs(75);

/// Puts another limit on the agency's live streams, and says what it was.
async fn limit(cluster: &Cluster, streams: i32) -> Result<i32> {
    let quotas: Api<StreamQuota> = Api::all(cluster.client.clone());
    let mut quota = quotas.get("default").await?;
    let agency = quota
        .spec
        .agencies
        .iter_mut()
        .find(|one| one.name == AGENCY)
        .context("the quota has the tests' agency")?;
    let before = std::mem::replace(&mut agency.streams, streams);
    let patch = json!({"spec": {"agencies": quota.spec.agencies}});
    quotas
        .patch("default", &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    Ok(before)
}

/// Current use and limit of the agency, as the API tells them.
async fn figures(api: &ApiClient) -> Result<(u64, u64)> {
    let answer = api.send(Method::GET, "/api/v1/stream/stats", None).await?;
    let stats: Value = answer.error_for_status()?.json().await?;
    let sources = stats["sources"].as_array().context("sources")?;
    let ours = sources.iter().find(|one| one["source"] == SOURCE);
    let ours = ours.with_context(|| format!("{SOURCE} in {stats}"))?;
    let number = |name: &str| ours[name].as_u64().with_context(|| format!("{name} in {ours}"));
    Ok((number("current")?, number("limit")?))
}

async fn until_figures(api: &ApiClient, wanted: (u64, u64), within: Duration) -> Result<()> {
    wait::answer(&format!("figures {wanted:?}"), within, async || {
        let found = figures(api).await?;
        ensure!(found == wanted, "current and limit are {found:?}");
        Ok(())
    })
    .await
}

async fn reserve(api: &ApiClient, camera: &str, client: &str) -> Result<(StatusCode, Value)> {
    let body = json!({"camera_id": camera, "source": SOURCE, "client_id": client, "duration_seconds": 3600});
    let answer = api
        .send(Method::POST, "/api/v1/stream/reserve", Some(body))
        .await?;
    Ok((answer.status(), answer.json().await?))
}

async fn call(api: &ApiClient, method: Method, path: &str, reserved: &Value) -> Result<StatusCode> {
    let id = reserved["reservation_id"].as_str().context("reservation_id")?;
    let path = format!("/api/v1/stream/{path}/{id}");
    Ok(api.send(method, &path, None).await?.status())
}

#[tokio::test]
async fn r1_3_14_a_limit_is_reached_lowered_and_nobody_is_thrown_out() -> Result<()> {
    scenario("limit", |test| async move {
        test.add("a", json!({"video": "clip"})).await?;
        let id = camera::id(&camera::up(&test.cameras(), "a", UP).await?)?;
        let api = ApiClient::sign_in(&test.cluster).await?;
        let before = limit(&test.cluster, 2).await?;
        let outcome = limits_hold(&test.cluster, &api, &id).await;
        limit(&test.cluster, before).await?;
        outcome?;
        let found = wait::answer("the limit is back", IN_FORCE, async || {
            let (_, limit) = figures(&api).await?;
            ensure!(i64::try_from(limit)? == i64::from(before), "it is {limit}");
            Ok(limit)
        });
        found.await.map(|_| ())
    })
    .await
}

async fn limits_hold(cluster: &Cluster, api: &ApiClient, id: &str) -> Result<()> {
    until_figures(api, (0, 2), LEASE).await?;
    let (status, first) = reserve(api, id, "one").await?;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!((&first["current_usage"], &first["limit"]), (&json!(1), &json!(2)));
    // contracts.md 17: the same again.
    let (_, again) = reserve(api, id, "one").await?;
    assert_eq!(again["reservation_id"], first["reservation_id"]);
    let (_, second) = reserve(api, id, "two").await?;
    let (status, full) = reserve(api, id, "three").await?;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let expected =
        json!({"error": "LIMIT_REACHED", "source": SOURCE, "current": 2, "limit": 2, "retry_after": 30});
    for (member, value) in expected.as_object().context("object")? {
        assert_eq!(&full[member], value, "{full}");
    }
    assert_eq!(
        call(api, Method::DELETE, "release", &first).await?,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        call(api, Method::DELETE, "release", &first).await?,
        StatusCode::NO_CONTENT,
        "idempotent"
    );
    assert_eq!(
        call(api, Method::POST, "heartbeat", &first).await?,
        StatusCode::NOT_FOUND
    );
    let (status, third) = reserve(api, id, "three").await?;
    assert_eq!(
        status,
        StatusCode::OK,
        "a slot that was given back is free: {third}"
    );

    limit(cluster, 1).await?;
    until_figures(api, (2, 1), IN_FORCE).await?;
    for held in [&second, &third] {
        assert_eq!(
            call(api, Method::POST, "heartbeat", held).await?,
            StatusCode::OK,
            "nobody is thrown out"
        );
    }
    assert_eq!(
        call(api, Method::DELETE, "release", &second).await?,
        StatusCode::NO_CONTENT
    );
    let (status, _) = reserve(api, id, "one").await?;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "one of one is in use");
    assert_eq!(
        call(api, Method::DELETE, "release", &third).await?,
        StatusCode::NO_CONTENT
    );
    until_figures(api, (0, 1), IN_FORCE).await?;

    // Wrong input: a clear code, and nothing changed.
    let wrong = [
        (json!({"camera_id": id, "source": "NOPE"}), 409, "SourceMismatch"),
        (
            json!({"camera_id": id, "duration_seconds": 0}),
            400,
            "InvalidRequest",
        ),
        (
            json!({"camera_id": id, "duration_seconds": -1}),
            400,
            "InvalidRequest",
        ),
        (json!({"camera_id": 7}), 400, "InvalidRequest"),
        (
            json!({"camera_id": id, "user_id": "somebody else"}),
            403,
            "Forbidden",
        ),
    ];
    for (body, status, code) in wrong {
        let answer = api
            .send(Method::POST, "/api/v1/stream/reserve", Some(body.clone()))
            .await?;
        assert_eq!(answer.status().as_u16(), status, "{body}");
        let problem: Value = answer.json().await?;
        assert_eq!(problem["code"], code, "{problem}");
    }
    assert_eq!(figures(api).await?, (0, 1));
    Ok(())
}

/// R1.3-40, as far as one server goes: it starts from nothing, says so, and is told again.
#[tokio::test]
async fn r1_3_40_valkey_is_killed_and_nobody_loses_picture_or_slot() -> Result<()> {
    scenario("ledger", |test| async move {
        test.add("clock", json!({"video": "clock"})).await?;
        let id = camera::id(&camera::up(&test.cameras(), "clock", UP).await?)?;
        let api = ApiClient::sign_in(&test.cluster).await?;
        let page = Page::watching(&test.cluster, &id).await?;
        let (status, held) = reserve(&api, &id, "tool").await?;
        assert_eq!(status, StatusCode::OK, "{held}");
        let before = figures(&api).await?;
        let pods = test.cluster.pods_of("valkey").await?;
        let dead: Vec<String> = pods.iter().filter_map(|pod| pod.metadata.name.clone()).collect();
        for pod in &dead {
            test.cluster.kill(pod).await?;
        }
        wait::answer("Valkey is back", Duration::from_secs(60), async || {
            let pods = test.cluster.pods_of("valkey").await?;
            ensure!(pods.iter().all(is_ready) && !pods.is_empty(), "no pod is Ready");
            Ok(())
        })
        .await?;
        wait::answer("the lease is renewed", Duration::from_secs(30), async || {
            let status = call(&api, Method::POST, "heartbeat", &held).await?;
            ensure!(status == StatusCode::OK, "{status}");
            Ok(())
        })
        .await?;
        until_figures(&api, before, IN_FORCE).await?;
        let (status, new) = wait::answer("something new is granted", Duration::from_secs(20), async || {
            let answer = reserve(&api, &id, "new").await?;
            ensure!(answer.0 == StatusCode::OK, "{answer:?}");
            Ok(answer)
        })
        .await?;
        assert_eq!(status, StatusCode::OK, "{new}");
        for reserved in [&held, &new] {
            call(&api, Method::DELETE, "release", reserved).await?;
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        page.picture_after(&id, u64::try_from(now.as_millis())?, Duration::from_secs(10))
            .await?;
        Ok(())
    })
    .await
}
