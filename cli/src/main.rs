//! The `marsad` binary: one subcommand per role, and tools.

mod healthcheck;

use clap::{Parser, Subcommand};

// glibc's allocator keeps freed list pages and is slow under threads (research/operators.md §4.2).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Marsad runs a city's cameras as Kubernetes objects.
#[derive(Debug, Parser)]
#[command(name = "marsad", version)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Controllers of Camera, CameraSource and IngestPool.
    Operator(marsad_operator::Args),
    /// Sign-in, the camera list, updates and the page.
    Api(marsad_api::Args),
    /// Live viewing on demand.
    Streams(marsad_streams::Args),
    /// Asks a role, or MediaMTX, how it is.
    Healthcheck(healthcheck::Args),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().role {
        Role::Operator(args) => marsad_operator::run(args).await,
        Role::Api(args) => marsad_api::run(args).await,
        Role::Streams(args) => marsad_streams::run(args).await,
        Role::Healthcheck(args) => healthcheck::run(args).await,
    }
}
