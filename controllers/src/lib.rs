//! One folder per kind: dereference, validate, build, apply, status.
