//! The model: inputs, measured coefficients and results, in an order in which each needs only earlier ones.

use std::collections::BTreeSet;

use crate::expression::Expression;

/// Where viewers are counted that no agency is named for.
pub const ALL_AGENCIES: &str = "all";

/// Shards that the definition of IngestPool allows a pool.
const SHARDS_OF_A_POOL: f64 = 100.0;
/// Seconds of an hour, bits of a byte and bytes of a GiB: GiB that 1 Mbit/s fills in an hour.
const GIB_OF_A_MBIT_HOUR: f64 = 1e6 * 3600.0 / 8.0 / 1_073_741_824.0;

/// A named number.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// Its name, in the flags, in JSON and in the workbook.
    pub name: String,
    /// What it is counted in.
    pub unit: &'static str,
    /// What it is, in a sentence.
    pub explanation: String,
    /// Where it is shown.
    pub group: Group,
    /// Where it comes from.
    pub kind: Kind,
}

/// Where a quantity comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The user says it.
    Input {
        /// What it is when the user does not.
        default: f64,
        /// What it may be.
        range: Range,
    },
    /// It was measured, or not: see `measured.json`.
    Coefficient,
    /// It is computed.
    Result(Expression),
}

/// What an input may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// At least.
    pub least: f64,
    /// At most.
    pub most: f64,
    /// Nothing between two whole numbers.
    pub whole: bool,
}

/// A number that an input can't be.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("must be a {}number of {} to {}", if self.0.whole { "whole " } else { "" }, self.0.least, self.0.most)]
pub struct OutOfRange(pub Range);

impl Range {
    const fn whole(least: f64, most: f64) -> Self {
        Self {
            least,
            most,
            whole: true,
        }
    }

    const fn any(least: f64, most: f64) -> Self {
        Self {
            least,
            most,
            whole: false,
        }
    }

    /// The value, when it is in the range.
    ///
    /// # Errors
    /// When it is not, or no number.
    pub fn check(self, value: f64) -> Result<f64, OutOfRange> {
        let fits = (self.least..=self.most).contains(&value) && (!self.whole || value.fract() == 0.0);
        if fits { Ok(value) } else { Err(OutOfRange(self)) }
    }
}

/// What quantities are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// What the user says.
    Inputs,
    /// What was measured.
    Measured,
    /// Paths and shards.
    Shards,
    /// What one shard needs.
    Shard,
    /// What is watched.
    Viewing,
    /// What all shards use together.
    Ingest,
    /// What the rooms use.
    LiveKit,
    /// Mbit/s.
    Network,
    /// Disks.
    Recordings,
    /// Machines of the given size.
    Machines,
}

impl Group {
    /// Its heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Inputs => "Inputs",
            Self::Measured => "Measured",
            Self::Shards => "Shards",
            Self::Shard => "One shard, full",
            Self::Viewing => "Viewing",
            Self::Ingest => "All shards",
            Self::LiveKit => "LiveKit",
            Self::Network => "Network",
            Self::Recordings => "Recordings",
            Self::Machines => "Machines",
        }
    }
}

/// All quantities.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// In an order in which each needs only earlier ones.
    pub quantities: Vec<Quantity>,
}

/// The input of an agency's viewers; agencies are DNS labels, which a defined name of a workbook can't be.
#[must_use]
pub fn viewers_of(agency: &str) -> String {
    format!("viewers_{}", agency.replace('-', "_"))
}

/// The measured coefficients of every model.
pub(crate) fn coefficient_names() -> BTreeSet<&'static str> {
    COEFFICIENTS.iter().map(|(name, ..)| *name).collect()
}

/// Name, unit and meaning of what is measured.
const COEFFICIENTS: [(&str, &str, &str); 17] = [
    ("empty_shard_cpu", "cores", "A shard without cameras."),
    ("empty_shard_memory", "MiB", "A shard without cameras."),
    (
        "camera_cpu",
        "cores",
        "A path that is pulled, whatever its bit rate.",
    ),
    ("mbit_cpu", "cores", "Each Mbit/s that is pulled."),
    (
        "camera_memory",
        "MiB",
        "A path that is pulled, whatever its bit rate.",
    ),
    ("mbit_memory", "MiB", "Each Mbit/s that is pulled."),
    (
        "recording_cpu",
        "cores",
        "A camera that is recorded, whatever its bit rate, on top of its pull.",
    ),
    ("recording_mbit_cpu", "cores", "Each Mbit/s that is recorded."),
    (
        "recording_memory",
        "MiB",
        "A camera that is recorded, whatever its bit rate, on top of its pull.",
    ),
    ("recording_mbit_memory", "MiB", "Each Mbit/s that is recorded."),
    (
        "forward_cpu",
        "cores",
        "A camera that is sent to LiveKit, whatever its bit rate, on top of its pull.",
    ),
    (
        "forward_mbit_cpu",
        "cores",
        "Each Mbit/s that is sent to LiveKit.",
    ),
    (
        "forward_memory",
        "MiB",
        "A camera that is sent to LiveKit, on top of its pull.",
    ),
    (
        "livekit_in_cpu",
        "cores",
        "LiveKit: each Mbit/s that it takes in.",
    ),
    (
        "livekit_out_cpu",
        "cores",
        "LiveKit: each Mbit/s that it sends to viewers.",
    ),
    ("livekit_memory_base", "MiB", "LiveKit without rooms."),
    (
        "livekit_camera_memory",
        "MiB",
        "LiveKit: a camera that is watched.",
    ),
];

impl Model {
    /// The model for viewers of these agencies; of all together when there are none.
    #[must_use]
    pub fn new(agencies: &[String]) -> Self {
        let all = [ALL_AGENCIES.to_owned()];
        let agencies = if agencies.is_empty() { &all } else { agencies };
        let mut quantities = inputs(agencies);
        quantities.extend(coefficients());
        quantities.extend(shards());
        quantities.extend(viewing(agencies));
        quantities.extend(one_shard());
        quantities.extend(all_shards());
        quantities.extend(livekit());
        quantities.extend(network());
        quantities.extend(recordings());
        quantities.extend(machines());
        Self { quantities }
    }

    /// A quantity by its name.
    #[must_use]
    pub fn quantity(&self, name: &str) -> Option<&Quantity> {
        self.quantities.iter().find(|one| one.name == name)
    }

    /// Whether the quantity may be unknown: a coefficient, or a result that needs one.
    #[must_use]
    pub fn may_be_unknown(&self, name: &str) -> bool {
        self.quantity(name).is_some_and(|quantity| match &quantity.kind {
            Kind::Input { .. } => false,
            Kind::Coefficient => true,
            Kind::Result(expression) => expression.names().iter().any(|name| self.may_be_unknown(name)),
        })
    }
}

fn name(name: &str) -> Expression {
    Expression::name(name)
}

fn result(
    group: Group,
    name: impl Into<String>,
    unit: &'static str,
    expression: Expression,
    explanation: impl Into<String>,
) -> Quantity {
    Quantity {
        name: name.into(),
        unit,
        explanation: explanation.into(),
        group,
        kind: Kind::Result(expression),
    }
}

fn inputs(agencies: &[String]) -> Vec<Quantity> {
    let input = |name: &str, unit, default, range, explanation: &str| Quantity {
        name: name.to_owned(),
        unit,
        explanation: explanation.to_owned(),
        group: Group::Inputs,
        kind: Kind::Input { default, range },
    };
    let share = Range::any(0.0, 1.0);
    let rate = Range::any(0.01, 200.0);
    let mut all = vec![
        input(
            "cameras",
            "cameras",
            500.0,
            Range::whole(1.0, 100_000.0),
            "Cameras that are pulled all the time.",
        ),
        input(
            "substream_share",
            "share",
            0.0,
            share,
            "Cameras with a substreamUrl, which is a second pull for ever.",
        ),
        input(
            "main_mbit",
            "Mbit/s",
            4.0,
            rate,
            "Bit rate of a main stream, as it is on the wire.",
        ),
        input("sub_mbit", "Mbit/s", 0.5, rate, "Bit rate of a sub-stream."),
        input(
            "recorded_share",
            "share",
            1.0,
            share,
            "Cameras that are recorded: their main streams.",
        ),
        input(
            "retention",
            "h",
            72.0,
            Range::any(0.0, 87_600.0),
            "How long recordings are kept.",
        ),
    ];
    for agency in agencies {
        let whose = if agency == ALL_AGENCIES {
            "all agencies"
        } else {
            agency
        };
        let explanation = format!("People of {whose} who watch at the same time.");
        let viewers = Range::whole(0.0, 100_000.0);
        all.push(input(&viewers_of(agency), "people", 20.0, viewers, &explanation));
    }
    all.extend([
        input(
            "tiles",
            "pictures",
            16.0,
            Range::whole(1.0, 64.0),
            "Live pictures that each of them watches at a time; each is a main stream.",
        ),
        input(
            "cameras_per_shard",
            "paths",
            100.0,
            Range::whole(2.0, 1000.0),
            "camerasPerReplica of the pool: paths (main and sub) that a shard may pull.",
        ),
        input(
            "spare_shards",
            "shards",
            1.0,
            Range::whole(0.0, 10.0),
            "Shards of each pool that may be lost while the others take their cameras.",
        ),
        input(
            "fill",
            "share",
            0.7,
            Range::any(0.1, 1.0),
            "Share of processors, memory, network and disks that the planned load may fill.",
        ),
        input(
            "machine_cores",
            "cores",
            8.0,
            Range::any(1.0, 1024.0),
            "Processors of a machine (R1.1-24).",
        ),
        input(
            "machine_gbit",
            "Gbit/s",
            10.0,
            Range::any(0.1, 1000.0),
            "Network of a machine, each way (R1.1-24).",
        ),
    ]);
    all
}

fn coefficients() -> impl Iterator<Item = Quantity> {
    COEFFICIENTS
        .into_iter()
        .map(|(name, unit, explanation)| Quantity {
            name: name.to_owned(),
            unit,
            explanation: explanation.to_owned(),
            group: Group::Measured,
            kind: Kind::Coefficient,
        })
}

fn shards() -> Vec<Quantity> {
    let of = |name: &str, unit, expression, explanation: &str| {
        result(Group::Shards, name, unit, expression, explanation)
    };
    // A camera with a sub-stream takes two paths of one shard. When every shard has one path left it finds no place, so one
    // is given up in each.
    let usable = name("cameras_per_shard") - name("substreams").least(1.0.into());
    vec![
        of(
            "substreams",
            "paths",
            (name("cameras") * name("substream_share")).up(),
            "Sub-streams.",
        ),
        of(
            "paths",
            "paths",
            name("cameras") + name("substreams"),
            "Paths: what a shard's capacity counts.",
        ),
        of(
            "shards_needed",
            "shards",
            (name("paths") / usable).up(),
            "Shards that hold all paths. With sub-streams one path of each stays free: both of a camera go to one shard.",
        ),
        of(
            "pools",
            "pools",
            (name("shards_needed") / (Expression::from(SHARDS_OF_A_POOL) - name("spare_shards"))).up(),
            "Pools: one has at most 100 shards.",
        ),
        of(
            "replicas",
            "shards",
            (name("shards_needed") / name("pools")).up() + name("spare_shards"),
            "replicas of each pool, those that may be lost included.",
        ),
        of(
            "shards",
            "shards",
            name("pools") * name("replicas"),
            "Shards of all pools.",
        ),
    ]
}

fn viewing(agencies: &[String]) -> Vec<Quantity> {
    let mut all = Vec::new();
    let streams_of = |agency: &str| format!("streams_{}", agency.replace('-', "_"));
    for agency in agencies {
        let explanation = if agency == ALL_AGENCIES {
            "Live pictures that all agencies watch: total.streams of the StreamQuota.".to_owned()
        } else {
            format!("Live pictures that {agency} watches: streams of its entry in the StreamQuota.")
        };
        let streams = name(&viewers_of(agency)) * name("tiles");
        all.push(result(
            Group::Viewing,
            streams_of(agency),
            "streams",
            streams,
            explanation,
        ));
    }
    let sum = agencies.iter().map(|agency| name(&streams_of(agency)));
    let sum = sum
        .reduce(|sum, next| sum + next)
        .unwrap_or(Expression::Number(0.0));
    let of = |name: &str, unit, expression, explanation: &str| {
        result(Group::Viewing, name, unit, expression, explanation)
    };
    all.extend([
        of(
            "streams",
            "streams",
            sum,
            "Live pictures that are watched, all together.",
        ),
        of(
            "watched",
            "cameras",
            name("cameras").least(name("streams")),
            "Cameras that are sent to LiveKit, at most: when no two people watch the same.",
        ),
        of(
            "forwarded_mbit",
            "Mbit/s",
            name("watched") * name("main_mbit"),
            "From the shards into LiveKit.",
        ),
        of(
            "viewers_mbit",
            "Mbit/s",
            name("streams") * name("main_mbit"),
            "From LiveKit to the viewers.",
        ),
    ]);
    all
}

/// What paths, Mbit/s, recorded and watched cameras use.
struct Load {
    shards: Expression,
    paths: Expression,
    pulled: Expression,
    recorded: Expression,
    watched: Expression,
}

impl Load {
    fn cpu(self) -> Expression {
        let main = || name("main_mbit");
        self.shards * name("empty_shard_cpu")
            + self.paths * name("camera_cpu")
            + self.pulled * name("mbit_cpu")
            + self.recorded * (name("recording_cpu") + main() * name("recording_mbit_cpu"))
            + self.watched * (name("forward_cpu") + main() * name("forward_mbit_cpu"))
    }

    fn memory(self) -> Expression {
        let recording = name("recording_memory") + name("main_mbit") * name("recording_mbit_memory");
        self.shards * name("empty_shard_memory")
            + self.paths * name("camera_memory")
            + self.pulled * name("mbit_memory")
            + self.recorded * recording
            + self.watched * name("forward_memory")
    }
}

fn one_shard() -> Vec<Quantity> {
    let of = |name: &str, unit, expression, explanation: &str| {
        result(Group::Shard, name, unit, expression, explanation)
    };
    let load = || Load {
        shards: 1.0.into(),
        paths: name("shard_paths"),
        pulled: name("shard_mbit"),
        recorded: name("shard_recorded"),
        watched: name("shard_watched"),
    };
    let part = |whole: &str| name("shard_paths") * name(whole) / name("paths");
    vec![
        of(
            "recorded",
            "cameras",
            (name("cameras") * name("recorded_share")).up(),
            "Cameras that are recorded, all together.",
        ),
        of(
            "pulled_mbit",
            "Mbit/s",
            name("cameras") * name("main_mbit") + name("substreams") * name("sub_mbit"),
            "From the cameras into all shards.",
        ),
        of(
            "shard_paths",
            "paths",
            name("paths").least(name("cameras_per_shard")),
            "Paths of a full shard: hashing is not even, and a lost shard's cameras come on top.",
        ),
        of(
            "shard_mbit",
            "Mbit/s",
            part("pulled_mbit"),
            "Its part of what is pulled.",
        ),
        of(
            "shard_recorded",
            "cameras",
            part("recorded"),
            "Its part of the recorded cameras.",
        ),
        of(
            "shard_watched",
            "cameras",
            part("watched"),
            "Its part of the watched cameras.",
        ),
        of("shard_cpu", "cores", load().cpu(), "What it uses."),
        of(
            "shard_cpu_request",
            "cores",
            name("shard_cpu") / name("fill"),
            "Processors to ask for.",
        ),
        of("shard_memory", "MiB", load().memory(), "What it uses."),
        of(
            "shard_memory_request",
            "MiB",
            name("shard_memory") / name("fill"),
            "Memory to ask for; the limit is 4 GiB (R1.1-20).",
        ),
    ]
}

fn all_shards() -> Vec<Quantity> {
    let load = || Load {
        shards: name("shards"),
        paths: name("paths"),
        pulled: name("pulled_mbit"),
        recorded: name("recorded"),
        watched: name("watched"),
    };
    vec![
        result(
            Group::Ingest,
            "ingest_cpu",
            "cores",
            load().cpu(),
            "What all shards use together.",
        ),
        result(
            Group::Ingest,
            "ingest_memory",
            "MiB",
            load().memory(),
            "What all shards use together.",
        ),
    ]
}

fn livekit() -> Vec<Quantity> {
    let cpu =
        name("forwarded_mbit") * name("livekit_in_cpu") + name("viewers_mbit") * name("livekit_out_cpu");
    let memory = name("livekit_memory_base") + name("watched") * name("livekit_camera_memory");
    vec![
        result(Group::LiveKit, "livekit_cpu", "cores", cpu, "What it uses."),
        result(
            Group::LiveKit,
            "livekit_memory",
            "MiB",
            memory,
            "What it uses without viewers: what each of them adds was not measured.",
        ),
    ]
}

fn network() -> Vec<Quantity> {
    let of = |name: &str, expression, explanation: &str| {
        result(Group::Network, name, "Mbit/s", expression, explanation)
    };
    vec![
        of(
            "network_in",
            name("pulled_mbit") + name("forwarded_mbit"),
            "Into all machines: from cameras into shards, and from shards into LiveKit on another machine.",
        ),
        of(
            "network_out",
            name("forwarded_mbit") + name("viewers_mbit"),
            "Out of all machines: from shards into LiveKit, and from LiveKit to viewers.",
        ),
    ]
}

fn recordings() -> Vec<Quantity> {
    let of = |name: &str, unit, expression, explanation: &str| {
        result(Group::Recordings, name, unit, expression, explanation)
    };
    let kept = |cameras: &str| name(cameras) * name("main_mbit") * name("retention") * GIB_OF_A_MBIT_HOUR;
    vec![
        of(
            "write_rate",
            "MB/s",
            name("recorded") * name("main_mbit") / 8.0,
            "Written to all disks.",
        ),
        of("recordings", "GiB", kept("recorded"), "Kept on all disks."),
        of(
            "shard_write_rate",
            "MB/s",
            name("shard_recorded") * name("main_mbit") / 8.0,
            "Written by a full shard.",
        ),
        of(
            "shard_recordings",
            "GiB",
            (kept("shard_recorded") / name("fill")).up(),
            "recordings.size: the volume of one shard.",
        ),
    ]
}

fn machines() -> Vec<Quantity> {
    let of = |name: &str, expression, explanation: &str| {
        result(Group::Machines, name, "machines", expression, explanation)
    };
    let most = name("network_in").greatest(name("network_out"));
    vec![
        of(
            "machines_by_cpu",
            ((name("ingest_cpu") + name("livekit_cpu")) / (name("machine_cores") * name("fill"))).up(),
            "For what the shards and LiveKit use.",
        ),
        of(
            "machines_by_network",
            (most / (name("machine_gbit") * 1000.0 * name("fill"))).up(),
            "For the busier direction.",
        ),
        of(
            "machines",
            name("machines_by_cpu").greatest(name("machines_by_network")),
            "For both. One more lets a machine be lost.",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_needs_only_what_comes_before_it() {
        let model = Model::new(&["police".into(), "metro-line".into()]);
        let mut before = BTreeSet::new();
        for quantity in &model.quantities {
            if let Kind::Result(expression) = &quantity.kind {
                let unknown: Vec<_> = expression
                    .names()
                    .into_iter()
                    .filter(|name| !before.contains(*name))
                    .collect();
                assert!(unknown.is_empty(), "{} needs {unknown:?}", quantity.name);
            }
            assert!(
                before.insert(quantity.name.clone()),
                "{} is there twice",
                quantity.name
            );
        }
    }

    #[test]
    fn everything_that_is_asked_for_or_measured_is_used() {
        let model = Model::new(&[]);
        let used: BTreeSet<&str> = model
            .quantities
            .iter()
            .filter_map(|quantity| match &quantity.kind {
                Kind::Result(expression) => Some(expression.names()),
                _ => None,
            })
            .flatten()
            .collect();
        for quantity in &model.quantities {
            let needed = !matches!(quantity.kind, Kind::Result(_));
            assert!(
                !needed || used.contains(quantity.name.as_str()),
                "{} is not used",
                quantity.name
            );
        }
    }

    #[test]
    fn names_are_names_to_a_spreadsheet() {
        for quantity in Model::new(&["a1".into()]).quantities {
            let name = quantity.name;
            let fine = name
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
            // A1 and R1C1 are cells.
            let cell = name.len() <= 3
                || !name.contains('_') && name.ends_with(|letter: char| letter.is_ascii_digit());
            assert!(fine && !cell, "{name}");
        }
    }

    #[test]
    fn a_default_is_in_its_range() {
        for quantity in Model::new(&[]).quantities {
            if let Kind::Input { default, range } = quantity.kind {
                assert_eq!(range.check(default), Ok(default), "{}", quantity.name);
            }
        }
    }

    #[test]
    fn a_range_says_what_would_be_right() {
        let whole = Range::whole(1.0, 1000.0);
        for bad in [0.0, 1001.0, 1.5, f64::NAN, f64::INFINITY] {
            let error = whole.check(bad).expect_err("out of it");
            assert_eq!(error.to_string(), "must be a whole number of 1 to 1000");
        }
        assert_eq!(Range::any(0.1, 1.0).check(0.25), Ok(0.25));
    }
}
