//! What tests against a real cluster share. The tests are in `tests/`, one file per failure or feature;
//! `cargo xtask test` brings a cluster up for them and sets what they read:
//! `KUBECONFIG`, `MARSAD_URL`, `MARSAD_LOGIN` (`USER PASSWORD`), `HELM`, `CHROMEDRIVER`.

pub mod helm;
