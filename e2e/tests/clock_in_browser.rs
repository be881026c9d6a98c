//! The instrument itself: a clock that a browser draws is read from its video, without a cluster.

use std::time::Duration;

use anyhow::Result;
use marsad_e2e::browser::Browser;
use marsad_e2e::page::Page;

/// A tile whose video is a canvas with the barcode of docs/architecture.md; `?broken` leaves its checksum out.
const TILE: &str = include_str!("clock_in_browser.html");

async fn page(fragment: &str) -> Result<(Page, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tile.html");
    std::fs::write(&file, TILE)?;
    let browser = Browser::start().await?;
    browser
        .goto(&format!("file://{}{fragment}", file.display()))
        .await?;
    Ok((Page::of(browser), folder))
}

#[tokio::test]
async fn the_clock_is_read_and_is_of_now() -> Result<()> {
    let (page, _folder) = page("").await?;
    let frames = page.frames("a", 10, Duration::from_secs(20)).await?;
    assert_eq!(frames.len(), 10, "{frames:?}");
    for frame in &frames {
        assert_eq!(frame.width, 640);
        let age = frame.age().expect("a readable clock");
        assert!((0..2_000).contains(&age), "{age} ms: {frame:?}");
    }
    let clocks: Vec<u32> = frames.iter().filter_map(|frame| frame.clock).collect();
    assert!(clocks.windows(2).all(|pair| pair[0] < pair[1]), "{clocks:?}");
    Ok(())
}

#[tokio::test]
async fn a_spoilt_clock_is_not_read() -> Result<()> {
    let (page, _folder) = page("#broken").await?;
    let frames = page.frames("a", 3, Duration::from_secs(20)).await?;
    assert_eq!(frames.len(), 3, "{frames:?}");
    assert!(frames.iter().all(|frame| frame.clock.is_none()), "{frames:?}");
    Ok(())
}

#[tokio::test]
async fn a_tile_that_is_not_there_is_said() -> Result<()> {
    let (page, _folder) = page("").await?;
    let error = page
        .frames("b", 1, Duration::from_secs(1))
        .await
        .expect_err("no tile b");
    assert!(error.to_string().contains("no video of b"), "{error}");
    assert!(page.tile("b").await.is_err());
    assert_eq!(page.tile("a").await?.state, "live");
    Ok(())
}
