//! Random text for generated credentials.

use rand::distr::{Alphanumeric, SampleString};

/// `length` characters of [A-Za-z0-9] from the system's generator: 5.95 bits each.
pub(crate) fn text(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}
