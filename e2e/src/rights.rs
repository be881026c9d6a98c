//! What each of our service accounts may do, as one table. The chart's tests hold it against the rendered roles, and
//! `tests/rbac.rs` against the answers of a real API server.

use std::collections::BTreeSet;

/// Every service account of the release, by component.
pub const ACCOUNTS: [&str; 5] = ["operator", "api", "streams", "livekit", "valkey"];

/// Where a right holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In all namespaces, and for what has none.
    Cluster,
    /// In the namespace of the release.
    Release,
    /// In the namespace of an agency that has bound nothing.
    Agency,
}

/// One right: a verb on a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// Component of the account.
    pub account: &'static str,
    /// Where.
    pub place: Place,
    /// API group.
    pub group: String,
    /// Plural, with its subresource: `cameras/status`.
    pub resource: String,
    /// The only object; empty: any.
    pub name: String,
    /// Verb.
    pub verb: String,
}

/// A row of [`GRANTED`] or [`REFUSED`]: account, place, API group, resource, the only object, verbs.
type Row = (
    &'static str,
    Place,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const SEE: &[&str] = &["get", "list", "watch"];
const KEEP: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];
const WRITE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];
const ANY: &[&str] = &[
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

const MARSAD: &str = "marsad.dev";
const RBAC: &str = "rbac.authorization.k8s.io";

/// All that is granted: templates/rbac has the reason of each.
#[rustfmt::skip]
const GRANTED: &[Row] = &[
    ("operator", Place::Cluster, MARSAD, "cameras", "", SEE),
    ("operator", Place::Cluster, MARSAD, "cameras/status", "", &["patch"]),
    ("operator", Place::Cluster, MARSAD, "camerasources", "", SEE),
    ("operator", Place::Cluster, MARSAD, "camerasources/status", "", &["patch"]),
    ("operator", Place::Cluster, MARSAD, "streamquotas", "", SEE),
    ("operator", Place::Cluster, MARSAD, "streamquotas/status", "", &["patch"]),
    ("operator", Place::Cluster, "", "namespaces", "", SEE),
    ("operator", Place::Cluster, "", "nodes", "", &["list", "watch"]),
    ("operator", Place::Cluster, "networking.k8s.io", "servicecidrs", "", &["list"]),
    ("operator", Place::Cluster, "events.k8s.io", "events", "", &["create", "patch"]),
    ("operator", Place::Release, MARSAD, "ingestpools", "", &["get", "list", "watch", "create", "patch"]),
    ("operator", Place::Release, MARSAD, "ingestpools/status", "", &["patch"]),
    ("operator", Place::Release, MARSAD, "ingestpools/finalizers", "", &["update"]),
    ("operator", Place::Release, "", "pods", "", &["get", "list", "watch", "delete"]),
    ("operator", Place::Release, "discovery.k8s.io", "endpointslices", "", SEE),
    ("operator", Place::Release, "apps", "statefulsets", "", KEEP),
    ("operator", Place::Release, "", "services", "", KEEP),
    ("operator", Place::Release, "", "secrets", "", KEEP),
    ("operator", Place::Release, "networking.k8s.io", "networkpolicies", "", KEEP),
    ("operator", Place::Release, "policy", "poddisruptionbudgets", "", KEEP),
    ("operator", Place::Release, "apps", "deployments", "", &["get"]),
    ("operator", Place::Release, "apps", "deployments/finalizers", "marsad-operator", &["update"]),
    ("operator", Place::Release, "coordination.k8s.io", "leases", "marsad-operator", &["get", "update"]),
    ("operator", Place::Release, "coordination.k8s.io", "leases", "", &["create"]),
    ("api", Place::Cluster, MARSAD, "cameras", "", &["list", "watch"]),
    ("streams", Place::Cluster, MARSAD, "cameras", "", &["list", "watch"]),
    ("streams", Place::Cluster, MARSAD, "streamquotas", "", &["list", "watch"]),
    ("streams", Place::Cluster, MARSAD, "cameras/status", "", &["patch"]),
    ("streams", Place::Release, "", "pods", "", &["list", "watch"]),
    ("streams", Place::Release, "", "secrets", "", &["get"]),
];

/// What somebody who holds one of our tokens would try, and what a careless change of a role would give away.
#[rustfmt::skip]
const REFUSED: &[Row] = &[
    // Passwords: of all, and of an agency that has not bound the role.
    ("operator", Place::Cluster, "", "secrets", "", ANY),
    ("operator", Place::Agency, "", "secrets", "", ANY),
    ("operator", Place::Release, "", "secrets", "", &["update", "deletecollection"]),
    // Specs are people's.
    ("operator", Place::Cluster, MARSAD, "cameras", "", WRITE),
    ("operator", Place::Cluster, MARSAD, "camerasources", "", WRITE),
    ("operator", Place::Cluster, MARSAD, "streamquotas", "", WRITE),
    ("operator", Place::Cluster, MARSAD, "cameras/status", "", &["update"]),
    ("operator", Place::Release, MARSAD, "ingestpools", "", &["update", "delete", "deletecollection"]),
    // A pool elsewhere does not count.
    ("operator", Place::Agency, MARSAD, "ingestpools", "", ANY),
    // More rights for itself.
    ("operator", Place::Cluster, RBAC, "clusterroles", "", ANY),
    ("operator", Place::Cluster, RBAC, "clusterroles", "", &["escalate", "bind"]),
    ("operator", Place::Cluster, RBAC, "clusterrolebindings", "", ANY),
    ("operator", Place::Release, RBAC, "roles", "", ANY),
    ("operator", Place::Release, RBAC, "roles", "", &["escalate", "bind"]),
    ("operator", Place::Release, RBAC, "rolebindings", "", ANY),
    ("operator", Place::Agency, RBAC, "rolebindings", "", ANY),
    ("operator", Place::Cluster, "", "users", "", &["impersonate"]),
    ("operator", Place::Cluster, "", "groups", "", &["impersonate"]),
    ("operator", Place::Release, "", "serviceaccounts", "", &["impersonate"]),
    ("operator", Place::Release, "", "serviceaccounts/token", "", &["create"]),
    ("operator", Place::Cluster, "certificates.k8s.io", "certificatesigningrequests", "", &["create"]),
    // Into pods, and other people's pods.
    ("operator", Place::Release, "", "pods/exec", "", &["get", "create"]),
    ("operator", Place::Release, "", "pods/attach", "", &["get", "create"]),
    ("operator", Place::Release, "", "pods/portforward", "", &["get", "create"]),
    ("operator", Place::Release, "", "pods/ephemeralcontainers", "", &["update", "patch"]),
    ("operator", Place::Release, "", "pods", "", &["create", "update", "patch", "deletecollection"]),
    ("operator", Place::Agency, "", "pods", "", ANY),
    ("operator", Place::Agency, "apps", "statefulsets", "", ANY),
    // The cluster's own.
    ("operator", Place::Cluster, "", "nodes", "", WRITE),
    ("operator", Place::Cluster, "networking.k8s.io", "servicecidrs", "", WRITE),
    ("operator", Place::Cluster, "", "nodes/proxy", "", &["get", "create"]),
    ("operator", Place::Cluster, "", "namespaces", "", WRITE),
    ("operator", Place::Cluster, "apiextensions.k8s.io", "customresourcedefinitions", "", ANY),
    ("operator", Place::Cluster, "admissionregistration.k8s.io", "validatingwebhookconfigurations", "", ANY),
    // Its own Deployment it may read, nobody's it may change; the Lease of another is not its business.
    ("operator", Place::Release, "apps", "deployments", "", WRITE),
    ("operator", Place::Release, "apps", "deployments/finalizers", "marsad-api", &["update"]),
    ("operator", Place::Release, "coordination.k8s.io", "leases", "another", &["get", "update", "patch", "delete"]),
    ("operator", Place::Release, "coordination.k8s.io", "leases", "marsad-operator", &["patch", "delete"]),
    ("operator", Place::Agency, "coordination.k8s.io", "leases", "", ANY),
    // The door to the world reads cameras and nothing else.
    ("api", Place::Cluster, MARSAD, "cameras", "", &["get"]),
    ("api", Place::Cluster, MARSAD, "cameras", "", WRITE),
    ("api", Place::Cluster, MARSAD, "cameras/status", "", &["get", "update", "patch"]),
    ("api", Place::Cluster, MARSAD, "camerasources", "", ANY),
    ("api", Place::Cluster, MARSAD, "streamquotas", "", ANY),
    ("api", Place::Cluster, MARSAD, "iamgroups", "", ANY),
    ("api", Place::Release, MARSAD, "ingestpools", "", ANY),
    ("api", Place::Release, "", "secrets", "", ANY),
    ("api", Place::Agency, "", "secrets", "", ANY),
    ("api", Place::Release, "", "configmaps", "", ANY),
    ("api", Place::Release, "", "pods", "", ANY),
    ("api", Place::Release, "", "pods/exec", "", &["get", "create"]),
    ("api", Place::Release, "", "services/proxy", "", &["get", "create"]),
    ("api", Place::Cluster, "", "nodes", "", ANY),
    ("api", Place::Cluster, "", "namespaces", "", ANY),
    ("api", Place::Cluster, RBAC, "clusterroles", "", ANY),
    ("api", Place::Release, RBAC, "rolebindings", "", ANY),
    ("api", Place::Cluster, "", "users", "", &["impersonate"]),
    // One condition of a camera, and the password of the shards.
    ("streams", Place::Cluster, MARSAD, "cameras", "", &["get"]),
    ("streams", Place::Cluster, MARSAD, "cameras", "", WRITE),
    ("streams", Place::Cluster, MARSAD, "cameras/status", "", &["update"]),
    ("streams", Place::Cluster, MARSAD, "camerasources", "", ANY),
    ("streams", Place::Release, MARSAD, "ingestpools", "", ANY),
    ("streams", Place::Release, "", "secrets", "", &["list", "watch"]),
    ("streams", Place::Release, "", "secrets", "", WRITE),
    ("streams", Place::Agency, "", "secrets", "", ANY),
    ("streams", Place::Cluster, "", "secrets", "", ANY),
    ("streams", Place::Release, "", "pods", "", &["get"]),
    ("streams", Place::Release, "", "pods", "", WRITE),
    ("streams", Place::Agency, "", "pods", "", ANY),
    ("streams", Place::Release, "", "pods/exec", "", &["get", "create"]),
    ("streams", Place::Cluster, "", "nodes", "", ANY),
    ("streams", Place::Cluster, RBAC, "clusterroles", "", ANY),
    ("streams", Place::Release, RBAC, "rolebindings", "", ANY),
    ("streams", Place::Cluster, "", "users", "", &["impersonate"]),
    // Engines of others, which never ask.
    ("livekit", Place::Release, "", "secrets", "", ANY),
    ("livekit", Place::Release, "", "pods", "", ANY),
    ("livekit", Place::Cluster, MARSAD, "cameras", "", ANY),
    ("valkey", Place::Release, "", "secrets", "", ANY),
    ("valkey", Place::Release, "", "pods", "", ANY),
    ("valkey", Place::Cluster, MARSAD, "cameras", "", ANY),
];

/// All that is granted, verb by verb.
pub fn granted() -> BTreeSet<Right> {
    expand(GRANTED)
}

/// What must never be granted, verb by verb.
pub fn refused() -> BTreeSet<Right> {
    expand(REFUSED)
}

fn expand(rows: &[Row]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    for &(account, place, group, resource, name, verbs) in rows {
        for verb in verbs {
            all.insert(Right {
                account,
                place,
                group: group.to_owned(),
                resource: resource.to_owned(),
                name: name.to_owned(),
                verb: (*verb).to_owned(),
            });
        }
    }
    all
}

impl Right {
    /// Whether whoever has this right has `wanted` too.
    pub fn gives(&self, wanted: &Self) -> bool {
        self.account == wanted.account
            && (self.place == Place::Cluster || self.place == wanted.place)
            && self.group == wanted.group
            && self.resource == wanted.resource
            && (self.name.is_empty() || self.name == wanted.name)
            && self.verb == wanted.verb
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_both_granted_and_refused() {
        let granted = granted();
        for refused in refused() {
            let giver = granted.iter().find(|right| right.gives(&refused));
            assert_eq!(giver, None, "{refused:?}");
        }
        for account in ACCOUNTS {
            assert!(
                refused().iter().filter(|right| right.account == account).count() > 20,
                "{account}"
            );
        }
    }

    #[test]
    fn a_right_in_all_namespaces_holds_in_each_and_one_to_an_object_for_it_alone() {
        let find = |place, resource: &str, verb: &str| {
            granted()
                .into_iter()
                .find(|right| {
                    (right.place, right.resource.as_str(), right.verb.as_str()) == (place, resource, verb)
                })
                .unwrap()
        };
        let cameras = find(Place::Cluster, "cameras", "list");
        let here = Right {
            place: Place::Agency,
            ..cameras.clone()
        };
        assert!(cameras.gives(&here) && !here.gives(&cameras));
        let lease = find(Place::Release, "leases", "update");
        let another = Right {
            name: "another".to_owned(),
            ..lease.clone()
        };
        assert!(lease.gives(&lease) && !lease.gives(&another));
    }
}
