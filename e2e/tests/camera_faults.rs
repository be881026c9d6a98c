//! What cameras do wrong: each has its own reason within 15 s, the camera is back without a person, and its neighbour
//! notices nothing.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use marsad_crds::refs::SecretRef;
use marsad_crds::{Camera, ConditionType, Reason};
use marsad_e2e::camera::{self, camera};
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::wait;
use serde_json::json;

const UP: Duration = Duration::from_secs(30);
/// From the fault to its reason in the object.
const TOLD: Duration = Duration::from_secs(15);
/// From the end of the fault to Online: up to 36 s until the next try when the circuit has opened (R1.1-08), and the picture is looked at.
const BACK: Duration = Duration::from_secs(60);

/// A camera that fails beside one that must not be disturbed.
struct Pair {
    test: Scenario,
    neighbour: Camera,
}

impl Pair {
    async fn new(test: Scenario) -> Result<Self> {
        test.add("faulty", json!({"video": "clip"})).await?;
        test.add("neighbour", json!({"video": "clip"})).await?;
        camera::up(&test.cameras(), "faulty", UP).await?;
        let neighbour = camera::up(&test.cameras(), "neighbour", UP).await?;
        Ok(Self { test, neighbour })
    }

    fn faulty(&self) -> String {
        self.test.simulated("faulty")
    }

    /// Waits for the reason, ends the fault by `mend`, and waits for the camera to come back.
    async fn tells_and_recovers(&self, reason: Reason, mend: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
        let cameras = self.test.cameras();
        let down = camera::down(&cameras, "faulty", reason, TOLD).await?;
        let online = camera::condition(&down, ConditionType::Online).context("Online")?;
        assert!(online.message.len() > 10, "for people: {online:?}");
        mend().await?;
        camera::up(&cameras, "faulty", BACK).await?;
        let after = cameras.get("neighbour").await?;
        assert_eq!(after.status, self.neighbour.status, "the neighbour was disturbed");
        assert_eq!(
            after.resource_version(),
            self.neighbour.resource_version(),
            "the neighbour was written"
        );
        Ok(())
    }
}

/// A fault of the simulator and its reason.
async fn fault(name: &str, fault: &'static str, reason: Reason) -> Result<()> {
    scenario(name, |test| async move {
        let pair = Pair::new(test).await?;
        pair.test.sim.fault(&pair.faulty(), fault).await?;
        pair.tells_and_recovers(reason, async || pair.test.sim.fault(&pair.faulty(), "none").await)
            .await
    })
    .await
}

/// Another video of the same camera and its reason.
async fn video(name: &str, video: &'static str, reason: Reason) -> Result<()> {
    scenario(name, |test| async move {
        let pair = Pair::new(test).await?;
        pair.test.sim.put(&pair.faulty(), json!({"video": video})).await?;
        pair.tells_and_recovers(reason, async || {
            pair.test.sim.put(&pair.faulty(), json!({"video": "clip"})).await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_wrong_path() -> Result<()> {
    fault("path", "not_found", Reason::StreamNotFound).await
}

#[tokio::test]
async fn a_camera_that_wants_another_password() -> Result<()> {
    fault("unauthorized", "unauthorized", Reason::Unauthorized).await
}

#[tokio::test]
async fn a_stream_without_video() -> Result<()> {
    fault("novideo", "no_video", Reason::NoVideo).await
}

#[tokio::test]
async fn a_camera_that_sends_nothing() -> Result<()> {
    scenario("stall", |test| async move {
        let pair = Pair::new(test).await?;
        pair.test.sim.fault(&pair.faulty(), "stall").await?;
        // Connected and silent; after MediaMTX gave up on it, whatever the camera then answers.
        let told = camera::down(&pair.test.cameras(), "faulty", Reason::Stalled, TOLD).await;
        pair.test.sim.fault(&pair.faulty(), "none").await?;
        told?;
        camera::up(&pair.test.cameras(), "faulty", BACK).await?;
        Ok(())
    })
    .await
}

/// Stalled at first, which is told within the 15 s; that it accepts and does not answer is known when MediaMTX has given up (10 s), the
/// next poll has seen it (1 s) and the camera was asked in vain (4 s).
#[tokio::test]
async fn a_camera_that_accepts_and_says_nothing() -> Result<()> {
    scenario("hang", |test| async move {
        let pair = Pair::new(test).await?;
        pair.test.sim.fault(&pair.faulty(), "hang").await?;
        camera::down(&pair.test.cameras(), "faulty", Reason::Stalled, TOLD).await?;
        pair.tells_and_recovers(Reason::ConnectTimeout, async || {
            pair.test.sim.fault(&pair.faulty(), "none").await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn h265_only() -> Result<()> {
    video("h265", "h265", Reason::UnsupportedCodec).await
}

#[tokio::test]
async fn b_frames() -> Result<()> {
    video("bframes", "bframes", Reason::BFrames).await
}

/// Nobody listens on the camera's port; then it is plugged in.
#[tokio::test]
async fn a_camera_that_is_unplugged() -> Result<()> {
    scenario("refused", |test| async move {
        let name = test.simulated("faulty");
        // The namespace ends in random hex digits: no other run has this port.
        let digits = test.namespace.rsplit('-').next().unwrap_or_default();
        let port = 20_000 + u16::try_from(u32::from_str_radix(digits, 16)? % 10_000)?;
        let video = json!({"video": "clip", "port": port});
        test.simulate("faulty", video.clone()).await?;
        test.add("neighbour", json!({"video": "clip"})).await?;
        test.apply("faulty", &test.sim.url_with_port(&name, port).await?)
            .await?;
        camera::up(&test.cameras(), "faulty", UP).await?;
        let neighbour = camera::up(&test.cameras(), "neighbour", UP).await?;
        test.sim.delete(&name).await?;
        let pair = Pair { test, neighbour };
        pair.tells_and_recovers(Reason::ConnectionRefused, async || {
            pair.test.sim.put(&name, video).await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_name_that_nobody_knows() -> Result<()> {
    scenario("dns", |test| async move {
        test.apply("lost", "rtsp://no-such-camera.marsad-sim.svc:8554/main")
            .await?;
        camera::down(&test.cameras(), "lost", Reason::DnsFailed, TOLD).await?;
        Ok(())
    })
    .await
}

/// The Secret holds a wrong password; the right one is put in.
#[tokio::test]
async fn a_wrong_password_in_the_secret() -> Result<()> {
    scenario("password", |test| async move {
        let secret = |password: &str| {
            json!({
                "type": "marsad.dev/camera-credentials",
                "stringData": {"username": "viewer", "password": password},
            })
        };
        test.bind_secrets().await?;
        test.secret("faulty", secret("wrong")).await?;
        test.simulate(
            "faulty",
            json!({"video": "clip", "username": "viewer", "password": "right"}),
        )
        .await?;
        let mut faulty = camera("faulty", &test.sim.url(&test.simulated("faulty")));
        faulty.spec.stream.credentials_secret_ref = Some(SecretRef {
            name: "faulty".to_owned(),
        });
        test.create(faulty).await?;
        camera::down(&test.cameras(), "faulty", Reason::Unauthorized, TOLD).await?;
        test.secret("faulty", secret("right")).await?;
        // The operator may not watch Secrets of agencies: it looks again.
        camera::up(&test.cameras(), "faulty", Duration::from_secs(90)).await?;
        Ok(())
    })
    .await
}

/// `spec.suspend` is a wish fulfilled: no error, no alarm, and back when it ends.
#[tokio::test]
async fn suspended_and_resumed() -> Result<()> {
    scenario("suspend", |test| async move {
        test.add("a", json!({"video": "clip"})).await?;
        camera::up(&test.cameras(), "a", UP).await?;
        let suspend = |yes: bool| Patch::Merge(json!({"spec": {"suspend": yes}}));
        test.cameras()
            .patch("a", &PatchParams::default(), &suspend(true))
            .await?;
        let down = camera::down(&test.cameras(), "a", Reason::Suspended, Duration::from_secs(10)).await?;
        let ready = camera::condition(&down, ConditionType::Ready).expect("Ready");
        assert_eq!(ready.reason, "Suspended");
        test.cameras()
            .patch("a", &PatchParams::default(), &suspend(false))
            .await?;
        camera::up(&test.cameras(), "a", UP).await?;
        Ok(())
    })
    .await
}

/// What `kubectl describe` shows: that it went off the air and why, and that it is back; each once.
#[tokio::test]
async fn a_loss_and_a_return_are_told_as_events() -> Result<()> {
    use k8s_openapi::api::events::v1::Event;
    use kube::api::ListParams;
    scenario("events", |test| async move {
        let pair = Pair::new(test).await?;
        pair.test.sim.fault(&pair.faulty(), "not_found").await?;
        pair.tells_and_recovers(Reason::StreamNotFound, async || {
            pair.test.sim.fault(&pair.faulty(), "none").await
        })
        .await?;
        let events: kube::Api<Event> =
            kube::Api::namespaced(pair.test.cluster.client.clone(), &pair.test.namespace);
        wait::answer("both events", TOLD, async || {
            let all = events.list(&ListParams::default()).await?;
            let mut told: Vec<(String, String, String)> = all
                .into_iter()
                .filter_map(|event| Some((event.regarding?.name?, event.type_?, event.reason?)))
                .collect();
            told.sort();
            let wanted = [("Normal", "Online"), ("Warning", "StreamNotFound")]
                .map(|(kind, reason)| ("faulty".to_owned(), kind.to_owned(), reason.to_owned()));
            anyhow::ensure!(told == wanted, "{told:?}");
            Ok(())
        })
        .await
    })
    .await
}
