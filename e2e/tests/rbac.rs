//! What our service accounts and the roles of people may do, asked of the API server itself.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Request;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use marsad_e2e::cluster::Cluster;
use marsad_e2e::rights::{self, ACCOUNTS, Place, Right};
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::wait;

/// The authorizer watches bindings.
const SEEN: Duration = Duration::from_secs(20);
/// Questions at a time.
const AT_ONCE: usize = 8;
/// A namespace of an agency that has bound nothing; that it is there is not asked.
const AGENCY: &str = "an-agency-that-binds-nothing";
const CREDENTIALS: &str = "marsad-camera-credentials";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Who asks.
#[derive(Clone)]
struct Who {
    user: String,
    groups: Vec<String>,
}

impl Who {
    fn account(namespace: &str, name: &str) -> Self {
        Self {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
        }
    }

    fn person(name: &str) -> Self {
        Self {
            user: name.to_owned(),
            groups: vec!["system:authenticated".to_owned()],
        }
    }

    /// Whether the API server would let it.
    async fn may(&self, client: &Client, verb: &str, what: &What<'_>) -> Result<bool> {
        let (resource, subresource) = what.resource.split_once('/').unwrap_or((what.resource, ""));
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(self.user.clone()),
                groups: Some(self.groups.clone()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(what.group.to_owned()),
                    resource: some(resource),
                    subresource: some(subresource),
                    name: some(what.name),
                    namespace: some(what.namespace),
                    verb: Some(verb.to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            },
            ..Default::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await?;
        Ok(answer.status.context("a review without an answer")?.allowed)
    }
}

/// What is asked about.
struct What<'a> {
    group: &'a str,
    resource: &'a str,
    /// Empty: any.
    name: &'a str,
    /// Empty: all, or what has none.
    namespace: &'a str,
}

fn namespace_of(place: Place, cluster: &Cluster) -> &str {
    match place {
        Place::Cluster => "",
        Place::Release => &cluster.namespace,
        Place::Agency => AGENCY,
    }
}

fn account(cluster: &Cluster, component: &str) -> Who {
    Who::account(&cluster.namespace, &format!("marsad-{component}"))
}

/// The rights of a list that the API server judges otherwise.
async fn misjudged(cluster: &Cluster, rights: BTreeSet<Right>, expected: bool) -> Result<Vec<Right>> {
    let judged = stream::iter(rights).map(|right| async move {
        let what = What {
            group: &right.group,
            resource: &right.resource,
            name: &right.name,
            namespace: namespace_of(right.place, cluster),
        };
        let allowed = account(cluster, right.account)
            .may(&cluster.client, &right.verb, &what)
            .await?;
        anyhow::Ok((allowed != expected).then_some(right))
    });
    let judged: Vec<Option<Right>> = judged.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(judged.into_iter().flatten().collect())
}

#[tokio::test]
async fn what_is_needed_is_allowed_and_what_is_dangerous_refused() -> Result<()> {
    let cluster = Cluster::from_env().await?;
    let missing = misjudged(&cluster, rights::granted(), true).await?;
    ensure!(missing.is_empty(), "needed and refused: {missing:#?}");
    let open = misjudged(&cluster, rights::refused(), false).await?;
    ensure!(open.is_empty(), "allowed and must not be: {open:#?}");
    Ok(())
}

/// A right as the API server lists it: API group, resource, the only object, verb.
type Listed = (String, String, String, String);

/// All that `who` may do in `namespace`, whoever has granted it.
async fn listed(cluster: &Cluster, who: &Who, namespace: &str) -> Result<BTreeSet<Listed>> {
    let question = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            namespace: Some(namespace.to_owned()),
        },
        ..Default::default()
    };
    let mut request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews")
        .header("Content-Type", "application/json")
        .header("Impersonate-User", &who.user);
    for group in &who.groups {
        request = request.header("Impersonate-Group", group);
    }
    let request = request.body(serde_json::to_vec(&question)?)?;
    let answer: SelfSubjectRulesReview = cluster.client.request(request).await?;
    let status = answer.status.context("a review without an answer")?;
    let mut all = BTreeSet::new();
    for rule in &status.resource_rules {
        // No name means any.
        let any = vec![String::new()];
        let names = rule.resource_names.as_ref().filter(|names| !names.is_empty());
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for name in names.unwrap_or(&any) {
                    for verb in &rule.verbs {
                        all.insert((group.clone(), resource.clone(), name.clone(), verb.clone()));
                    }
                }
            }
        }
    }
    Ok(all)
}

/// The table is the whole truth, also after whatever else is bound in the cluster.
#[tokio::test]
async fn nothing_else_is_allowed() -> Result<()> {
    let cluster = Cluster::from_env().await?;
    for place in [Place::Release, Place::Agency] {
        let namespace = namespace_of(place, &cluster);
        // What anybody with a token may: to ask who he is.
        let stranger = Who::account(&cluster.namespace, "nobody");
        let everybodys = listed(&cluster, &stranger, namespace).await?;
        for component in ACCOUNTS {
            let found = listed(&cluster, &account(&cluster, component), namespace).await?;
            let found: BTreeSet<&Listed> = found.difference(&everybodys).collect();
            let table: BTreeSet<Listed> = rights::granted()
                .into_iter()
                .filter(|right| right.account == component)
                .filter(|right| right.place == Place::Cluster || right.place == place)
                .map(|right| (right.group, right.resource, right.name, right.verb))
                .collect();
            let table: BTreeSet<&Listed> = table.iter().collect();
            let more: Vec<_> = found.difference(&table).collect();
            let less: Vec<_> = table.difference(&found).collect();
            ensure!(
                more.is_empty() && less.is_empty(),
                "{component} in {namespace}: not in the table {more:#?}, only there {less:#?}"
            );
        }
    }
    Ok(())
}

/// Binds a ClusterRole in the test's namespace.
async fn bind(test: &Scenario, role: &str, subject: Subject) -> Result<()> {
    let binding = RoleBinding {
        metadata: ObjectMeta {
            name: Some(role.to_owned()),
            ..Default::default()
        },
        role_ref: RoleRef {
            api_group: Some(RBAC.to_owned()),
            kind: "ClusterRole".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(vec![subject]),
    };
    bindings(test).create(&PostParams::default(), &binding).await?;
    Ok(())
}

fn bindings(test: &Scenario) -> Api<RoleBinding> {
    Api::namespaced(test.cluster.client.clone(), &test.namespace)
}

/// Waits until `who` may, or may not.
async fn until(client: &Client, who: &Who, verb: &str, what: &What<'_>, expected: bool) -> Result<()> {
    let goal = format!("{verb} {} in {} is {expected}", what.resource, what.namespace);
    wait::answer(&goal, SEEN, async || {
        let allowed = who.may(client, verb, what).await?;
        ensure!(allowed == expected, "{allowed}");
        Ok(())
    })
    .await
}

/// The agency's RoleBinding is the key, and it opens `get` and nothing else.
#[tokio::test]
async fn a_password_is_read_only_where_its_agency_lets_it() -> Result<()> {
    scenario("rbac-secret", |test| async move {
        let client = &test.cluster.client;
        let operator = account(&test.cluster, "operator");
        let secrets = |namespace| What {
            group: "",
            resource: "secrets",
            name: "",
            namespace,
        };
        let here = secrets(&test.namespace);
        ensure!(!operator.may(client, "get", &here).await?, "before it is bound");

        let subject = Subject {
            kind: "ServiceAccount".to_owned(),
            name: "marsad-operator".to_owned(),
            namespace: Some(test.cluster.namespace.clone()),
            ..Default::default()
        };
        bind(&test, CREDENTIALS, subject).await?;
        until(client, &operator, "get", &here, true).await?;
        for verb in ["list", "watch", "create", "update", "patch", "delete"] {
            ensure!(!operator.may(client, verb, &here).await?, "{verb}");
        }
        ensure!(!operator.may(client, "get", &secrets("kube-system")).await?);
        for component in ["api", "streams", "livekit", "valkey"] {
            let other = account(&test.cluster, component);
            ensure!(!other.may(client, "get", &here).await?, "{component}");
        }

        bindings(&test)
            .delete(CREDENTIALS, &DeleteParams::default())
            .await?;
        until(client, &operator, "get", &here, false).await
    })
    .await
}

/// `marsad-view` sees, `marsad-edit` keeps cameras, and both end at the namespace.
#[tokio::test]
async fn people_see_or_keep_the_cameras_of_their_namespace() -> Result<()> {
    scenario("rbac-people", |test| async move {
        let client = &test.cluster.client;
        let kind = |resource, namespace| What {
            group: "marsad.dev",
            resource,
            name: "",
            namespace,
        };
        let here = test.namespace.as_str();
        for role in ["marsad-view", "marsad-edit"] {
            let person = Who::person(&format!("e2e:{here}:{role}"));
            ensure!(
                !person.may(client, "get", &kind("cameras", here)).await?,
                "{role}"
            );
            let subject = Subject {
                api_group: Some(RBAC.to_owned()),
                kind: "User".to_owned(),
                name: person.user.clone(),
                ..Default::default()
            };
            bind(&test, role, subject).await?;
            until(client, &person, "get", &kind("cameras", here), true).await?;
            for resource in ["cameras", "camerasources", "playbackjobs"] {
                for verb in ["get", "list", "watch"] {
                    ensure!(
                        person.may(client, verb, &kind(resource, here)).await?,
                        "{role}: {verb} {resource}"
                    );
                }
                for verb in ["create", "update", "patch", "delete"] {
                    let allowed = person.may(client, verb, &kind(resource, here)).await?;
                    ensure!(allowed == (role == "marsad-edit"), "{role}: {verb} {resource}");
                }
                ensure!(!person.may(client, "get", &kind(resource, "kube-system")).await?);
            }
            // Status is the controllers', pools and the quota the platform team's.
            for (verb, resource) in [
                ("patch", "cameras/status"),
                ("create", "ingestpools"),
                ("patch", "ingestpools"),
                ("create", "apigateways"),
            ] {
                ensure!(
                    !person.may(client, verb, &kind(resource, here)).await?,
                    "{role}: {verb} {resource}"
                );
            }
            ensure!(
                !person.may(client, "patch", &kind("streamquotas", "")).await?,
                "{role}"
            );
            let secrets = What {
                group: "",
                resource: "secrets",
                name: "",
                namespace: here,
            };
            ensure!(!person.may(client, "get", &secrets).await?, "{role}: secrets");
        }
        Ok(())
    })
    .await
}
