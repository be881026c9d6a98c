//! Tests against a real cluster, one file per failure or feature.
