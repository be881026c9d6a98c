//! `cargo xtask up`, from nothing to moving pictures, and `down`.

use anyhow::{Context, Result};

use crate::checkout::Checkout;
use crate::{cluster, engines, install, node, packages, person};

/// Everything, in the order in which a later step needs an earlier one; each is a no-op when there is nothing to do.
pub(crate) fn up(checkout: &Checkout) -> Result<()> {
    packages::for_node(checkout)?;
    packages::for_images(checkout)?;
    packages::for_clips(checkout)?;
    let _lock = node::lock(checkout)?;
    cluster::bare(checkout)?;
    engines::ensure(checkout, &[engines::MEDIAMTX, engines::LIVEKIT, engines::HELM])?;
    install::build(checkout)?;
    let storage = cluster::storage(checkout)?;
    install::local(checkout)?;
    storage.wait(checkout)?;
    install::examples(checkout)?;
    println!("{}", url(checkout)?);
    println!("user {}, password: cargo xtask login", person::ADMIN);
    println!("kubectl: export KUBECONFIG={}", checkout.kubeconfig().display());
    Ok(())
}

/// The node and its DNS.
pub(crate) fn node_only(checkout: &Checkout) -> Result<()> {
    packages::for_node(checkout)?;
    let _lock = node::lock(checkout)?;
    cluster::bare(checkout).map(drop)
}

/// The page's address on this machine.
pub(crate) fn url(checkout: &Checkout) -> Result<String> {
    let port = node::required(checkout)?.port.context("a node without a relay")?;
    Ok(format!("http://localhost:{port}"))
}
