//! Names of cameras, resolved by us, so that the address that was judged is the one that is dialled: a name that says something else to
//! the next who asks (DNS rebinding) leads nowhere. The last answer is given at once and looked up anew beside; a picture does not go
//! because a name server is away.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::lookup_host;
use tokio::time::timeout;

/// An answer is good for this long: shorter than most records live, since a camera that moves is looked for.
const FRESH: Duration = Duration::from_secs(30);
/// So long is a name not asked for again that leads nowhere.
const UNKNOWN: Duration = Duration::from_secs(5);
/// A name server that has not answered by then is away, for now.
const LOOKUP: Duration = Duration::from_secs(2);
/// A name that nobody asked for so long is forgotten.
const FORGET: Duration = Duration::from_secs(3600);

/// What a name leads to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// In an order that does not change from answer to answer; empty: it was never found.
    pub addresses: Vec<IpAddr>,
    /// The name servers say so now. False: they do not know the name, or do not answer, and `addresses` are from before.
    pub current: bool,
}

impl Resolved {
    fn found(mut addresses: Vec<IpAddr>) -> Self {
        // Cameras speak IPv4 first; name servers turn their answers around.
        addresses.sort_unstable();
        addresses.dedup();
        Self {
            current: !addresses.is_empty(),
            addresses,
        }
    }
}

#[derive(Debug, Default)]
struct Name {
    resolved: Resolved,
    answered: Option<Instant>,
    wanted: Option<Instant>,
    asking: bool,
}

/// All names. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Resolver {
    names: Arc<Mutex<HashMap<String, Name>>>,
}

impl Resolver {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Name>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `host`, a name or an address, leads to. Waits for an answer only the first time.
    pub async fn resolve(&self, host: &str) -> Resolved {
        if let Ok(address) = host.parse() {
            return Resolved::found(vec![address]);
        }
        let (known, ask) = self.look(host, Instant::now());
        match (known, ask) {
            (Some(known), true) => {
                let (resolver, host) = (self.clone(), host.to_owned());
                tokio::spawn(async move { resolver.ask(&host).await });
                known
            }
            (Some(known), false) => known,
            (None, _) => self.ask(host).await,
        }
    }

    /// What is known of `host`, and whether it is to be asked for.
    fn look(&self, host: &str, now: Instant) -> (Option<Resolved>, bool) {
        let mut names = self.lock();
        if !names.contains_key(host) {
            names.retain(|_, name| {
                name.wanted
                    .is_some_and(|wanted| now.duration_since(wanted) < FORGET)
            });
        }
        let name = names.entry(host.to_owned()).or_default();
        name.wanted = Some(now);
        let Some(answered) = name.answered else {
            return (None, true);
        };
        let fresh = if name.resolved.current { FRESH } else { UNKNOWN };
        let ask = !name.asking && now.duration_since(answered) >= fresh;
        name.asking |= ask;
        (Some(name.resolved.clone()), ask)
    }

    async fn ask(&self, host: &str) -> Resolved {
        let found = match timeout(LOOKUP, lookup_host((host, 0))).await {
            Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        self.answered(host, found, Instant::now())
    }

    fn answered(&self, host: &str, addresses: Vec<IpAddr>, now: Instant) -> Resolved {
        let mut names = self.lock();
        let name = names.entry(host.to_owned()).or_default();
        let found = Resolved::found(addresses);
        if found.current {
            name.resolved = found;
        } else {
            name.resolved.current = false;
        }
        name.answered = Some(now);
        name.asking = false;
        name.resolved.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn an_address_is_its_own_and_asks_nobody() {
        let resolver = Resolver::default();
        let resolved = resolver.resolve("10.1.2.3").await;
        assert_eq!(
            (resolved.addresses, resolved.current),
            (addresses(&["10.1.2.3"]), true)
        );
        assert!(resolver.lock().is_empty());
    }

    #[tokio::test]
    async fn other_writings_of_an_address_are_that_address() {
        // What getaddrinfo makes of it is what is judged.
        let resolved = Resolver::default().resolve("127.1").await;
        assert!(resolved.addresses.iter().all(IpAddr::is_loopback), "{resolved:?}");
    }

    #[test]
    fn answers_are_kept_when_the_name_server_goes_and_asked_for_once_when_they_are_old() {
        let (resolver, start) = (Resolver::default(), Instant::now());
        assert_eq!(resolver.look("cam", start), (None, true));
        let both = resolver.answered("cam", addresses(&["10.1.2.4", "10.1.2.3", "10.1.2.4"]), start);
        assert_eq!(
            both.addresses,
            addresses(&["10.1.2.3", "10.1.2.4"]),
            "in one order"
        );
        assert_eq!(
            resolver.look("cam", start + FRESH / 2),
            (Some(both.clone()), false)
        );
        assert_eq!(resolver.look("cam", start + FRESH), (Some(both.clone()), true));
        assert_eq!(
            resolver.look("cam", start + FRESH),
            (Some(both.clone()), false),
            "once"
        );
        let gone = resolver.answered("cam", Vec::new(), start + FRESH);
        assert_eq!((&gone.addresses, gone.current), (&both.addresses, false));
        assert_eq!(
            resolver.look("cam", start + FRESH + UNKNOWN / 2),
            (Some(gone.clone()), false)
        );
        assert_eq!(resolver.look("cam", start + FRESH + UNKNOWN), (Some(gone), true));
        let moved = resolver.answered("cam", addresses(&["10.1.2.9"]), start + FRESH * 2);
        assert_eq!((moved.addresses, moved.current), (addresses(&["10.1.2.9"]), true));
    }

    #[test]
    fn a_name_that_nobody_wants_is_forgotten() {
        let (resolver, start) = (Resolver::default(), Instant::now());
        resolver.look("old", start);
        resolver.look("new", start + FORGET);
        assert_eq!(resolver.lock().keys().collect::<Vec<_>>(), ["new"]);
    }
}
