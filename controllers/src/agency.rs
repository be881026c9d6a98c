//! What the quota says of an agency.

use std::sync::Arc;

use marsad_crds::{AgencyQuota, StreamQuota, agency_code};
use marsad_runtime::watch::Watch;

/// Name of the one StreamQuota (contracts.md 4).
const QUOTA: &str = "default";

/// The quota, as last seen.
pub(crate) fn quota(quotas: &Watch<StreamQuota>) -> Option<Arc<StreamQuota>> {
    quotas.get(None, QUOTA)
}

/// The part of `agency` in it.
pub(crate) fn part<'a>(quota: Option<&'a StreamQuota>, agency: &str) -> Option<&'a AgencyQuota> {
    quota?.spec.agencies.iter().find(|part| part.name == agency)
}

/// The agency's code in metrics, logs and the stream ledger (contracts.md 4): what its quota gives, else made from the name. Empty for no
/// agency.
pub(crate) fn code(quota: Option<&StreamQuota>, agency: &str) -> String {
    part(quota, agency).map_or_else(|| agency_code(agency), AgencyQuota::effective_code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use marsad_crds::StreamQuotaSpec;

    #[test]
    fn a_code_is_the_quotas_or_made_from_the_name() {
        let agency = |name: &str, code: Option<&str>| AgencyQuota {
            name: name.to_owned(),
            code: code.map(str::to_owned),
            ..AgencyQuota::default()
        };
        let spec = StreamQuotaSpec {
            agencies: vec![agency("dubai-police", Some("DP")), agency("dubai-metro", None)],
            ..StreamQuotaSpec::default()
        };
        let quota = StreamQuota::new(QUOTA, spec);
        for (name, expected) in [
            ("dubai-police", "DP"),
            ("dubai-metro", "DUBAI_METRO"),
            ("dubai-bus", "DUBAI_BUS"),
            ("", ""),
        ] {
            assert_eq!(code(Some(&quota), name), expected);
        }
        assert_eq!(code(None, "dubai-police"), "DUBAI_POLICE");
    }
}
