//! The marsad binary: one subcommand per role.

fn main() {}
