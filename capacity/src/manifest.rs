//! The pools of a plan, to paste.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use marsad_crds::{IngestPool, IngestPoolSpec, MediaMtxSpec, RecordingsVolume};

use crate::plan::Plan;

/// Memory that a shard may use: R1.1-20.
pub const MEMORY_LIMIT_MIB: f64 = 4096.0;

/// Processors are asked for in steps of this many thousandths.
const CPU_STEP: f64 = 50.0;
/// Memory is asked for in steps of this many MiB.
const MEMORY_STEP: f64 = 64.0;

/// The pools, equal but for their names: `default`, `default-2` and so on. What a shard asks for is left out when it was not
/// measured, and the operator's own default holds then.
#[must_use]
pub fn pools(plan: &Plan) -> Vec<IngestPool> {
    let spec = spec(plan);
    let count = count(plan, "pools");
    (1..=count)
        .map(|number| {
            let name = if number == 1 {
                "default".to_owned()
            } else {
                format!("default-{number}")
            };
            IngestPool::new(&name, spec.clone())
        })
        .collect()
}

fn spec(plan: &Plan) -> IngestPoolSpec {
    let size = plan.value("shard_recordings").filter(|size| *size > 0.0);
    IngestPoolSpec {
        replicas: count(plan, "replicas"),
        cameras_per_replica: count(plan, "cameras_per_shard"),
        mediamtx: MediaMtxSpec {
            image: None,
            resources: resources(plan),
            recordings: size.map(|size| RecordingsVolume {
                size: Quantity(format!("{size:.0}Gi")),
                storage_class_name: None,
            }),
        },
    }
}

fn resources(plan: &Plan) -> Option<ResourceRequirements> {
    let cpu = up_to(plan.value("shard_cpu_request")? * 1000.0, CPU_STEP);
    let memory = up_to(plan.value("shard_memory_request")?, MEMORY_STEP);
    let quantities = |pairs: Vec<(&str, String)>| -> BTreeMap<String, Quantity> {
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Quantity(value)))
            .collect()
    };
    Some(ResourceRequirements {
        requests: Some(quantities(vec![
            ("cpu", format!("{cpu:.0}m")),
            ("memory", format!("{memory:.0}Mi")),
        ])),
        // No limit of processors: throttling a relay freezes pictures of cameras that did nothing.
        limits: Some(quantities(vec![(
            "memory",
            format!("{:.0}Mi", memory.max(MEMORY_LIMIT_MIB)),
        )])),
        ..ResourceRequirements::default()
    })
}

fn up_to(value: f64, step: f64) -> f64 {
    ((value / step).ceil() * step).max(step)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a whole number of the model, far below the bound"
)]
fn count(plan: &Plan, name: &str) -> i32 {
    plan.value(name).unwrap_or_default() as i32
}
