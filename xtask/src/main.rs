//! cargo xtask up | down | test | bench | generate.

fn main() {}
