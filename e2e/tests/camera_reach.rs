//! Where a camera may be, and where a password may go (contracts.md 9): the operator is nobody's port scanner, and carries no password
//! to a host that its owner did not mean.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use marsad_crds::refs::SecretRef;
use marsad_crds::{ConditionType, Reason};
use marsad_e2e::camera::{self, camera};
use marsad_e2e::scenario::scenario;
use marsad_e2e::shard;
use serde_json::{Value, json};

const UP: Duration = Duration::from_secs(30);
const TOLD: Duration = Duration::from_secs(15);
/// Secrets of agencies are not watched.
const LATER: Duration = Duration::from_secs(60);

/// The shard's own API, by address and by name; the API server's; and a cloud's metadata.
#[tokio::test]
async fn inside_the_cluster_nobody_is_dialled() -> Result<()> {
    scenario("reach", |test| async move {
        for (name, url) in [
            ("address", "rtsp://127.0.0.1:9997/v3"),
            ("short", "rtsp://127.1:9997/v3"),
            ("name", "rtsp://localhost:9997/v3"),
            ("metadata", "rtsp://169.254.169.254:80/latest"),
        ] {
            test.apply(name, url).await?;
            let held = camera::held(&test.cameras(), name, Reason::SourceNotAllowed, TOLD).await?;
            let ready = camera::condition(&held, ConditionType::Ready).context("Ready")?;
            ensure!(ready.message.contains("sourceCIDRs of agency other"), "{ready:?}");
            ensure!(camera::shard(&held).is_none(), "{name} is on a shard");
        }
        Ok(())
    })
    .await
}

/// MediaMTX is given the address that was judged: it asks no name server what the name means by then.
#[tokio::test]
async fn a_name_is_dialled_at_the_address_that_was_judged() -> Result<()> {
    scenario("named", |test| async move {
        test.add("a", json!({"video": "clip"})).await?;
        camera::up(&test.cameras(), "a", UP).await?;
        let config = shard::ask(&test, "a", "config/paths/get")
            .await?
            .context("no path")?;
        let source = config.get("source").and_then(Value::as_str).context("source")?;
        let address = source
            .strip_prefix("rtsp://")
            .and_then(|rest| rest.split(':').next())
            .context("host")?;
        ensure!(address.parse::<std::net::IpAddr>().is_ok(), "{source}");
        Ok(())
    })
    .await
}

/// The Secret names another host; then it names this one too.
#[tokio::test]
async fn a_password_stays_until_its_secret_names_the_host() -> Result<()> {
    scenario("hosts", |test| async move {
        let secret = |hosts: &str| {
            json!({
                "metadata": {"annotations": {"marsad.dev/hosts": hosts}},
                "type": "marsad.dev/camera-credentials",
                "stringData": {"username": "viewer", "password": "right"},
            })
        };
        test.bind_secrets().await?;
        test.secret("login", secret("nvr.police.example")).await?;
        let guarded = json!({"video": "clip", "username": "viewer", "password": "right"});
        test.simulate("a", guarded).await?;
        let mut a = camera("a", &test.sim.url(&test.simulated("a")));
        a.spec.stream.credentials_secret_ref = Some(SecretRef::from("login"));
        test.create(a).await?;
        let held = camera::held(&test.cameras(), "a", Reason::SecretNotForHost, TOLD).await?;
        ensure!(camera::shard(&held).is_none());
        test.secret("login", secret("nvr.police.example, *.marsad-sim.svc"))
            .await?;
        camera::up(&test.cameras(), "a", LATER).await?;
        Ok(())
    })
    .await
}
