//! The API server is killed and comes back: pictures go on, nothing of ours is restarted, and what is edited then is answered.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use marsad_e2e::page::{self, Page};
use marsad_e2e::process::Component;
use marsad_e2e::scenario::scenario;
use marsad_e2e::undisturbed::Undisturbed;
use marsad_e2e::{camera, wait};
use rustix::process::Signal;
use serde_json::json;

const UP: Duration = Duration::from_secs(30);
/// It is started again at once, and takes some seconds.
const BACK: Duration = Duration::from_secs(60);
/// An operator that could not renew has to win the Lease again (contracts.md 13).
const ANSWERED: Duration = Duration::from_secs(40);

#[tokio::test]
async fn pictures_go_on_and_an_edit_is_answered() -> Result<()> {
    scenario("apiserver", |test| async move {
        test.add("clock", json!({"video": "clock"})).await?;
        let before = camera::up(&test.cameras(), "clock", UP).await?;
        let id = camera::id(&before)?;
        let page = Page::watching(&test.cluster, &id).await?;
        let calm = Undisturbed::now(&test.cluster, &before).await?;

        let server = Component::find("kube-apiserver")?;
        server.signal(Signal::KILL)?;
        let killed = page::now()?;
        page.picture_after(&id, killed, Duration::from_secs(5))
            .await
            .context("while the API server is away")?;
        wait::answer("the API server is back", BACK, async || {
            ensure!(Component::find("kube-apiserver")? != server, "the old one");
            test.cluster.client.apiserver_version().await?;
            Ok(())
        })
        .await?;

        camera::edit(&test.cameras(), "clock", "edited after it", ANSWERED).await?;
        let after = camera::up(&test.cameras(), "clock", UP).await?;
        calm.still(&test.cluster, &after).await?;
        Ok(())
    })
    .await
}
