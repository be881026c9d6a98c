//! Which addresses a checkout's node takes.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Net {
    address: Ipv4Addr,
    bits: u8,
}

impl Net {
    /// The network of `bits` leading bits that holds `address`.
    pub(crate) fn new(address: Ipv4Addr, bits: u8) -> Self {
        let bits = bits.min(32);
        Self {
            address: Ipv4Addr::from_bits(address.to_bits() & mask(bits)),
            bits,
        }
    }

    /// `10.0.0.0/8`, or an address alone.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let bits: u8 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self::new(address.parse().ok()?, bits))
    }

    /// Whether the two share an address.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let common = mask(self.bits.min(other.bits));
        self.address.to_bits() & common == other.address.to_bits() & common
    }

    /// The address `offset` places after the network's own.
    pub(crate) fn host(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits().wrapping_add(offset))
    }

    /// Leading bits.
    pub(crate) fn bits(self) -> u8 {
        self.bits
    }

    /// The part of this network that starts at `offset` and has `bits` leading bits.
    fn part(self, offset: u32, bits: u8) -> Self {
        Self::new(self.host(offset), bits)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

/// The ranges of one node: one /20, cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ranges {
    block: Net,
}

impl Ranges {
    /// Host and nodes: the first /24.
    pub(crate) fn nodes(self) -> Net {
        self.block.part(0, 24)
    }

    /// Services: the second quarter, a /22.
    pub(crate) fn services(self) -> Net {
        self.block.part(4 << 8, 22)
    }

    /// Pods of all nodes: the second half, a /21; each node takes a /24 of it.
    pub(crate) fn pods(self) -> Net {
        self.block.part(8 << 8, 21)
    }

    /// Pods of the first node: the /24 that the controller-manager gives it.
    pub(crate) fn node_pods(self) -> Net {
        self.block.part(8 << 8, 24)
    }

    /// The host's end of the cable.
    pub(crate) fn host(self) -> Ipv4Addr {
        self.nodes().host(1)
    }

    /// The node's end of the cable: API server and host ports of pods answer here.
    pub(crate) fn node(self) -> Ipv4Addr {
        self.nodes().host(2)
    }

    /// Service `kubernetes`.
    pub(crate) fn kubernetes_service(self) -> Ipv4Addr {
        self.services().host(1)
    }

    /// Service `kube-dns`.
    pub(crate) fn dns_service(self) -> Ipv4Addr {
        self.services().host(10)
    }
}

/// No range is left.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "every /20 of 10.64.0.0/10 and 172.16.0.0/12 overlaps a route of this machine (`ip route show table all`): \
     remove a route, or run `cargo xtask down` in another checkout"
)]
pub(crate) struct NoFreeRange;

/// The first block free of `taken`, starting at a place that the checkout's hash picks: a checkout
/// keeps its addresses from one `up` to the next unless somebody else took them meanwhile.
pub(crate) fn choose(hash: u32, taken: &[Net]) -> Result<Ranges, NoFreeRange> {
    let first = Ipv4Addr::new(10, 64, 0, 0);
    let second = Ipv4Addr::new(172, 16, 0, 0);
    let blocks = |base: Ipv4Addr, count: u32| {
        (0..count)
            .map(move |n| Net::new(base, 20).host((hash.wrapping_add(n) % count) << 12))
            .map(|a| Net::new(a, 20))
    };
    blocks(first, 1024)
        .chain(blocks(second, 256))
        .find(|block| !taken.iter().any(|net| net.overlaps(*block)))
        .map(|block| Ranges { block })
        .ok_or(NoFreeRange)
}

/// Destinations in the output of `ip -4 route show table all`. The default route is everybody's and
/// takes nothing.
pub(crate) fn taken_by_routes(text: &str) -> Vec<Net> {
    const KINDS: [&str; 10] = [
        "unicast",
        "local",
        "broadcast",
        "multicast",
        "throw",
        "unreachable",
        "prohibit",
        "blackhole",
        "nat",
        "anycast",
    ];
    text.lines()
        .filter_map(|line| line.split_whitespace().find(|word| !KINDS.contains(word)))
        .filter_map(Net::parse)
        .filter(|net| net.bits() > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        Net::parse(text).unwrap()
    }

    #[test]
    fn the_parts_lie_in_the_block_and_apart() {
        let ranges = choose(7, &[]).unwrap();
        assert_eq!(ranges.block, net("10.64.112.0/20"));
        assert_eq!(ranges.nodes().to_string(), "10.64.112.0/24");
        assert_eq!(ranges.services().to_string(), "10.64.116.0/22");
        assert_eq!(ranges.pods().to_string(), "10.64.120.0/21");
        assert_eq!(ranges.node_pods().to_string(), "10.64.120.0/24");
        assert_eq!(ranges.node().to_string(), "10.64.112.2");
        assert_eq!(ranges.dns_service().to_string(), "10.64.116.10");
        for (a, b) in [
            (ranges.nodes(), ranges.services()),
            (ranges.nodes(), ranges.pods()),
            (ranges.services(), ranges.pods()),
        ] {
            assert!(!a.overlaps(b), "{a} {b}");
        }
    }

    #[test]
    fn a_taken_block_is_passed_over() {
        let taken = [net("10.64.119.4/32"), net("10.64.128.0/20")];
        assert_eq!(choose(7, &taken).unwrap().block, net("10.64.144.0/20"));
    }

    #[test]
    fn the_search_wraps_and_then_leaves_ten() {
        assert_eq!(
            choose(1023, &[net("10.127.240.0/20")]).unwrap().block,
            net("10.64.0.0/20")
        );
        assert_eq!(
            choose(0, &[net("10.0.0.0/8")]).unwrap().block,
            net("172.16.0.0/20")
        );
        assert_eq!(
            choose(0, &[net("10.0.0.0/8"), net("172.16.0.0/12")]),
            Err(NoFreeRange)
        );
    }

    #[test]
    fn routes_are_read_whatever_their_kind() {
        let text = "default via 192.0.2.1 dev eth0 \n192.0.2.0/24 dev eth0 proto kernel\n\
                    local 127.0.0.0/8 dev lo table local\nbroadcast 192.0.2.255 dev eth0\n\
                    unreachable 10.9.0.0/16 metric 5\n\n0.0.0.0/0 dev tun0\n";
        let taken: Vec<String> = taken_by_routes(text).iter().map(Net::to_string).collect();
        assert_eq!(
            taken,
            ["192.0.2.0/24", "127.0.0.0/8", "192.0.2.255/32", "10.9.0.0/16"]
        );
    }
}
