//! The streams role: live viewing on demand.
