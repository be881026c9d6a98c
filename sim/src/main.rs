//! Camera simulator: many RTSP cameras from one process, with faults on command.

fn main() {}
