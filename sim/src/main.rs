//! `marsad-sim`: cameras that need no hardware.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use marsad_sim::camera::{Spec, Video};
use marsad_sim::fleet::{Clips, Fleet};
use marsad_sim::{control, server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Serves simulated cameras over RTSP, and breaks them on command over HTTP.
#[derive(Parser)]
#[command(name = "marsad-sim", version)]
struct Args {
    /// Where RTSP is served; cameras with a port of their own listen on the same address.
    #[arg(long, env = "MARSAD_SIM_RTSP_LISTEN", default_value = "0.0.0.0:8554")]
    rtsp_listen: SocketAddr,

    /// Where the control API is served.
    #[arg(long, env = "MARSAD_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,

    /// Cameras to start with that show a looped clip, named cam-0, cam-1 …
    #[arg(long, default_value_t = 0)]
    cameras: u32,

    /// Cameras to start with that show a clock encoded live, named clock-0, clock-1 …
    #[arg(long, default_value_t = 0)]
    clocks: u32,

    /// Folder with the clips that `sim/clips.sh` has made.
    #[arg(long, env = "MARSAD_SIM_CLIPS", default_value = "/clips")]
    clips: PathBuf,

    /// error, warn, info, debug or trace.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    log_level: EnvFilter,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(args.log_level)
        .init();
    // Before anything is served: as process 1 of a container, an unhandled SIGTERM is ignored.
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;

    let clips = Clips::read(&args.clips)?;
    let fleet = Fleet::new(clips, args.rtsp_listen.ip())?;
    for (prefix, video, count) in [
        ("cam", Video::Clip, args.cameras),
        ("clock", Video::Clock, args.clocks),
    ] {
        for number in 0..count {
            let spec = Spec {
                video,
                credentials: None,
                port: None,
            };
            let name = format!("{prefix}-{number}");
            fleet
                .put(&name, spec)
                .await
                .with_context(|| format!("camera {name}"))?;
        }
    }
    let rtsp = listen(args.rtsp_listen).await?;
    let http = listen(args.listen).await?;
    tracing::info!(rtsp = %rtsp.local_addr()?, http = %http.local_addr()?, cameras = args.cameras, clocks = args.clocks, "serving");

    let control = axum::serve(http, control::router(Arc::clone(&fleet)));
    tokio::select! {
        () = server::accept(rtsp, fleet, None) => {}
        ended = control => ended.context("control API")?,
        _ = terminate.recv() => tracing::info!("SIGTERM"),
        _ = interrupt.recv() => tracing::info!("SIGINT"),
    }
    // Connections are cut as a camera's power is: nothing of theirs is worth waiting for.
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("can't listen on {address}"))
}
