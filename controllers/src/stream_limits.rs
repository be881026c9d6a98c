//! The limits on live streams of the StreamQuota, put in force in the stream ledger (R1.3-07): by one task for the one ledger,
//! which looks every two seconds whether they still are. A Valkey that has lost them gets them back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use marsad_crds::{AgencyQuota, StreamQuota};
use marsad_ledger::client::Error;
use marsad_ledger::request::{Code, Limit, SetLimits, Stats, StatsRead};
use marsad_ledger::{Client, Source};
use marsad_runtime::election::Fence;
use marsad_runtime::watch::Watch;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::agency;

const PERIOD: Duration = Duration::from_secs(2);

/// What is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Generation of the StreamQuota that it is from.
    pub generation: i64,
    /// Most live streams of each agency, by its name.
    pub streams: BTreeMap<String, i32>,
}

/// What the ledger should have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    total: u64,
    sources: Vec<(Source, u64)>,
}

/// Limits of one quota in one ledger.
#[derive(Debug, Clone)]
pub struct StreamLimits {
    ledger: Client,
    quotas: Watch<StreamQuota>,
    applied: Arc<watch::Sender<Option<Applied>>>,
}

impl StreamLimits {
    /// Nothing is known to be in force.
    pub fn new(ledger: Client, quotas: Watch<StreamQuota>) -> Self {
        Self {
            ledger,
            quotas,
            applied: Arc::new(watch::Sender::new(None)),
        }
    }

    /// What is in force, as it changes; nothing while the ledger is away.
    pub fn applied(&self) -> watch::Receiver<Option<Applied>> {
        self.applied.subscribe()
    }

    /// Keeps limits in force until `stop`, writing only while `fence` holds.
    pub async fn run(self, fence: Fence, stop: CancellationToken) {
        let mut edits = std::pin::pin!(self.quotas.edits());
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
                _ = edits.next() => {}
            }
            let Some(quota) = agency::quota(&self.quotas) else {
                continue;
            };
            match fence.guard(self.apply(&quota)).await {
                Ok(Ok(applied)) => {
                    self.applied.send_if_modified(|last| {
                        let news = last.as_ref() != Some(&applied);
                        if news {
                            tracing::info!(generation = applied.generation, "stream_limits_in_force");
                        }
                        *last = Some(applied);
                        news
                    });
                }
                Ok(Err(error)) => {
                    let known = self.applied.send_if_modified(|last| last.take().is_some());
                    // Said once: the client itself says what fails, each time.
                    if known {
                        tracing::warn!(%error, "stream_limits_not_known");
                    }
                }
                // Another process leads by now.
                Err(_) => return,
            }
        }
    }

    async fn apply(&self, quota: &StreamQuota) -> Result<Applied, Error> {
        let wanted = wanted(quota);
        let generation = quota.metadata.generation.unwrap_or(0);
        // Twice is enough: the second time its own generation is in force, or another writer's, which is an error.
        for _ in 0..2 {
            let ask = Stats {
                sources: wanted.sources.iter().map(|(source, _)| source.clone()).collect(),
            };
            let found = self.ledger.ask(&ask).await?.answer;
            let checked = self.applied.borrow().as_ref().map(|applied| applied.generation);
            // Which sources are in force changes with the quota alone, or with the limits of all.
            let known = if checked == Some(generation) && stand(&wanted, &found) {
                ask.sources
            } else {
                self.ledger.sources().await?
            };
            let Some(set) = plan(&wanted, generation, &found, &known) else {
                let agencies = quota.spec.agencies.iter();
                return Ok(Applied {
                    generation,
                    streams: agencies
                        .map(|agency| (agency.name.clone(), agency.streams))
                        .collect(),
                });
            };
            let answer = self.ledger.ask(&set).await?.answer;
            if answer.code == Code::Stale {
                tracing::info!(in_force = answer.generation, "stream_limits_stale");
            }
        }
        Err(Error::Server("another writer changes the limits".to_owned()))
    }
}

fn wanted(quota: &StreamQuota) -> Wanted {
    let slots = |number: i32| u64::try_from(number).unwrap_or(0);
    let source = |agency: &AgencyQuota| Source::new(&agency.effective_code()).ok();
    let agencies = quota.spec.agencies.iter();
    Wanted {
        total: slots(quota.spec.total.streams),
        sources: agencies
            .filter_map(|agency| Some((source(agency)?, slots(agency.streams))))
            .collect(),
    }
}

/// Whether these figures of the wanted sources have the wanted limits.
fn stand(wanted: &Wanted, found: &StatsRead) -> bool {
    let mut each = wanted.sources.iter().zip(&found.sources);
    found.total_limit == Some(wanted.total)
        && found.sources.len() == wanted.sources.len()
        && each.all(|((_, slots), stats)| stats.limit == Some(*slots) && stats.urgent == 0)
}

/// What has to be set, if anything: `found` are figures of the wanted sources, `known` the sources in force.
fn plan(wanted: &Wanted, generation: i64, found: &StatsRead, known: &[Source]) -> Option<SetLimits> {
    let same = known.len() == wanted.sources.len()
        && wanted.sources.iter().all(|(source, _)| known.contains(source));
    if same && stand(wanted, found) {
        return None;
    }
    // A quota that was deleted and made anew begins to count again, and the ledger takes no older generation.
    let generation = u64::try_from(generation).unwrap_or(0).max(found.generation);
    let limits = wanted.sources.iter().map(|(source, slots)| {
        let limit = Limit {
            slots: *slots,
            urgent: 0,
        };
        (source.clone(), Some(limit))
    });
    let gone = known
        .iter()
        .filter(|source| !wanted.sources.iter().any(|(one, _)| one == *source))
        .map(|source| (source.clone(), None));
    Some(SetLimits {
        generation,
        total: wanted.total,
        known: known.to_vec(),
        sources: limits.chain(gone).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use marsad_crds::{QuotaTotal, StreamQuotaSpec};
    use marsad_ledger::model::Model;
    use marsad_ledger::request::read;
    use proptest::prelude::*;

    fn quota(total: i32, agencies: &[(&str, i32)]) -> StreamQuota {
        let agencies = agencies.iter().map(|(name, streams)| AgencyQuota {
            name: (*name).to_owned(),
            streams: *streams,
            ..AgencyQuota::default()
        });
        let spec = StreamQuotaSpec {
            total: QuotaTotal {
                cameras: 0,
                streams: total,
            },
            agencies: agencies.collect(),
            ..StreamQuotaSpec::default()
        };
        StreamQuota::new("default", spec)
    }

    /// What the ledger has, in the order of its list.
    #[derive(Default)]
    struct Ledger {
        model: Model,
        known: Vec<Source>,
    }

    impl Ledger {
        /// One round of the task. Gives whether anything had to be set.
        fn round(&mut self, quota: &StreamQuota, generation: i64) -> bool {
            let wanted = wanted(quota);
            let sources = wanted.sources.iter().map(|(source, _)| source.clone()).collect();
            let found = read::<Stats>(&self.model.stats(&Stats { sources }))
                .unwrap()
                .unwrap();
            let Some(set) = plan(&wanted, generation, &found, &self.known) else {
                return false;
            };
            let answer = read::<SetLimits>(&self.model.set_limits(&set)).unwrap().unwrap();
            assert_eq!(answer.code, Code::Done, "{set:?}");
            let stays = set.sources.into_iter().filter(|(_, limit)| limit.is_some());
            self.known = stays.map(|(source, _)| source).collect();
            true
        }

        fn limits(&self, sources: &[&str]) -> Vec<Option<u64>> {
            let sources = sources.iter().map(|code| Source::new(code).unwrap()).collect();
            let stats = read::<Stats>(&self.model.stats(&Stats { sources }))
                .unwrap()
                .unwrap();
            let each = stats.sources.iter().map(|one| one.limit);
            std::iter::once(stats.total_limit).chain(each).collect()
        }
    }

    #[test]
    fn r1_3_07_limits_follow_the_quota_and_an_agency_that_left_is_forgotten() {
        let mut ledger = Ledger::default();
        let first = quota(80, &[("dubai-police", 50), ("metro", 30)]);
        assert!(ledger.round(&first, 1) && !ledger.round(&first, 1));
        let codes = ["DUBAI_POLICE", "METRO", "BUS"];
        assert_eq!(ledger.limits(&codes), [Some(80), Some(50), Some(30), None]);
        let second = quota(70, &[("dubai-police", 40), ("bus", 30)]);
        assert!(ledger.round(&second, 2) && !ledger.round(&second, 2));
        assert_eq!(ledger.limits(&codes), [Some(70), Some(40), None, Some(30)]);
    }

    #[test]
    fn a_quota_that_was_made_anew_counts_from_one_and_is_heard() {
        let mut ledger = Ledger::default();
        assert!(ledger.round(&quota(10, &[("metro", 10)]), 7));
        assert!(ledger.round(&quota(20, &[("metro", 20)]), 1));
        assert_eq!(ledger.limits(&["METRO"]), [Some(20), Some(20)]);
    }

    #[test]
    fn a_ledger_that_lost_everything_gets_it_back() {
        let (mut ledger, all) = (Ledger::default(), quota(10, &[("metro", 10)]));
        ledger.round(&all, 3);
        ledger = Ledger::default();
        assert!(ledger.round(&all, 3));
        assert_eq!(ledger.limits(&["METRO"]), [Some(10), Some(10)]);
    }

    proptest! {
        /// Whatever was in force: after one round the quota is, and then nothing is written.
        #[test]
        fn one_round_is_enough(
            quotas in proptest::collection::vec((0_i32..99, proptest::collection::btree_map("[a-d]", 0_i32..50, 0..4), 0_i64..5), 1..6),
        ) {
            let mut ledger = Ledger::default();
            for (total, agencies, generation) in quotas {
                let agencies: Vec<(&str, i32)> = agencies.iter().map(|(name, streams)| (name.as_str(), *streams)).collect();
                let quota = quota(total, &agencies);
                ledger.round(&quota, generation);
                prop_assert!(!ledger.round(&quota, generation));
                for (name, streams) in agencies {
                    let limits = ledger.limits(&[&name.to_uppercase()]);
                    prop_assert_eq!(&limits, &[u64::try_from(total).ok(), u64::try_from(streams).ok()]);
                }
            }
        }
    }
}
