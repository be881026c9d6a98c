//! What tests against a real cluster share. The tests are in `tests/`, one file per failure or feature;
//! `cargo xtask test` brings a cluster up for them and sets what they read: `KUBECONFIG`, `MARSAD_URL`,
//! `MARSAD_LOGIN` (`USER PASSWORD`), `HELM`, `MARSAD_XTASK`, `MARSAD_KSTATUS` (absent: nothing is held against kstatus) and, when
//! they are not in the PATH, `CHROMEDRIVER` and `CHROMIUM`.
//! Benchmarks of the control loop have only an API server, and `MARSAD_BINARY`.

pub mod api;
pub mod barcode;
pub mod browser;
pub mod camera;
pub mod cluster;
pub mod definition;
pub mod diagnostics;
pub mod edge;
pub mod helm;
pub mod kstatus;
pub mod leader;
pub mod manifests;
pub mod metrics;
pub mod page;
pub mod pool;
pub mod process;
pub mod report;
pub mod restarts;
pub mod rights;
pub mod scenario;
pub mod shard;
pub mod sim;
pub mod statistics;
pub mod undisturbed;
pub mod wait;
