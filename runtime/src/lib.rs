//! What kube-rs lacks: backoff, conditions, predicates, supervised tasks, telemetry.
