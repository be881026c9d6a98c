//! The api role: the one origin that a browser knows. Sign-in, the camera list and its updates, the page, and the
//! relays to `streams` and LiveKit (docs/architecture.md: Roles, Tokens of people, The API).

mod auth;
mod cameras;
mod metrics;
mod page;
mod problem;
mod relay;
mod request;
mod router;
mod updates;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;

use marsad_runtime::client;
use marsad_runtime::role::{Role, RoleArgs};
use tokio_util::sync::CancellationToken;

pub use auth::tokens::Keyring;
pub use auth::users::hash_password;
pub use cameras::store::Cameras;
pub use cameras::view::{CameraView, State, view};
pub use router::{Api, Settings, router};

/// Settings of the role.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What all roles share.
    #[command(flatten)]
    pub role: RoleArgs,
    /// Where `streams` answers, http only: it stands beside us.
    #[arg(long, env = "STREAMS_URL", default_value = "http://marsad-streams:8080")]
    pub streams_url: url::Url,
    /// Where LiveKit answers, http only: `/livekit` is relayed to it.
    #[arg(long, env = "LIVEKIT_URL", default_value = "http://marsad-livekit:7880")]
    pub livekit_url: url::Url,
    /// Where browsers reach LiveKit (wss://…); empty: at our own origin under `/livekit`.
    #[arg(long, env = "LIVEKIT_PUBLIC_URL", default_value = "")]
    pub livekit_public_url: String,
    /// Directory with one file a user, its name the user's, its content an Argon2id PHC string.
    #[arg(long, env = "USERS_DIR", default_value = "/etc/marsad/users")]
    pub users_dir: PathBuf,
    /// Directory with `private.pem` (PKCS #8, RSA 2048) and `kid`.
    #[arg(long, env = "JWT_DIR", default_value = "/etc/marsad/jwt")]
    pub jwt_dir: PathBuf,
    /// The built dashboard.
    #[arg(long, env = "DASHBOARD_DIR", default_value = "/dashboard")]
    pub dashboard_dir: PathBuf,
}

/// Runs the role until SIGTERM.
///
/// # Errors
/// When the API server's address or a setting is unusable, a port is taken, or a task ends that should not.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut role = Role::start("api", &args.role)?;
    let client = client::counted(&role.metrics).await?;
    let (cameras, feed) = Cameras::watched(client);
    let keyring = Keyring::default();
    let settings = Settings {
        streams_url: args.streams_url,
        livekit_url: args.livekit_url,
        livekit_public_url: args.livekit_public_url,
        users_dir: args.users_dir,
        dashboard_dir: args.dashboard_dir,
    };
    let api = Api::new(
        settings,
        cameras.clone(),
        keyring.clone(),
        &role.metrics,
        role.shutdown.clone(),
    )?;

    role.supervise("cameras", until(role.shutdown.clone(), feed));
    role.supervise(
        "keys",
        until(role.shutdown.clone(), keyring.clone().follow(args.jwt_dir)),
    );
    let (readiness, stop) = (role.readiness.clone(), role.shutdown.clone());
    let becoming_ready = async move {
        tokio::join!(cameras.ready(), keyring.ready());
        readiness.set(true);
        tracing::info!(cameras = cameras.len(), "ready");
        std::future::pending::<()>().await;
    };
    role.supervise("readiness", until(stop, becoming_ready));
    role.serve(router(api)).await?;
    Ok(())
}

/// Ends `task` at the stop; until then it has no reason to end.
async fn until(stop: CancellationToken, task: impl Future<Output = ()> + Send) -> Result<(), Infallible> {
    stop.run_until_cancelled(task).await;
    Ok(())
}
