//! What MediaMTX says of itself, its paths and their forwards.

use serde::Deserialize;
use serde_json::Value;

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Info {
    /// Such as `v1.20.1`.
    pub version: String,
    /// When the process started, RFC 3339. When it changes, all paths of the API are gone.
    pub started: String,
}

/// A path's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathState {
    /// The path's name.
    pub name: String,
    /// The source is connected and has told its tracks. (MediaMTX's `online` is true for every pulled path, also of a
    /// camera that is down: research/media-plane.md §1.)
    pub available: bool,
    /// Since when, RFC 3339: changes each time the source comes back.
    pub available_time: Option<String>,
    /// Its tracks; none while it is not available.
    pub tracks: Vec<Track>,
    /// Bytes of the source's present connection; starts anew with each.
    pub inbound_bytes: u64,
    /// Readers, forwards not counted.
    pub readers: usize,
}

/// A track of a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Track {
    /// MediaMTX's name of the codec: `H264`, `H265`, `MPEG-4 Audio` …
    pub codec: String,
    /// Pixels; `None` for sound, and for codecs of which MediaMTX does not know.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Such as `Baseline`.
    pub profile: Option<String>,
    /// Such as `3.1`.
    pub level: Option<String>,
}

impl Track {
    /// Whether it is a picture, in whatever codec.
    pub fn is_video(&self) -> bool {
        matches!(
            self.codec.as_str(),
            "AV1" | "VP9" | "VP8" | "H265" | "H264" | "MPEG-4 Video" | "MPEG-1/2 Video" | "M-JPEG"
        )
    }
}

/// What a forward is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForwardState {
    /// The path is not available.
    Idle,
    /// It dials, or sends. It proves nothing: MediaMTX says so before it is connected, for up to 31 s after LiveKit has
    /// died, and for tracks that no browser shows (research/whip-lab.md §2).
    Forwarding,
    /// The last try failed; the next follows within 5 s.
    Error,
}

/// One forward of a path, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Changes with every new token.
    pub id: String,
    /// Where to.
    pub dest: String,
    /// What it is doing.
    pub state: ForwardState,
    /// Why the last try failed; empty when it has not, and during each new try.
    pub last_error: String,
    /// Bytes sent since it was connected.
    pub outbound_bytes: u64,
}

/// One page of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    pub(crate) page_count: usize,
    pub(crate) items: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawPath {
    name: String,
    available: bool,
    available_time: Option<String>,
    tracks2: Vec<RawTrack>,
    readers: Vec<Value>,
    inbound_bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTrack {
    codec: String,
    /// Differs by codec, null for some.
    codec_props: Value,
}

impl From<RawPath> for PathState {
    fn from(raw: RawPath) -> Self {
        let RawPath {
            name,
            available,
            available_time,
            tracks2,
            readers,
            inbound_bytes,
        } = raw;
        // Kept until the next poll: without the room that the answer's longer form took.
        let mut tracks: Vec<Track> = tracks2.into_iter().map(Track::from).collect();
        tracks.shrink_to_fit();
        Self {
            name,
            available,
            available_time,
            tracks,
            inbound_bytes,
            readers: readers.len(),
        }
    }
}

impl From<RawTrack> for Track {
    fn from(raw: RawTrack) -> Self {
        let props = raw.codec_props;
        let pixels = |key| {
            props
                .get(key)
                .and_then(Value::as_u64)
                .and_then(|size| size.try_into().ok())
        };
        // A profile is a word for H.264 and a number for AV1.
        let word = |key| match props.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        Self {
            width: pixels("width"),
            height: pixels("height"),
            profile: word("profile"),
            level: word("level"),
            codec: raw.codec,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawForward {
    id: String,
    conf: RawForwardConf,
    state: ForwardState,
    last_error: String,
    outbound_bytes: u64,
}

/// Only the destination is read: the token beside it is never taken up.
#[derive(Deserialize)]
struct RawForwardConf {
    dest: String,
}

impl From<RawForward> for Forward {
    fn from(raw: RawForward) -> Self {
        Self {
            id: raw.id,
            dest: raw.conf.dest,
            state: raw.state,
            last_error: crate::error::redact(&raw.last_error),
            outbound_bytes: raw.outbound_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it was seen (research/whip-lab.md §5).
    #[test]
    fn a_path_is_read() {
        let raw: RawPath = serde_json::from_str(
            r#"{"name":"m2","confName":"m2","ready":true,"readyTime":"2026-11-23T07:11:06.759466115Z","available":true,
            "availableTime":"2026-11-23T07:11:06.759466115Z","online":true,"onlineTime":"2026-11-23T07:11:06.75947171Z",
            "source":{"type":"rtspSource","id":""},"tracks":["H264"],"tracks2":[{"codec":"H264","codecProps":{"width":1280,
            "height":720,"profile":"Baseline","level":"3.1"}},{"codec":"G711","codecProps":null},
            {"codec":"AV1","codecProps":{"width":1,"height":2,"profile":0,"level":8,"tier":0}}],"readers":[],
            "inboundBytes":774297,"outboundBytes":0,"inboundFramesInError":0,"bytesReceived":774297,"bytesSent":0}"#,
        )
        .unwrap();
        let path = PathState::from(raw);
        assert_eq!(
            (path.available, path.inbound_bytes, path.readers),
            (true, 774_297, 0)
        );
        assert_eq!(path.tracks[0].profile.as_deref(), Some("Baseline"));
        assert_eq!(
            (path.tracks[0].width, path.tracks[0].height),
            (Some(1280), Some(720))
        );
        assert_eq!(
            path.tracks[1],
            Track {
                codec: "G711".into(),
                ..Track::default()
            }
        );
        assert_eq!(path.tracks[2].profile.as_deref(), Some("0"));
        assert_eq!(path.tracks.iter().filter(|track| track.is_video()).count(), 2);
    }

    #[test]
    fn a_forward_is_read_without_its_token() {
        let raw: RawForward = serde_json::from_str(
            r#"{"id":"ec72327e-8999-4a9d-a937-04511b4844d3","pos":1,"created":"2026-11-23T06:43:56.918421411Z",
            "conf":{"dest":"whip://127.0.0.1:17880/whip/v1","destFingerprint":"","whipBearerToken":"eyJgeheim"},
            "protocol":"whip","state":"error","lastError":"bad status code: 401","outboundBytes":338306}"#,
        )
        .unwrap();
        let forward = Forward::from(raw);
        assert_eq!(forward.state, ForwardState::Error);
        assert_eq!(forward.last_error, "bad status code: 401");
        assert!(!format!("{forward:?}").contains("geheim"));
    }
}
