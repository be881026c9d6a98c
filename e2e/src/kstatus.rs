//! What kstatus makes of our objects, at every step: a watch beside a scenario keeps every version of its Cameras and
//! CameraSources, and at the end an implementation that is not ours (`tools/kstatus`) must come to our verdict on each.
//! Nothing is judged before the scenario is over, so that no test gets slower.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::{Stream, StreamExt as _};
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use marsad_crds::{Camera, CameraSource, kstatus};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// For a watch to begin, and for the tool to be done: both take less than a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Disagreements that are shown.
const SHOWN: usize = 5;

/// Every version of every object of a namespace, from when it was made.
pub struct Witness {
    tool: String,
    seen: Arc<Mutex<Vec<Value>>>,
    /// They end with it.
    _watches: JoinSet<()>,
}

impl Witness {
    /// Watches `namespace`, which may not be there yet; none when `MARSAD_KSTATUS` does not name the tool.
    ///
    /// # Errors
    /// When no watch begins.
    pub async fn from_env(client: &Client, namespace: &str) -> Result<Option<Self>> {
        let Some(tool) = std::env::var("MARSAD_KSTATUS")
            .ok()
            .filter(|path| !path.is_empty())
        else {
            return Ok(None);
        };
        let seen = Arc::default();
        let mut watches = JoinSet::new();
        for kind in [
            ApiResource::erase::<Camera>(&()),
            ApiResource::erase::<CameraSource>(&()),
        ] {
            // As it is stored, not as our types read it.
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
            let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
            timeout(PATIENCE, begin(&mut events))
                .await
                .with_context(|| format!("no watch of {} after {PATIENCE:?}", kind.plural))?;
            watches.spawn(keep(events, Arc::clone(&seen)));
        }
        Ok(Some(Self {
            tool,
            seen,
            _watches: watches,
        }))
    }

    /// Holds what was seen against the tool.
    ///
    /// # Errors
    /// When a verdict is not ours, with the object; when the tool fails; when nothing was seen.
    pub async fn judge(self) -> Result<()> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        ensure!(
            !seen.is_empty(),
            "kstatus: the watch beside the scenario saw nothing"
        );
        let answers = timeout(PATIENCE, ask(&self.tool, &seen))
            .await
            .with_context(|| format!("{} is not done after {PATIENCE:?}", self.tool))??;
        compare(&seen, &answers)?;
        println!("{} versions are to kstatus what they are to us", seen.len());
        Ok(())
    }
}

type Events = watcher::Result<Event<DynamicObject>>;

/// Until the watch stands; what goes wrong before is tried again.
async fn begin(events: &mut (impl Stream<Item = Events> + Unpin)) {
    while let Some(event) = events.next().await {
        if matches!(event, Ok(Event::InitDone)) {
            return;
        }
    }
}

/// A watch that breaks goes on by itself, from where it was.
async fn keep(mut events: impl Stream<Item = Events> + Unpin, seen: Arc<Mutex<Vec<Value>>>) {
    while let Some(event) = events.next().await {
        let Ok(Event::Apply(mut object) | Event::InitApply(mut object) | Event::Delete(mut object)) = event
        else {
            continue;
        };
        object.metadata.managed_fields = None;
        if let Ok(object) = serde_json::to_value(&object) {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(object);
        }
    }
}

/// What the tool says, one line an object.
async fn ask(tool: &str, objects: &[Value]) -> Result<String> {
    let mut child = Command::new(tool)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{tool} does not start"))?;
    let mut stdin = child.stdin.take().context("stdin")?;
    let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
    // At the same time: it answers before it has read all.
    let write = async move {
        // That it ended before is said by how it ended.
        let _ = stdin.write_all(lines.as_bytes()).await;
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output?;
    ensure!(
        output.status.success(),
        "{tool}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Holds `answers`, a line `verdict<TAB>message` for each of `objects`, against our own verdicts.
fn compare(objects: &[Value], answers: &str) -> Result<()> {
    let answers: Vec<&str> = answers.lines().collect();
    ensure!(
        answers.len() == objects.len(),
        "kstatus: {} answers for {} objects",
        answers.len(),
        objects.len()
    );
    let mut wrong = Vec::new();
    for (object, answer) in objects.iter().zip(answers) {
        let ours = kstatus::of(object).with_context(|| object.to_string())?;
        let (theirs, why) = answer.split_once('\t').unwrap_or((answer, ""));
        if theirs != ours.as_str() {
            wrong.push(format!(
                "kstatus says {theirs} ({why}), we say {ours}:\n{}",
                serde_saphyr::to_string(object)?
            ));
        }
    }
    if !wrong.is_empty() {
        let count = wrong.len();
        wrong.truncate(SHOWN);
        bail!("{count} of {} versions:\n{}", objects.len(), wrong.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::watcher::Error;
    use serde_json::json;

    fn version(observed: i64) -> Value {
        json!({
            "apiVersion": "marsad.dev/v1alpha1",
            "kind": "Camera",
            "metadata": {"name": "szr", "namespace": "police", "generation": 1},
            "status": {"observedGeneration": observed},
        })
    }

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_verdict_that_is_not_ours_is_told_with_its_object() {
        let seen = [version(-1), version(1)];
        compare(&seen, "InProgress\twhy\nCurrent\t\n").unwrap();
        let error = compare(&seen, "InProgress\twhy\nFailed\tso\n")
            .unwrap_err()
            .to_string();
        for part in ["1 of 2", "Failed (so)", "Current", "name: szr"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn an_object_without_an_answer_is_no_agreement() {
        assert!(compare(&[version(-1), version(1)], "InProgress\twhy\n").is_err());
    }

    #[tokio::test]
    async fn every_version_is_kept_and_a_broken_watch_is_no_end() {
        let events = [
            Ok(Event::Apply(object(version(-1)))),
            Err(Error::NoResourceVersion),
            Ok(Event::Init),
            Ok(Event::InitApply(object(version(1)))),
            Ok(Event::InitDone),
            Ok(Event::Delete(object(version(1)))),
        ];
        let seen = Arc::default();
        keep(futures::stream::iter(events), Arc::clone(&seen)).await;
        assert_eq!(*seen.lock().unwrap(), [version(-1), version(1), version(1)]);
    }

    #[tokio::test]
    async fn a_tool_that_fails_is_told_and_one_that_reads_nothing_does_not_hang() {
        let many: Vec<Value> = (0..5_000).map(version).collect();
        let error = ask("false", &many).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 1"), "{error}");
        assert_eq!(
            ask("cat", &many).await.unwrap().lines().count(),
            many.len(),
            "it answers while it is asked"
        );
        assert!(ask("/nowhere/kstatus", &many).await.is_err());
    }
}
