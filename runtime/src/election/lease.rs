//! The record of an election: a `coordination.k8s.io/v1` Lease, written only over the version that was read.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::candidate::{Record, Written};

/// One Lease, as its candidate `identity` reads and writes it.
pub(super) struct LeaseRecord {
    api: Api<Lease>,
    name: String,
    identity: String,
    lease: Duration,
    last: Option<Lease>,
}

impl LeaseRecord {
    pub(super) fn new(
        client: Client,
        namespace: &str,
        name: String,
        identity: String,
        lease: Duration,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name,
            identity,
            lease,
            last: None,
        }
    }

    pub(super) async fn read(&mut self) -> Result<Option<Record<String>>, kube::Error> {
        self.last = self.api.get_opt(&self.name).await?;
        Ok(self.last.as_ref().map(record))
    }

    /// Writes `holder` over `over`, or creates the record when there is none.
    pub(super) async fn write(&mut self, hold: bool, over: Option<&str>) -> Written<String> {
        let now = Timestamp::now();
        let answer = match over {
            None => {
                let new = self.next(None, hold, now);
                self.api.create(&PostParams::default(), &new).await
            }
            Some(version) => {
                let last = self
                    .last
                    .take()
                    .filter(|lease| lease.metadata.resource_version.as_deref() == Some(version));
                let Some(last) = last else {
                    return Written::Conflict;
                };
                let new = self.next(Some(&last), hold, now);
                self.last = Some(last);
                self.api.replace(&self.name, &PostParams::default(), &new).await
            }
        };
        match answer {
            Ok(written) => {
                let version = record(&written).version;
                self.last = Some(written);
                Written::Accepted(version)
            }
            // Another's write or creation came first, or the record was deleted.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Written::Conflict,
            Err(error) => {
                tracing::warn!(
                    lease = self.name,
                    error = &error as &dyn std::error::Error,
                    "lease_not_written"
                );
                Written::Unknown
            }
        }
    }

    fn next(&self, last: Option<&Lease>, hold: bool, now: Timestamp) -> Lease {
        let spec = last.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let holder = if hold {
            self.identity.clone()
        } else {
            String::new()
        };
        let changes = spec.holder_identity.as_deref().unwrap_or_default() != holder;
        let terms = spec.lease_transitions.unwrap_or(0);
        Lease {
            metadata: last.map_or_else(
                || ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                |lease| lease.metadata.clone(),
            ),
            spec: Some(LeaseSpec {
                acquire_time: if changes && hold {
                    Some(MicroTime(now))
                } else {
                    spec.acquire_time
                },
                holder_identity: Some(holder),
                // Whole seconds there: never less than we mean.
                lease_duration_seconds: Some(seconds(self.lease)),
                lease_transitions: Some(if changes && hold {
                    terms.saturating_add(1)
                } else {
                    terms
                }),
                renew_time: Some(MicroTime(now)),
                ..spec
            }),
        }
    }
}

fn seconds(duration: Duration) -> i32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

fn record(lease: &Lease) -> Record<String> {
    let spec = lease.spec.as_ref();
    Record {
        holder: spec
            .and_then(|spec| spec.holder_identity.clone())
            .filter(|holder| !holder.is_empty()),
        lease: spec
            .and_then(|spec| spec.lease_duration_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs)
            .unwrap_or_default(),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}
