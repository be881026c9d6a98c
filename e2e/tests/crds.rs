//! The definitions and the table of manifests on a real API server, whose word counts over kube's evaluator.
//!
//! The table is replayed on copies of the definitions under another group and other names, so that no controller or
//! webhook takes part, `kubectl get cameras` of other tests means what it meant, and nothing of a live quota is touched.

#![allow(
    clippy::indexing_slicing,
    reason = "of JSON only, where what is not there is null"
)]

#[path = "../../crds/tests/cases/mod.rs"]
mod cases;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::{Method, Request};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config, ResourceExt};
use marsad_crds::CustomResourceDefinition;
use serde_json::{Value, json};
use tokio::time::timeout;

const GROUP: &str = "cases.marsad.dev";
const DEADLINE: Duration = Duration::from_secs(60);

async fn client() -> Result<Client> {
    let path =
        std::env::var_os("KUBECONFIG").context("KUBECONFIG names no cluster: run `cargo xtask test`")?;
    let config =
        Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// What is installed is what the types say; where nothing is, the API server takes it.
#[tokio::test]
async fn the_installed_definitions_are_ours() -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client().await?);
    let mut wrong = Vec::new();
    for ours in marsad_crds::all() {
        let name = ours.name_any();
        match definitions.get_opt(&name).await? {
            None => {
                let dry_run = PostParams {
                    dry_run: true,
                    ..PostParams::default()
                };
                if let Err(error) = definitions.create(&dry_run, &ours).await {
                    wrong.push(format!("{name}: {error}"));
                }
            }
            Some(theirs) => {
                if schema(&theirs)? != schema(&ours)? {
                    wrong.push(format!("{name}: the schema in the cluster is another one"));
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn schema(crd: &CustomResourceDefinition) -> Result<Value> {
    let version = crd.spec.versions.first().context("no version")?;
    Ok(serde_json::to_value(&version.schema)?)
}

#[tokio::test]
async fn every_manifest_meets_its_verdict() -> Result<()> {
    let stage = Stage::set_up(client().await?).await?;
    let judged = stage.replay().await;
    let swept = stage.tear_down().await;
    let wrong = judged?;
    swept?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

struct Stage {
    client: Client,
    /// Where the objects of a kind are.
    paths: BTreeMap<String, String>,
    definitions: Vec<String>,
}

impl Stage {
    async fn set_up(client: Client) -> Result<Self> {
        // Strict refuses what the API server otherwise only warns of.
        let apply = PatchParams::apply("marsad/e2e").force().validation_strict();
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        let mut stage = Self {
            client,
            paths: BTreeMap::new(),
            definitions: Vec::new(),
        };
        for crd in marsad_crds::all() {
            let copy = copy(crd);
            let name = copy.name_any();
            definitions
                .patch(&name, &apply, &Patch::Apply(&copy))
                .await
                .with_context(|| format!("the API server refuses {name}"))?;
            let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
            timeout(DEADLINE, established)
                .await
                .with_context(|| format!("{name} is not established after {DEADLINE:?}"))??;
            let names = &copy.spec.names;
            let place = if copy.spec.scope == "Namespaced" {
                "/namespaces/default"
            } else {
                ""
            };
            let path = format!("/apis/{GROUP}/v1alpha1{place}/{}", names.plural);
            timeout(DEADLINE, stage.served(&path))
                .await
                .with_context(|| format!("{name} is not served after {DEADLINE:?}"))??;
            stage.paths.insert(names.kind.clone(), path);
            stage.definitions.push(name);
        }
        Ok(stage)
    }

    /// Established is said a moment before the path is served.
    async fn served(&self, path: &str) -> Result<()> {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            match self.send(Method::GET, path, &Value::Null).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => bail!(error),
            }
        }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> kube::Result<Value> {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(body)
            .map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }

    async fn replay(&self) -> Result<Vec<String>> {
        let cases = cases::all();
        ensure!(cases.len() >= 60, "only {} cases", cases.len());
        let mut wrong = Vec::new();
        for case in &cases {
            let path = self
                .paths
                .get(&case.kind)
                .with_context(|| format!("{}: no such kind", case.title))?;
            let refusal = match &case.old {
                None => self.create(path, case).await,
                Some(old) => self.update(path, case, old).await,
            };
            wrong.extend(case.wrong(refusal.with_context(|| case.title.clone())?.as_deref()));
        }
        println!("{} cases replayed", cases.len());
        Ok(wrong)
    }

    async fn create(&self, path: &str, case: &cases::Case) -> Result<Option<String>> {
        let path = format!("{path}?fieldValidation=Strict&dryRun=All");
        match self.send(Method::POST, &path, &in_our_group(&case.object)).await {
            Ok(born) => {
                // contracts.md 1
                ensure!(
                    born["status"] == json!({"observedGeneration": -1}),
                    "born with status {}",
                    born["status"]
                );
                Ok(None)
            }
            Err(error) => refusal(error),
        }
    }

    async fn update(&self, path: &str, case: &cases::Case, old: &Value) -> Result<Option<String>> {
        let stored = self
            .send(
                Method::POST,
                &format!("{path}?fieldValidation=Strict"),
                &in_our_group(old),
            )
            .await
            .context("what should be stored before is refused")?;
        let name = stored["metadata"]["name"]
            .as_str()
            .context("stored without a name")?;
        let mut new = in_our_group(&case.object);
        new["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
        let replaced = self
            .send(
                Method::PUT,
                &format!("{path}/{name}?fieldValidation=Strict&dryRun=All"),
                &new,
            )
            .await;
        self.send(Method::DELETE, &format!("{path}/{name}"), &Value::Null)
            .await?;
        replaced.map_or_else(refusal, |_| Ok(None))
    }

    async fn tear_down(&self) -> Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for name in &self.definitions {
            let uid = definitions
                .get(name)
                .await?
                .uid()
                .context("stored without a uid")?;
            definitions.delete(name, &DeleteParams::default()).await?;
            let gone = await_condition(definitions.clone(), name, conditions::is_deleted(&uid));
            timeout(DEADLINE, gone)
                .await
                .with_context(|| format!("{name} is not gone after {DEADLINE:?}"))??;
        }
        Ok(())
    }
}

/// A definition under another group, and under names that nobody asks kubectl for.
fn copy(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let names = &mut crd.spec.names;
    names.plural = format!("case{}", names.plural);
    names.singular = names.singular.take().map(|singular| format!("case{singular}"));
    names.short_names = None;
    names.categories = None;
    crd.metadata.name = Some(format!("{}.{GROUP}", names.plural));
    crd.spec.group = GROUP.to_owned();
    crd
}

fn in_our_group(object: &Value) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(format!("{GROUP}/v1alpha1"));
    object
}

/// What the API server says against a manifest; anything else that goes wrong is an error of the test.
fn refusal(error: kube::Error) -> Result<Option<String>> {
    match error {
        // 422 by schema or CEL, 400 by strict decoding.
        kube::Error::Api(status) if status.code == 422 || status.code == 400 => {
            Ok(Some(status.message.clone()))
        }
        other => bail!(other),
    }
}
