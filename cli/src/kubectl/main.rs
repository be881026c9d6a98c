//! `kubectl marsad`: what people ask, from their own machine.

mod capacity;

use clap::{Parser, Subcommand};

/// Marsad from the command line.
#[derive(Debug, Parser)]
#[command(name = "kubectl-marsad", bin_name = "kubectl marsad", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How large an installation must be; needs no cluster
    Capacity(capacity::Args),
}

fn main() -> std::process::ExitCode {
    let done = match Cli::parse().command {
        Command::Capacity(args) => capacity::run(&args),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
