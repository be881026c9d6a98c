//! Many cameras, a tenth of them dead: each dead one says why, and the others notice nothing. With 500 it is `bench ingest`.

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::ResourceExt as _;
use marsad_crds::{Camera, Reason};
use marsad_e2e::camera;
use marsad_e2e::scenario::scenario;
use serde_json::json;

const UP: Duration = Duration::from_secs(60);
const OPENS: Duration = Duration::from_secs(60);
const ALL: usize = 20;
/// How they are dead, and what is said of it.
const DEAD: [(&str, Reason); 2] = [
    ("not_found", Reason::StreamNotFound),
    ("hang", Reason::ConnectTimeout),
];

#[tokio::test]
async fn a_tenth_is_dead_and_the_others_notice_nothing() -> Result<()> {
    scenario("dead", |test| async move {
        let living: Vec<String> = (DEAD.len()..ALL).map(|number| format!("cam-{number}")).collect();
        for (number, (fault, _)) in DEAD.iter().enumerate() {
            let name = format!("cam-{number}");
            // Dead before it is known: it has never been up.
            test.simulate(&name, json!({"video": "clip"})).await?;
            test.sim.fault(&test.simulated(&name), fault).await?;
            test.apply(&name, &test.sim.url(&test.simulated(&name))).await?;
        }
        for name in &living {
            test.add(name, json!({"video": "clip"})).await?;
        }
        let mut before: Vec<Camera> = Vec::new();
        for name in &living {
            before.push(camera::up(&test.cameras(), name, UP).await?);
        }
        for (number, (_, reason)) in DEAD.iter().enumerate() {
            let name = format!("cam-{number}");
            camera::down(&test.cameras(), &name, *reason, UP).await?;
            // Three tries each, seen to the end.
            camera::given_up(&test.cameras(), &name, OPENS).await?;
        }
        for camera in before {
            let after = test.cameras().get(&camera.name_any()).await?;
            ensure!(
                after.resource_version() == camera.resource_version(),
                "{} was written",
                camera.name_any()
            );
        }
        Ok(())
    })
    .await
}
