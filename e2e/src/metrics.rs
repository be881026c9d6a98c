//! What our roles say of themselves at `/metrics`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;

use crate::cluster::{Cluster, is_ready};

/// Port of `/metrics` of every role.
const PORT: u16 = 9090;
/// Requests to the API server by pod, verb and resource.
const REQUESTS: &str = "marsad_kube_requests_total";

/// Requests that change something, by `pod verb resource`.
pub type Writes = BTreeMap<String, u64>;

/// What all our roles have written to the API server since they started, Leases aside. Answers of every code count: a write that was
/// refused was work for the API server, too.
///
/// # Errors
/// When a pod of ours is not Ready or does not answer.
pub async fn writes(cluster: &Cluster) -> Result<Writes> {
    let mut all = Writes::new();
    for component in ["operator", "streams", "api"] {
        for (name, text) in texts(cluster, component).await? {
            for (key, count) in writes_of(&text) {
                *all.entry(format!("{name} {key}")).or_default() += count;
            }
        }
    }
    Ok(all)
}

/// The sum of all series named `metric` of a component's pods; zero when there is none.
///
/// # Errors
/// When a pod of it is not Ready or does not answer.
pub async fn sum(cluster: &Cluster, component: &str, metric: &str) -> Result<f64> {
    let texts = texts(cluster, component).await?;
    let lines = texts.iter().flat_map(|(_, text)| text.lines());
    Ok(lines.filter_map(|line| value_of(line, metric)).sum())
}

fn value_of(line: &str, metric: &str) -> Option<f64> {
    let rest = line.strip_prefix(metric)?;
    let value = match rest.strip_prefix('{') {
        Some(labels) => labels.rsplit_once("} ")?.1,
        None => rest.strip_prefix(' ')?,
    };
    value.trim().parse().ok()
}

/// Name and exposition text of each pod of a component.
async fn texts(cluster: &Cluster, component: &str) -> Result<Vec<(String, String)>> {
    let http = reqwest::Client::new();
    let mut all = Vec::new();
    for pod in cluster.pods_of(component).await? {
        let name = pod.name_any();
        ensure!(is_ready(&pod), "{name} is not Ready");
        let address = pod.status.and_then(|status| status.pod_ip).context("address")?;
        let url = format!("http://{address}:{PORT}/metrics");
        all.push((
            name,
            http.get(url).send().await?.error_for_status()?.text().await?,
        ));
    }
    Ok(all)
}

/// How many writes there were between two looks.
///
/// # Errors
/// When a pod was replaced in between: its count is lost.
pub fn between(before: &Writes, after: &Writes) -> Result<u64> {
    let mut sum = 0;
    for (key, count) in before {
        let now = after
            .get(key)
            .with_context(|| format!("{key} is counted no more"))?;
        ensure!(now >= count, "{key} was counted anew");
    }
    for (key, count) in after {
        sum += count - before.get(key).copied().unwrap_or(0);
    }
    Ok(sum)
}

/// The writes in an exposition text, by `verb resource`.
pub fn writes_of(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let labels = line.strip_prefix(REQUESTS)?.strip_prefix('{')?;
            let (labels, count) = labels.split_once("} ")?;
            let label = |name: &str| {
                let (_, rest) = labels.split_once(&format!("{name}=\""))?;
                Some(rest.split_once('"')?.0)
            };
            let (verb, resource) = (label("verb")?, label("resource")?);
            let reads = matches!(verb, "get" | "list" | "watch");
            (!reads && resource != "leases").then_some(())?;
            Some((format!("{verb} {resource}"), count.trim().parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writes_are_counted_and_no_lease() {
        let text = "# TYPE marsad_kube_requests counter
marsad_kube_requests_total{verb=\"patch\",resource=\"cameras/status\",code=\"200\"} 5
marsad_kube_requests_total{verb=\"watch\",resource=\"cameras\",code=\"200\"} 7
marsad_kube_requests_total{verb=\"update\",resource=\"leases\",code=\"200\"} 99
marsad_reconcile_total{kind=\"camera\",result=\"ok\"} 3
";
        assert_eq!(writes_of(text), [("patch cameras/status".to_owned(), 5)]);
    }

    #[test]
    fn series_are_told_apart_by_their_whole_name() {
        let of = |line| value_of(line, "mediamtx_x_total");
        assert_eq!(of("mediamtx_x_total{source=\"POLICE\"} 3"), Some(3.0));
        assert_eq!(of("mediamtx_x_total 4"), Some(4.0));
        assert_eq!(of("mediamtx_x_total_more 5"), None);
        assert_eq!(of("# TYPE mediamtx_x counter"), None);
    }

    #[test]
    fn a_replaced_pod_is_no_silence() {
        let count = |pods: &[(&str, u64)]| -> Writes {
            pods.iter()
                .map(|(pod, count)| ((*pod).to_owned(), *count))
                .collect()
        };
        let before = count(&[("a patch x", 5)]);
        assert_eq!(
            between(&before, &count(&[("a patch x", 6), ("a patch y", 2)])).expect("same pod"),
            3
        );
        between(&before, &count(&[("b patch x", 6)])).expect_err("another pod");
        between(&before, &count(&[("a patch x", 1)])).expect_err("counted anew");
    }
}
