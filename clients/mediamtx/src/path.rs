//! A path's configuration: the fields that Marsad owns, and how they differ from what MediaMTX has.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// MediaMTX's word for a path that waits to be published to; nobody may publish here.
const AT_REST: &str = "publisher";

/// How MediaMTX pulls a camera's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RtspTransport {
    /// Inside the RTSP connection.
    #[default]
    Tcp,
    /// Beside it.
    Udp,
    /// To a group.
    Multicast,
    /// UDP first, then TCP.
    Automatic,
}

/// A path as it should be: the fields that the camera controller owns, and only those. `forward` is another writer's
/// (contracts.md 13a).
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathConf {
    /// `rtsp://` or `rtsps://`, with user and password: secret.
    pub source: String,
    /// SHA-256 of the camera's certificate in hexadecimal, for `rtsps`; empty: the certificate must be one that the
    /// system trusts, and MediaMTX's image trusts none.
    pub source_fingerprint: String,
    /// How packets come.
    pub rtsp_transport: RtspTransport,
    /// Whether MediaMTX records the path.
    pub record: bool,
    /// Time a recording is kept, as MediaMTX writes times, such as `72h0m0s`; `None` leaves the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_delete_after: Option<String>,
}

impl PathConf {
    /// A path that pulls `source` and does not record.
    pub fn pull(source: impl Into<String>, rtsp_transport: RtspTransport) -> Self {
        Self {
            source: source.into(),
            source_fingerprint: String::new(),
            rtsp_transport,
            record: false,
            record_delete_after: None,
        }
    }

    /// A path whose camera is elsewhere or gone, for the sake of its recordings: MediaMTX shows and removes those of paths that it knows,
    /// each by its own retention.
    pub fn kept(retention: impl Into<String>) -> Self {
        Self {
            record_delete_after: Some(retention.into()),
            ..Self::pull(AT_REST, RtspTransport::Tcp)
        }
    }

    /// The same path, left alone: it has its place, its forward and its recordings, and connects to nobody.
    #[must_use]
    pub fn at_rest(mut self) -> Self {
        AT_REST.clone_into(&mut self.source);
        self
    }
}

impl fmt::Debug for PathConf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PathConf")
            .field("source", &"***")
            .field("source_fingerprint", &self.source_fingerprint)
            .field("rtsp_transport", &self.rtsp_transport)
            .field("record", &self.record)
            .field("record_delete_after", &self.record_delete_after)
            .finish()
    }
}

/// A path's configuration as MediaMTX has it: of its some sixty fields those that Marsad writes.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathConfig {
    /// The path's name.
    pub name: String,
    /// Where it pulls from, with user and password: secret.
    pub source: String,
    /// SHA-256 of the camera's certificate.
    pub source_fingerprint: String,
    /// `tcp`, `udp`, `multicast` or `automatic`.
    pub rtsp_transport: String,
    /// Whether it records.
    pub record: bool,
    /// Time a recording is kept, as MediaMTX writes it.
    pub record_delete_after: String,
    /// Where the path is forwarded to; `streams` owns it.
    #[serde(deserialize_with = "null_is_empty")]
    pub forward: Vec<ForwardEntry>,
}

impl PathConfig {
    /// How long a recording is kept; none when MediaMTX's word for it is not understood.
    pub fn retention(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(seconds(&self.record_delete_after)?).ok()
    }
}

/// MediaMTX writes an empty list as `null` when it was never set.
fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ForwardEntry>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl fmt::Debug for PathConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PathConfig")
            .field("name", &self.name)
            .field("source", &"***")
            .field("source_fingerprint", &self.source_fingerprint)
            .field("rtsp_transport", &self.rtsp_transport)
            .field("record", &self.record)
            .field("record_delete_after", &self.record_delete_after)
            .field("forward", &self.forward)
            .finish()
    }
}

/// The fields of a path that differ; the others are left as they are.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtsp_transport: Option<RtspTransport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_delete_after: Option<String>,
}

impl PathPatch {
    /// Whether applying it closes the path and opens it anew: readers and forwards lose the picture for seconds.
    /// MediaMTX changes only `record*` and `forward` in flight (research/media-plane.md §1).
    pub fn interrupts(&self) -> bool {
        self.source.is_some() || self.source_fingerprint.is_some() || self.rtsp_transport.is_some()
    }

    /// The fields it sets, for logs: names, no values.
    pub fn fields(&self) -> Vec<&'static str> {
        [
            ("source", self.source.is_some()),
            ("sourceFingerprint", self.source_fingerprint.is_some()),
            ("rtspTransport", self.rtsp_transport.is_some()),
            ("record", self.record.is_some()),
            ("recordDeleteAfter", self.record_delete_after.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
        .collect()
    }
}

impl fmt::Debug for PathPatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PathPatch").field(&self.fields()).finish()
    }
}

/// What must be patched so that `have` becomes `want`; `None` when nothing must. Pure.
///
/// An equal write is not free at MediaMTX: it validates all paths again (research/whip-lab.md §5).
pub fn diff(have: &PathConfig, want: &PathConf) -> Option<PathPatch> {
    // Taken apart so that a field that is added and not compared does not compile.
    let PathConf {
        source,
        source_fingerprint,
        rtsp_transport,
        record,
        record_delete_after,
    } = want;
    let patch = PathPatch {
        source: (have.source != *source).then(|| source.clone()),
        // MediaMTX keeps the letters' case as given and compares without it.
        source_fingerprint: (!have.source_fingerprint.eq_ignore_ascii_case(source_fingerprint))
            .then(|| source_fingerprint.clone()),
        rtsp_transport: (have.rtsp_transport != name_of(*rtsp_transport)).then_some(*rtsp_transport),
        record: (have.record != *record).then_some(*record),
        record_delete_after: record_delete_after
            .as_ref()
            .filter(|after| {
                seconds(after).is_none_or(|wanted| seconds(&have.record_delete_after) != Some(wanted))
            })
            .cloned(),
    };
    (patch != PathPatch::default()).then_some(patch)
}

fn name_of(transport: RtspTransport) -> &'static str {
    match transport {
        RtspTransport::Tcp => "tcp",
        RtspTransport::Udp => "udp",
        RtspTransport::Multicast => "multicast",
        RtspTransport::Automatic => "automatic",
    }
}

/// Seconds of a time such as `72h`, which MediaMTX gives back as `3d` or `72h0m0s`: compared by value, or every poll would patch.
fn seconds(text: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))?;
        let (number, unit) = rest.split_at(digits);
        let letters = unit
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(unit.len());
        let (unit, next) = unit.split_at(letters);
        let factor = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = next;
    }
    Some(total)
}

/// One place that a path is forwarded to.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForwardEntry {
    /// `whip://host:port/path` for http, `whips://` for https; MediaMTX refuses `http://`.
    pub dest: String,
    /// Access token of the publisher: secret.
    pub whip_bearer_token: String,
}

impl ForwardEntry {
    /// An entry that publishes to `dest` with `token`.
    pub fn whip(dest: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            dest: dest.into(),
            whip_bearer_token: token.into(),
        }
    }
}

impl fmt::Debug for ForwardEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ForwardEntry")
            .field("dest", &crate::error::redact(&self.dest))
            .field("whip_bearer_token", &"***")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn had(want: &PathConf) -> PathConfig {
        PathConfig {
            name: "police/a/main".into(),
            source: want.source.clone(),
            source_fingerprint: want.source_fingerprint.to_uppercase(),
            rtsp_transport: name_of(want.rtsp_transport).into(),
            record: want.record,
            record_delete_after: "3d".into(),
            forward: vec![ForwardEntry::whip("whip://livekit:7880/whip/v1", "eyJx")],
        }
    }

    fn wanted() -> PathConf {
        PathConf {
            source_fingerprint: "ab12".into(),
            record_delete_after: Some("72h".into()),
            ..PathConf::pull("rtsp://op:geheim@10.1.2.3:554/main", RtspTransport::Tcp)
        }
    }

    #[test]
    fn nothing_is_written_when_nothing_differs() {
        assert_eq!(diff(&had(&wanted()), &wanted()), None);
        let unsaid = PathConf {
            record_delete_after: None,
            ..wanted()
        };
        assert_eq!(diff(&had(&wanted()), &unsaid), None);
    }

    #[test]
    fn only_fields_that_differ_are_written_and_never_forward() {
        let have = had(&wanted());
        for (want, fields, interrupts) in [
            (
                PathConf {
                    source: "rtsp://10.1.2.3:554/sub".into(),
                    ..wanted()
                },
                "source",
                true,
            ),
            (
                PathConf {
                    source_fingerprint: "cd".into(),
                    ..wanted()
                },
                "sourceFingerprint",
                true,
            ),
            (
                PathConf {
                    rtsp_transport: RtspTransport::Udp,
                    ..wanted()
                },
                "rtspTransport",
                true,
            ),
            (
                PathConf {
                    record: true,
                    ..wanted()
                },
                "record",
                false,
            ),
            (
                PathConf {
                    record_delete_after: Some("24h".into()),
                    ..wanted()
                },
                "recordDeleteAfter",
                false,
            ),
        ] {
            let patch = diff(&have, &want).unwrap();
            assert_eq!(patch.fields(), [fields]);
            assert_eq!(patch.interrupts(), interrupts);
            let written = serde_json::to_value(&patch).unwrap();
            assert_eq!(written.as_object().unwrap().keys().collect::<Vec<_>>(), [fields]);
        }
    }

    #[test]
    fn times_are_compared_by_value() {
        for (text, value) in [
            ("72h", Some(259_200.0)),
            ("3d", Some(259_200.0)),
            ("72h0m0s", Some(259_200.0)),
            ("1m30s", Some(90.0)),
            ("x", None),
        ] {
            assert_eq!(seconds(text), value, "{text}");
        }
    }

    /// R1.1-17.
    #[test]
    fn debug_shows_no_secret() {
        let want = wanted();
        let patch = diff(&PathConfig::default(), &want).unwrap();
        let shown = format!("{want:?} {:?} {patch:?}", had(&want));
        assert!(!shown.contains("geheim") && !shown.contains("eyJ"), "{shown}");
    }
}
