//! The cameras as pages see them.

pub(crate) mod routes;
pub(crate) mod store;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod view;
