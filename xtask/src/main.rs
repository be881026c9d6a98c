//! `cargo xtask up | down | test | bench | generate | …`: everything that is done to the repository
//! other than writing it.

mod checkout;
mod cluster;
mod command;
mod engines;
mod generate;
mod images;
mod node;
mod packages;
mod progress;

use anyhow::{Context, Result};
use clap::Parser;

use crate::checkout::Checkout;
use crate::cluster::Cluster;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Builds, runs and checks Marsad")]
enum Task {
    /// Brings up a local cluster with Marsad in it
    Up {
        /// Stop at a bare node with DNS
        #[arg(long)]
        node_only: bool,
    },
    /// Ends the local cluster and removes everything but caches
    Down,
    /// Prints the path of the local cluster's kubeconfig
    Kubeconfig,
    /// Runs kubectl against the local cluster
    Kubectl {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Builds all engines into the cache
    Engines,
    /// Writes manifests/ and the chart's copies from the types in crds/
    Generate {
        /// Write nothing, fail when what is committed differs
        #[arg(long)]
        check: bool,
    },
    /// Lays out the build contexts of deploy/images/*.Dockerfile under target/images
    Images,
    #[command(flatten)]
    Node(node::Role),
}

fn main() -> std::process::ExitCode {
    match run(Task::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    if let Task::Node(role) = task {
        return role.play();
    }
    let checkout = Checkout::find()?;
    match task {
        Task::Up { .. } => {
            packages::for_node(&checkout)?;
            let _lock = node::lock(&checkout)?;
            cluster::bare(&checkout).map(drop)
        }
        Task::Down => node::down(&checkout),
        Task::Kubeconfig => {
            node::required(&checkout)?;
            println!("{}", checkout.kubeconfig().display());
            Ok(())
        }
        Task::Kubectl { args } => {
            node::required(&checkout)?;
            use std::os::unix::process::CommandExt;
            let error = Cluster::local(&checkout).kubectl().args(args).exec();
            Err(error).context("cannot run kubectl")
        }
        Task::Images => {
            engines::ensure(&checkout, &engines::ALL)?;
            println!("{}", images::stage(&checkout)?.display());
            Ok(())
        }
        Task::Engines => engines::ensure(&checkout, &engines::ALL),
        Task::Generate { check } => generate::run(check),
        Task::Node(role) => role.play(),
    }
}
