//! Whose slots a camera's streams take: the codes of agencies, as the quota gives them (contracts.md 4).

use marsad_crds::StreamQuota;
use marsad_ledger::Source;
use marsad_runtime::watch::Watch;

/// Name of the one StreamQuota (contracts.md 4).
const QUOTA: &str = "default";

/// The agencies of the quota.
#[derive(Debug, Clone)]
pub struct Agencies {
    quotas: Watch<StreamQuota>,
}

impl Agencies {
    /// Over a watch of the quota.
    pub fn new(quotas: Watch<StreamQuota>) -> Self {
        Self { quotas }
    }

    /// The watch below.
    pub fn watch(&self) -> &Watch<StreamQuota> {
        &self.quotas
    }

    /// Whose slots the streams of this agency's cameras take. Nothing when the quota does not know the agency: then no limit
    /// is set for it, and nothing may be granted.
    pub fn source(&self, agency: &str) -> Option<Source> {
        let quota = self.quotas.get(None, QUOTA)?;
        let part = quota.spec.agencies.iter().find(|part| part.name == agency)?;
        Source::new(&part.effective_code()).ok()
    }

    /// Every source of the quota, in its order.
    pub fn sources(&self) -> Vec<Source> {
        let quota = self.quotas.get(None, QUOTA);
        let agencies = quota.iter().flat_map(|quota| &quota.spec.agencies);
        agencies
            .filter_map(|part| Source::new(&part.effective_code()).ok())
            .collect()
    }
}
