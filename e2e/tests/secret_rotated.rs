//! A camera's password is changed, at the camera first or in the Secret first: nobody touches the Camera, and its picture comes back.

use std::time::Duration;

use anyhow::Result;
use marsad_crds::Reason;
use marsad_crds::refs::SecretRef;
use marsad_e2e::camera::{self, camera};
use marsad_e2e::scenario::{Scenario, scenario};
use serde_json::{Value, json};

const UP: Duration = Duration::from_secs(30);
const TOLD: Duration = Duration::from_secs(30);
/// Secrets of agencies are not watched, and the circuit may have opened.
const BACK: Duration = Duration::from_secs(90);

fn guarded(password: &str) -> Value {
    json!({"video": "clip", "username": "viewer", "password": password})
}

async fn put_in_secret(test: &Scenario, password: &str) -> Result<()> {
    let secret = json!({
        "type": "marsad.dev/camera-credentials",
        "stringData": {"username": "viewer", "password": password},
    });
    test.secret("login", secret).await
}

async fn guarded_camera(test: &Scenario) -> Result<()> {
    test.bind_secrets().await?;
    put_in_secret(test, "first").await?;
    test.simulate("a", guarded("first")).await?;
    let mut a = camera("a", &test.sim.url(&test.simulated("a")));
    a.spec.stream.credentials_secret_ref = Some(SecretRef {
        name: "login".to_owned(),
    });
    test.create(a).await?;
    camera::up(&test.cameras(), "a", UP).await?;
    Ok(())
}

#[tokio::test]
async fn at_the_camera_first() -> Result<()> {
    scenario("rotated", |test| async move {
        guarded_camera(&test).await?;
        test.sim.put(&test.simulated("a"), guarded("second")).await?;
        camera::down(&test.cameras(), "a", Reason::Unauthorized, TOLD).await?;
        put_in_secret(&test, "second").await?;
        camera::up(&test.cameras(), "a", BACK).await?;
        Ok(())
    })
    .await
}

/// The camera does not know the new password yet, and refuses it; then it is told.
#[tokio::test]
async fn in_the_secret_first() -> Result<()> {
    scenario("rotated", |test| async move {
        guarded_camera(&test).await?;
        put_in_secret(&test, "second").await?;
        camera::edit(&test.cameras(), "a", "looked at anew", UP).await?;
        camera::down(&test.cameras(), "a", Reason::Unauthorized, TOLD).await?;
        test.sim.put(&test.simulated("a"), guarded("second")).await?;
        camera::up(&test.cameras(), "a", BACK).await?;
        Ok(())
    })
    .await
}
