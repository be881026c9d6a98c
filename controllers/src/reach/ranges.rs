//! Whether an address may be a camera's. Pure.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// Whose range it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The pod that asks, itself.
    Loopback,
    /// Of one network segment; a cloud's metadata, with its credentials, is there.
    LinkLocal,
    /// No host's: unspecified, multicast, broadcast.
    NoHost,
    /// Pods.
    Pods,
    /// Services.
    Services,
    /// The cluster's by a setting.
    Cluster,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::NoHost => "no host's",
            Self::Pods => "that of pods",
            Self::Services => "that of Services",
            Self::Cluster => "the cluster's",
        })
    }
}

/// Why an address may not be a camera's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The agency's cameras are elsewhere.
    #[error("{address} is outside sourceCIDRs")]
    Outside {
        /// The address.
        address: IpAddr,
    },
    /// No camera is there, unless the agency's `sourceCIDRs` say so in as many words.
    #[error("{address} is in {range}, which is {kind}")]
    Refused {
        /// The address.
        address: IpAddr,
        /// The range that it is in.
        range: IpNet,
        /// Whose it is.
        kind: Kind,
    },
}

/// What is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    refused: Vec<(IpNet, Kind)>,
    /// So many of them are not the cluster's own words.
    fixed: usize,
}

/// Refused everywhere: RFC 6890.
const EVERYWHERE: [(&str, Kind); 9] = [
    ("127.0.0.0/8", Kind::Loopback),
    ("::1/128", Kind::Loopback),
    ("169.254.0.0/16", Kind::LinkLocal),
    ("fe80::/10", Kind::LinkLocal),
    ("0.0.0.0/8", Kind::NoHost),
    ("::/128", Kind::NoHost),
    ("224.0.0.0/4", Kind::NoHost),
    ("255.255.255.255/32", Kind::NoHost),
    ("ff00::/8", Kind::NoHost),
];

impl Ranges {
    /// What is refused everywhere, and `more`.
    pub(super) fn new(more: Vec<IpNet>) -> Self {
        let everywhere = EVERYWHERE
            .iter()
            .filter_map(|(range, kind)| Some((range.parse().ok()?, *kind)));
        let refused: Vec<_> = everywhere
            .chain(more.into_iter().map(|range| (range, Kind::Cluster)))
            .collect();
        Self {
            fixed: refused.len(),
            refused,
        }
    }

    /// The same, with what the cluster says now instead of what it said before.
    pub(super) fn with_cluster(&self, pods: Vec<IpNet>, services: Vec<IpNet>) -> Self {
        let fixed = self.refused.iter().take(self.fixed).copied();
        let pods = pods.into_iter().map(|range| (range, Kind::Pods));
        let services = services.into_iter().map(|range| (range, Kind::Services));
        Self {
            refused: fixed.chain(pods).chain(services).collect(),
            fixed: self.fixed,
        }
    }

    /// Whether `address` may be that of a camera whose agency lists the ranges `listed`; none listed: everywhere but what is refused.
    /// A refused range is opened by a listed one that lies within it: 10.0.0.0/8 says nothing of pods that happen to be there.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, address: IpAddr, listed: &[IpNet]) -> Result<(), NotAllowed> {
        // ::ffff:127.0.0.1 is 127.0.0.1 to the kernel.
        let address = address.to_canonical();
        if !listed.is_empty() && !listed.iter().any(|range| range.contains(&address)) {
            return Err(NotAllowed::Outside { address });
        }
        let closed = self.refused.iter().find(|(range, _)| {
            range.contains(&address)
                && !listed
                    .iter()
                    .any(|open| open.contains(&address) && range.contains(open))
        });
        match closed {
            Some(&(range, kind)) => Err(NotAllowed::Refused { address, range, kind }),
            None => Ok(()),
        }
    }
}

/// The ranges of `texts`; what is none is left out, since the API server has refused it before (`isCIDR`).
pub fn parse_all(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<IpNet> {
    texts
        .into_iter()
        .filter_map(|text| text.as_ref().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cluster() -> Ranges {
        Ranges::new(parse_all(["10.99.0.0/16"])).with_cluster(
            parse_all(["10.244.3.0/24", "fd00:10:244::/64"]),
            parse_all(["10.96.0.0/16"]),
        )
    }

    fn judge(address: &str, listed: &[&str]) -> Result<(), NotAllowed> {
        cluster().judge(address.parse().unwrap(), &parse_all(listed))
    }

    fn kind(address: &str, listed: &[&str]) -> Option<Kind> {
        match judge(address, listed) {
            Err(NotAllowed::Refused { kind, .. }) => Some(kind),
            _ => None,
        }
    }

    #[test]
    fn what_is_nobodys_camera_is_refused() {
        for (address, expected) in [
            ("127.0.0.1", Kind::Loopback),
            ("::1", Kind::Loopback),
            ("::ffff:127.0.0.1", Kind::Loopback),
            ("169.254.169.254", Kind::LinkLocal),
            ("fe80::1", Kind::LinkLocal),
            ("0.0.0.0", Kind::NoHost),
            ("239.1.2.3", Kind::NoHost),
            ("255.255.255.255", Kind::NoHost),
            ("10.244.3.7", Kind::Pods),
            ("fd00:10:244::7", Kind::Pods),
            ("::ffff:10.244.3.7", Kind::Pods),
            ("10.96.0.1", Kind::Services),
            ("10.99.1.1", Kind::Cluster),
        ] {
            assert_eq!(kind(address, &[]), Some(expected), "{address}");
            // A wide range does not say that cameras are there.
            assert_eq!(
                kind(address, &["0.0.0.0/0", "::/0", "10.0.0.0/8"]),
                Some(expected),
                "{address}"
            );
        }
        assert_eq!(judge("10.1.2.3", &[]), Ok(()));
        assert_eq!(judge("2001:db8::5", &[]), Ok(()));
    }

    #[test]
    fn an_agency_s_cameras_are_where_it_says() {
        assert_eq!(judge("10.1.2.3", &["10.1.0.0/16"]), Ok(()));
        let outside = NotAllowed::Outside {
            address: "10.2.0.1".parse().unwrap(),
        };
        assert_eq!(judge("10.2.0.1", &["10.1.0.0/16"]), Err(outside));
        // Said in as many words: the whole range, or a part of it.
        assert_eq!(judge("10.244.3.7", &["10.244.3.0/24"]), Ok(()));
        assert_eq!(judge("10.244.3.7", &["10.0.0.0/8", "10.244.3.7/32"]), Ok(()));
        assert_eq!(
            kind("10.244.3.8", &["10.0.0.0/8", "10.244.3.7/32"]),
            Some(Kind::Pods)
        );
        assert_eq!(judge("127.0.0.1", &["127.0.0.1/32"]), Ok(()));
    }

    #[test]
    fn the_cluster_s_next_words_replace_its_last() {
        let later = cluster().with_cluster(parse_all(["10.244.9.0/24"]), Vec::new());
        let at = |address: &str| later.judge(address.parse().unwrap(), &[]).is_ok();
        assert!(at("10.244.3.7") && at("10.96.0.1"));
        assert!(!at("10.244.9.1") && !at("10.99.1.1") && !at("127.0.0.1"));
    }

    proptest! {
        /// Whatever an agency lists that is not within a refused range opens none of it.
        #[test]
        fn nothing_wider_opens_a_refused_range(address: u32, bits in 0_u8..4, base: u32) {
            let listed = vec![IpNet::new(std::net::Ipv4Addr::from(base).into(), bits).unwrap().trunc()];
            let address = IpAddr::from(std::net::Ipv4Addr::from(address));
            if cluster().judge(address, &[]).is_err() {
                prop_assert!(cluster().judge(address, &listed).is_err());
            }
        }

        #[test]
        fn what_is_listed_is_never_left(address: u32, base: u32, bits in 0_u8..=32) {
            let range = IpNet::new(std::net::Ipv4Addr::from(base).into(), bits).unwrap().trunc();
            let address = IpAddr::from(std::net::Ipv4Addr::from(address));
            if cluster().judge(address, &[range]).is_ok() {
                prop_assert!(range.contains(&address));
            }
        }
    }
}
