//! To which hosts a Secret may be sent. Whoever may write Cameras, and not read Secrets, would else have any password of the namespace
//! sent to a host of their own. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

/// Annotation of a Secret: the hosts that its password may be sent to, with commas between: addresses, ranges, names, and names below
/// one, as in `10.1.2.3, 10.1.3.0/24, nvr.police.example, *.cams.police.example`. Without it: wherever the agency's cameras may be.
pub const HOSTS_ANNOTATION: &str = "marsad.dev/hosts";

/// The hosts of one Secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hosts(Option<Vec<Host>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Range(IpNet),
    Name(String),
    Below(String),
}

impl Hosts {
    /// Wherever the agency's cameras may be.
    pub const fn anywhere() -> Self {
        Self(None)
    }

    /// The hosts of the annotation's `text`. What can't be read allows nothing.
    pub fn parse(text: &str) -> Self {
        let hosts = text.split(',').map(str::trim).filter(|host| !host.is_empty());
        Self(Some(hosts.map(host).collect()))
    }

    /// Whether the password may go to `address`, to which `name` (the URL's host) leads.
    pub fn allow(&self, name: &str, address: IpAddr) -> bool {
        let Some(hosts) = &self.0 else { return true };
        let name = plain(name);
        hosts.iter().any(|host| match host {
            Host::Range(range) => range.contains(&address.to_canonical()),
            Host::Name(host) => *host == name,
            Host::Below(domain) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        })
    }
}

fn host(text: &str) -> Host {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Host::Range(address.to_canonical().into());
    }
    match (text.parse(), text.strip_prefix("*.")) {
        (Ok(range), _) => Host::Range(range),
        (Err(_), Some(domain)) => Host::Below(plain(domain)),
        (Err(_), None) => Host::Name(plain(text)),
    }
}

/// Names are the same in capitals, and with the root's dot.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_to_the_hosts_that_are_named_and_to_no_other() {
        let hosts =
            Hosts::parse("10.1.2.3, 10.1.3.0/24 ,NVR.police.example, *.cams.police.example,fd00::/64");
        for (name, address, allowed) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.4", "10.1.2.4", false),
            ("10.1.3.200", "10.1.3.200", true),
            ("whatever.example", "10.1.3.9", true),
            ("whatever.example", "::ffff:10.1.3.9", true),
            ("nvr.police.example", "192.0.2.1", true),
            ("nvr.police.example.", "192.0.2.1", true),
            ("nvr.police.example.evil.example", "192.0.2.1", false),
            ("a.cams.police.example", "192.0.2.1", true),
            ("a.b.cams.police.example", "192.0.2.1", true),
            ("cams.police.example", "192.0.2.1", false),
            (".cams.police.example", "192.0.2.1", false),
            ("evilcams.police.example", "192.0.2.1", false),
            ("x", "fd00::7", true),
            ("x", "fd01::7", false),
        ] {
            assert_eq!(
                hosts.allow(name, address.parse().unwrap()),
                allowed,
                "{name} {address}"
            );
        }
    }

    #[test]
    fn without_the_annotation_anywhere_and_with_an_empty_one_nowhere() {
        let address: IpAddr = "10.1.2.3".parse().unwrap();
        assert!(Hosts::anywhere().allow("10.1.2.3", address));
        for nothing in ["", " , ", "10.1.2.3/99", "https://10.1.2.3"] {
            assert!(!Hosts::parse(nothing).allow("10.1.2.3", address), "{nothing}");
        }
    }
}
