//! The cable between host and node, and the host's routes into the node.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::plan::{NODE_INTERFACE, Plan};
use super::ranges::{Net, taken_by_routes};
use crate::command;

/// One call of `ip` is instant; this is for a machine under load.
const IP: Duration = Duration::from_secs(20);

fn ip(args: &[&str]) -> Result<String> {
    let program = command::find_program("ip").context("no program `ip`: install iproute2")?;
    command::output(Command::new(program).args(args), IP)
}

/// Networks that this machine already reaches in some way.
pub(crate) fn taken() -> Result<Vec<Net>> {
    Ok(taken_by_routes(&ip(&["-4", "route", "show", "table", "all"])?))
}

/// Makes the cable, its other end in the network namespace of process `init`, and the host's routes.
pub(crate) fn connect(plan: &Plan, init: u32) -> Result<()> {
    let near = plan.host_interface();
    let (nodes, node) = (plan.ranges.nodes(), plan.ranges.node().to_string());
    let host = format!("{}/{}", plan.ranges.host(), nodes.bits());
    let init = init.to_string();
    ip(&[
        "link",
        "add",
        &near,
        "type",
        "veth",
        "peer",
        "name",
        NODE_INTERFACE,
        "netns",
        &init,
    ])?;
    ip(&["addr", "add", &host, "dev", &near])?;
    ip(&["link", "set", &near, "up"])?;
    for range in [plan.ranges.pods(), plan.ranges.services()] {
        ip(&["route", "add", &range.to_string(), "via", &node, "dev", &near])?;
    }
    Ok(())
}

/// Gives the node's end its address. Called inside the namespace, when the cable is there.
pub(crate) fn configure_node(plan: &Plan) -> Result<()> {
    let address = format!("{}/{}", plan.ranges.node(), plan.ranges.nodes().bits());
    ip(&["link", "set", "lo", "up"])?;
    ip(&["addr", "add", &address, "dev", NODE_INTERFACE])?;
    ip(&["link", "set", NODE_INTERFACE, "up"])?;
    ip(&["route", "add", "default", "via", &plan.ranges.host().to_string()])?;
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")
        .context("cannot switch forwarding on in the node")?;
    Ok(())
}

/// Whether the host has this interface.
pub(crate) fn exists(interface: &str) -> bool {
    Path::new("/sys/class/net").join(interface).exists()
}

/// Removes the host's end, and with it the other end and all routes over it.
pub(crate) fn disconnect(interface: &str) -> Result<()> {
    if exists(interface)
        && let Err(error) = ip(&["link", "del", interface])
        && exists(interface)
    {
        return Err(error);
    }
    Ok(())
}
