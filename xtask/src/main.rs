//! `cargo xtask up | down | test | bench | generate | …`: everything that is done to the repository
//! other than writing it.

mod capacity;
mod checkout;
#[cfg(test)]
mod claims;
mod cluster;
mod command;
mod conform;
mod engines;
mod generate;
mod images;
mod install;
mod light;
mod node;
mod packages;
mod person;
mod progress;
mod test;
mod up;

use anyhow::{Context, Result};
use clap::Parser;

use crate::checkout::{Checkout, Profile};
use crate::cluster::Cluster;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Builds, runs and checks Marsad")]
enum Task {
    /// Brings up a local cluster with Marsad in it
    Up {
        /// Stop at a bare node with DNS
        #[arg(long, conflicts_with = "cluster")]
        node_only: bool,
        /// Build what is shipped instead of what tests run: slower to build, faster to run
        #[arg(long, conflicts_with = "node_only")]
        release: bool,
        /// Where to install: a cluster of our own, or the current context of your kubeconfig
        #[arg(long, value_enum, default_value_t = Where::Local)]
        cluster: Where,
        /// With `--cluster current`: where images are pushed and pulled, HOST/PREFIX
        #[arg(long, required_if_eq("cluster", "current"))]
        registry: Option<String>,
        /// With `--cluster current`: passed on to `helm upgrade --install`
        #[arg(last = true, requires = "registry")]
        helm: Vec<String>,
    },
    /// Ends the local cluster and removes everything but caches
    Down,
    /// Prints the path of the local cluster's kubeconfig
    Kubeconfig,
    /// Prints the address of the page
    Url,
    /// Prints user and password of the local cluster
    Login,
    /// Prints a signed access token of the local cluster
    Token {
        /// Whose
        #[arg(long, default_value = person::ADMIN)]
        user: String,
        /// A JSON object that overrides claims; null removes one
        #[arg(long)]
        claims: Option<String>,
    },
    /// Runs every tier of tests
    Test {
        /// Leave out what needs the local cluster
        #[arg(long)]
        fast: bool,
        /// The long forms too: hundreds of repetitions, every interleaving
        #[arg(long, conflicts_with = "fast")]
        soak: bool,
        /// Only this tier; may be given more than once
        #[arg(long, value_parser = test::names(), conflicts_with_all = ["fast", "soak"])]
        tier: Vec<String>,
    },
    /// Runs a benchmark of e2e/benches on the local cluster
    Bench {
        /// Its name
        name: String,
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Writes capacity/measured.json from the last full run of the benchmark `ingest`
    Capacity,
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

/// Where `up` installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Where {
    /// A node of our own on this machine.
    Local,
    /// The current context of the person's kubeconfig.
    Current,
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
        Task::Up { node_only: true, .. } => up::node_only(&checkout),
        Task::Up {
            cluster: Where::Local,
            release,
            ..
        } => up::up(&if release { shipped(&checkout) } else { checkout }),
        Task::Up { registry, helm, .. } => {
            let registry = registry.context("--cluster current needs --registry HOST/PREFIX")?;
            install::current(&shipped(&checkout), &registry, &helm)
        }
        Task::Down => node::down(&checkout),
        Task::Kubeconfig => {
            node::required(&checkout)?;
            print(&checkout.kubeconfig().display().to_string())
        }
        Task::Url => print(&up::url(&checkout)?),
        Task::Login => print(&person::login(&checkout)?),
        Task::Token { user, claims } => print(&person::token(&checkout, &user, claims.as_deref())?),
        Task::Test { fast, soak, tier } => {
            let reach = match (fast, soak) {
                (true, _) => test::Reach::Fast,
                (_, true) => test::Reach::Soak,
                _ => test::Reach::Whole,
            };
            test::run(&checkout, reach, &tier)
        }
        Task::Bench { name, args } => test::bench(&checkout, &name, &args),
        Task::Capacity => capacity::run(&checkout),
        Task::Kubectl { args } => {
            node::required(&checkout)?;
            use std::os::unix::process::CommandExt;
            let error = Cluster::local(&checkout).kubectl().args(args).exec();
            Err(error).context("cannot run kubectl")
        }
        Task::Images => {
            let checkout = shipped(&checkout);
            packages::for_images(&checkout)?;
            engines::ensure(&checkout, &engines::ALL)?;
            install::build(&checkout)?;
            print(&images::stage(&checkout)?.display().to_string())
        }
        Task::Engines => {
            engines::ensure(&checkout, &engines::ALL)?;
            engines::kstatus(&checkout, &checkout.root.join("target/engines")).map(drop)
        }
        Task::Generate { check } => generate::run(check),
        Task::Node(role) => role.play(),
    }
}

/// The checkout with images as they are shipped.
fn shipped(checkout: &Checkout) -> Checkout {
    checkout.with_profile(Profile::Release)
}

/// One line for a script to read; everything else that is said goes to standard error.
fn print(line: &str) -> Result<()> {
    println!("{line}");
    Ok(())
}
