//! A whole camera and what belongs to it, for tests of the steps.

use std::sync::Arc;
use std::time::Instant;

use marsad_crds::{
    Camera, CameraSource, CameraSourceSpec, CameraSpec, CameraStream, IngestPool, IngestPoolSpec,
    MilestoneSource, RtspSource,
};
use marsad_mediamtx::{PathState, Track};

use super::dereference::{Authorities, Found, Login};
use super::validate::{Plan, ValidCamera, validate};
use crate::fleet::{PathSeen, Seen};
use crate::reach::{Reach, Resolved};

pub(crate) fn camera() -> Camera {
    let mut camera = Camera::new(
        "szr",
        CameraSpec {
            source_ref: "hq".into(),
            stream: CameraStream {
                url: Some("rtsp://10.1.2.3:554/main".into()),
                ..CameraStream::default()
            },
            ..CameraSpec::default()
        },
    );
    camera.metadata.namespace = Some("police".into());
    camera.metadata.uid = Some("c-1".into());
    camera.metadata.generation = Some(3);
    camera
}

pub(crate) fn source() -> Arc<CameraSource> {
    let mut source = CameraSource::new(
        "hq",
        CameraSourceSpec {
            agency: "police".into(),
            rtsp: Some(RtspSource::default()),
            ..CameraSourceSpec::default()
        },
    );
    source.metadata.namespace = Some("police".into());
    Arc::new(source)
}

pub(crate) fn milestone() -> MilestoneSource {
    MilestoneSource {
        url: "https://milestone.rta.ae".into(),
        credentials_secret_ref: "milestone".into(),
        ca_secret_ref: None,
        sync_interval: "10m".into(),
        batch_size: 50,
        camera_selector: None,
    }
}

pub(crate) fn pool() -> Arc<IngestPool> {
    Arc::new(IngestPool::new("default", IngestPoolSpec::default()))
}

/// All that a camera refers to, as it should be.
pub(crate) fn found() -> Found {
    let address = Resolved {
        addresses: vec![std::net::Ipv4Addr::new(10, 1, 2, 3).into()],
        current: true,
    };
    Found {
        source: Some(source()),
        pool: Some(pool()),
        login: Login::None,
        authorities: Authorities::Trusted(marsad_rtsp::Trust::Public),
        hosts: [("10.1.2.3".to_owned(), address)].into(),
        refused: Reach::new(Vec::new()).ranges(),
        listed: Vec::new(),
    }
}

pub(crate) fn valid() -> ValidCamera {
    match validate(&camera(), found()) {
        Plan::Run(valid) => *valid,
        other => panic!("{other:?}"),
    }
}

fn seen(codecs: &[&str], polls: u64) -> PathSeen {
    let state = PathState {
        name: "p".into(),
        available: true,
        available_time: Some("t".into()),
        tracks: codecs
            .iter()
            .map(|codec| Track {
                codec: (*codec).into(),
                ..Track::default()
            })
            .collect(),
        inbound_bytes: 1,
        ..PathState::default()
    };
    let start = Instant::now();
    let mut seen = Seen::default();
    for second in 0..polls {
        let now = start + std::time::Duration::from_secs(second);
        seen = seen.next("s".into(), Arc::default(), vec![state.clone()], now);
    }
    seen.paths.get("p").unwrap().clone()
}

/// A path that flows with these tracks.
pub(crate) fn path_seen(codecs: &[&str]) -> PathSeen {
    seen(codecs, 1)
}

/// A path that is connected and sends nothing.
pub(crate) fn stalled() -> PathSeen {
    seen(&["H264"], 10)
}
