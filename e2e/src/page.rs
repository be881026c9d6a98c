//! The dashboard in a browser: sign in, open a tile, read the clock in its picture.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use fantoccini::Locator;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::cluster::Cluster;
use crate::{barcode, wait};

/// Frames as the page shows them: brightness of the 40 cells of each, and when it was shown.
const FRAMES: &str = concat!(include_str!("cells.js"), include_str!("frames.js"));
/// The last picture that a tile shows, in the same way.
const STILL: &str = concat!(include_str!("cells.js"), include_str!("still.js"));

/// The page of a cluster, signed in.
pub struct Page {
    browser: Browser,
}

/// A frame that a tile has shown.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The clock in its picture; none when it can't be read.
    pub clock: Option<u32>,
    /// Milliseconds since 1970 when it was shown.
    pub shown: u64,
    /// Width of the picture.
    pub width: u64,
}

impl Frame {
    /// Milliseconds from the camera to the screen.
    pub fn age(&self) -> Option<i64> {
        Some(barcode::age(self.shown, self.clock?))
    }
}

/// What a tile says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// connecting, waiting, live, stalled, offline, failed.
    pub state: String,
    /// A reason of the catalogue.
    pub reason: Option<String>,
}

/// The last picture of a camera, as its tile shows it.
#[derive(Debug, Clone)]
pub struct Still {
    /// The clock in it; none when it can't be read.
    pub clock: Option<u32>,
    /// Width in pixels.
    pub width: u64,
    /// What the tile says over it.
    pub text: String,
}

/// Now, as the clock in a picture is read: epoch milliseconds.
///
/// # Errors
/// When this machine's clock stands before 1970.
pub fn now() -> Result<u64> {
    Ok(u64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis(),
    )?)
}

impl Page {
    /// Opens the page and signs in with the cluster's user.
    ///
    /// # Errors
    /// When the page does not come, or refuses.
    pub async fn sign_in(cluster: &Cluster) -> Result<Self> {
        let page = Self {
            browser: Browser::start().await?,
        };
        page.browser.goto(&cluster.url).await?;
        let client = page.browser.client();
        let wait_for = |css| {
            client
                .wait()
                .at_most(Duration::from_secs(20))
                .for_element(Locator::Css(css))
        };
        wait_for("#username")
            .await
            .context("the sign-in page")?
            .send_keys(&cluster.user)
            .await?;
        client
            .find(Locator::Css("#password"))
            .await?
            .send_keys(&cluster.password)
            .await?;
        client
            .find(Locator::Css("button[type=submit]"))
            .await?
            .click()
            .await?;
        wait_for("#wall").await.context("the page behind the sign-in")?;
        Ok(page)
    }

    /// A page that is open already, whoever made it.
    pub fn of(browser: Browser) -> Self {
        Self { browser }
    }

    /// Signs in and opens the camera; its picture is live.
    ///
    /// # Errors
    /// When it does not become live in half a minute.
    pub async fn watching(cluster: &Cluster, camera_id: &str) -> Result<Self> {
        let page = Self::sign_in(cluster).await?;
        page.open(camera_id, Duration::from_secs(10)).await?;
        page.tile_is(camera_id, "live", Duration::from_secs(20)).await?;
        Ok(page)
    }

    /// The browser, for what is not here.
    pub fn browser(&self) -> &Browser {
        &self.browser
    }

    /// Waits for the camera in the list and chooses it.
    ///
    /// # Errors
    /// When it does not appear within `within`.
    pub async fn open(&self, camera_id: &str, within: Duration) -> Result<()> {
        let css = format!("[data-testid=camera-row][data-camera-id='{camera_id}'] button");
        let client = self.browser.client();
        let row = client
            .wait()
            .at_most(within)
            .for_element(Locator::Css(&css))
            .await;
        row.with_context(|| format!("camera {camera_id} in the list"))?
            .click()
            .await?;
        Ok(())
    }

    /// Takes the camera off the wall.
    ///
    /// # Errors
    /// When it has no tile.
    pub async fn close(&self, camera_id: &str) -> Result<()> {
        let script =
            "const button = document.querySelector(`[data-testid=tile][data-camera-id='${arguments[0]}'] [data-testid=tile-remove]`);
            button?.click(); return Boolean(button);";
        let clicked = self.browser.run(script, vec![json!(camera_id)]).await?;
        anyhow::ensure!(clicked == json!(true), "no tile of {camera_id}");
        Ok(())
    }

    /// What the camera's tile says now.
    ///
    /// # Errors
    /// When there is no tile.
    pub async fn tile(&self, camera_id: &str) -> Result<Tile> {
        let script =
            "const tile = document.querySelector(`[data-testid=tile][data-camera-id='${arguments[0]}']`);
            return tile && {state: tile.dataset.state, reason: tile.dataset.reason ?? null};";
        let found = self.browser.run(script, vec![json!(camera_id)]).await?;
        let state = text(&found, "state")
            .with_context(|| format!("no tile of {camera_id}"))?
            .to_owned();
        Ok(Tile {
            state,
            reason: text(&found, "reason").map(str::to_owned),
        })
    }

    /// Waits until the tile is in `state`.
    ///
    /// # Errors
    /// After `within`, with what it says instead.
    pub async fn tile_is(&self, camera_id: &str, state: &str, within: Duration) -> Result<Tile> {
        wait::answer(&format!("the tile is {state}"), within, async || {
            let tile = self.tile(camera_id).await?;
            if tile.state != state {
                bail!("the tile says {tile:?}");
            }
            Ok(tile)
        })
        .await
    }

    /// The next frames of a tile, up to `count`, as many as come within `within` (at most 50 s).
    ///
    /// # Errors
    /// When there is no tile with a picture.
    pub async fn frames(&self, camera_id: &str, count: usize, within: Duration) -> Result<Vec<Frame>> {
        let millis = u64::try_from(within.as_millis())?;
        let found = self
            .browser
            .run_async(FRAMES, vec![json!(camera_id), json!(count), json!(millis)])
            .await?;
        if let Some(error) = text(&found, "error") {
            bail!("{error}");
        }
        let frames = found.get("frames").and_then(Value::as_array).context("frames")?;
        Ok(frames.iter().filter_map(frame).collect())
    }

    /// Waits for a frame of which the camera's clock is later than `after` (epoch milliseconds): a picture of now,
    /// whatever the tile says.
    ///
    /// # Errors
    /// After `within`, with what the tile says.
    pub async fn picture_after(&self, camera_id: &str, after: u64, within: Duration) -> Result<Frame> {
        wait::answer("a picture of now", within, async || {
            let frames = self.frames(camera_id, 1, Duration::from_secs(1)).await?;
            let fresh = frames
                .iter()
                .find(|frame| frame.clock.is_some_and(|clock| barcode::age(after, clock) < 0));
            match fresh {
                Some(frame) => Ok(*frame),
                None => bail!(
                    "the tile says {:?}, and shows {frames:?}",
                    self.tile(camera_id).await?
                ),
            }
        })
        .await
    }

    /// The last picture in the camera's tile; none while none is shown.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn still(&self, camera_id: &str) -> Result<Option<Still>> {
        let found = self.browser.run(STILL, vec![json!(camera_id)]).await?;
        Ok(found
            .get("width")
            .and_then(Value::as_u64)
            .zip(cells(&found))
            .map(|(width, cells)| Still {
                clock: barcode::decode(&cells),
                width,
                text: text(&found, "text").unwrap_or_default().to_owned(),
            }))
    }

    /// What the page says, in words.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn text(&self) -> Result<String> {
        let text = self
            .browser
            .run("return document.body.innerText;", vec![])
            .await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn cells(value: &Value) -> Option<Vec<f64>> {
    let cells = value.get("cells")?.as_array()?;
    Some(cells.iter().filter_map(Value::as_f64).collect())
}

fn frame(value: &Value) -> Option<Frame> {
    Some(Frame {
        clock: barcode::decode(&cells(value)?),
        shown: value.get("shown")?.as_u64()?,
        width: value.get("width")?.as_u64()?,
    })
}
