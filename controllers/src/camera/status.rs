//! The camera's status from what was done (contracts.md 2, 3): a table of states, pure; the clock is given. No counter, no
//! clock, no number that moves is written.

use jiff::Timestamp;
use kube::ResourceExt;
use marsad_crds::{
    Camera, CameraIngestStatus, CameraLiveStatus, CameraStatus, Circuit, Condition, ConditionType as Type,
    Reason, camera_id,
};
use marsad_runtime::conditions::{Status, Wanted, settle};

use super::judge::Verdict;
use super::validate::{Hold, ValidCamera};
use crate::fleet::{PathSeen, path_name};

/// What a pass came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Not touched.
    Paused,
    /// Held back.
    Held(Hold),
    /// No shard has room or answers.
    Nowhere(Box<ValidCamera>),
    /// Its shard does not answer.
    Waiting(Box<ValidCamera>, String),
    /// Its path could not be written, and why.
    NotConfigured(Box<ValidCamera>, String, String),
    /// Its path stands on the shard.
    Running(Box<Running>),
}

/// A camera whose path stands.
#[derive(Debug)]
pub(crate) struct Running {
    /// The camera.
    pub camera: ValidCamera,
    /// The pod.
    pub shard: String,
    /// Its main path.
    pub path: Option<PathSeen>,
    /// Whether a picture can be shown.
    pub verdict: Verdict,
    /// Whether it is tried seldom.
    pub circuit: Circuit,
}

/// The part of `camera`'s status that this controller owns: everything but `Publishing`, which is that of `streams`.
pub(crate) fn owned(camera: &Camera) -> Option<CameraStatus> {
    let mut status = camera.status.clone()?;
    status
        .conditions
        .retain(|condition| condition.type_ != Type::Publishing.as_str());
    Some(status)
}

/// The status to write.
pub(crate) fn status(camera: &Camera, outcome: &Outcome, now: Timestamp) -> CameraStatus {
    let before = owned(camera).unwrap_or_default();
    let generation = camera.metadata.generation;
    let namespace = camera.namespace().unwrap_or_default();
    let name = camera.name_any();
    let id = camera_id(&namespace, &name).to_string();
    let mut status = CameraStatus {
        observed_generation: generation,
        id: Some(id.clone()),
        agency: before.agency.clone(),
        ingest: None,
        live: None,
        conditions: Vec::new(),
    };
    let room = || {
        Some(CameraLiveStatus {
            room: Some(format!("camera_{id}")),
        })
    };
    let ingest = |valid: &ValidCamera, shard: &str| CameraIngestStatus {
        pool: Some(valid.pool.clone()),
        shard: Some(shard.to_owned()),
        path: Some(path_name(&namespace, &name, "main")),
        ..CameraIngestStatus::default()
    };
    let conditions = match outcome {
        Outcome::Paused => {
            status.ingest = before.ingest.clone();
            status.live = before.live.clone();
            status.conditions = paused(&before.conditions, generation, now);
            return status;
        }
        Outcome::Held(hold) => held(hold),
        Outcome::Nowhere(valid) => {
            status.agency = Some(valid.agency.clone());
            nowhere(valid)
        }
        Outcome::Waiting(valid, shard) => {
            status.agency = Some(valid.agency.clone());
            status.ingest = Some(ingest(valid, shard));
            status.live = valid.live.then(room).flatten();
            let why = format!(
                "shard {shard} does not answer; the camera goes to another one when there is room: kubectl get pods -l marsad.dev/ingest-pool={}",
                valid.pool
            );
            assigned(shard, not_ready(Reason::ShardLost, &why))
        }
        Outcome::NotConfigured(valid, shard, why) => {
            status.agency = Some(valid.agency.clone());
            status.ingest = Some(ingest(valid, shard));
            status.live = valid.live.then(room).flatten();
            assigned(shard, not_ready(Reason::PathNotConfigured, why))
        }
        Outcome::Running(running) => {
            let Running {
                camera: valid,
                shard,
                path,
                verdict,
                circuit,
            } = running.as_ref();
            status.agency = Some(valid.agency.clone());
            // Told together with what is made of it: a write less for each camera that comes.
            let judged = verdict.status != Status::Unknown;
            let video = path
                .as_ref()
                .filter(|path| path.available && judged)
                .and_then(|path| {
                    path.tracks
                        .iter()
                        .find(|track| track.width.is_some())
                        .or_else(|| path.tracks.first())
                });
            // What was seen last stays while a camera is away: it is about the camera, not the moment.
            let known = before.ingest.as_ref();
            status.ingest = Some(CameraIngestStatus {
                codec: video
                    .map(|track| track.codec.clone())
                    .or_else(|| known?.codec.clone()),
                width: video.map_or_else(|| known?.width, |track| number(track.width)),
                height: video.map_or_else(|| known?.height, |track| number(track.height)),
                profile: video.map_or_else(|| known?.profile.clone(), |track| track.profile.clone()),
                circuit: Some(*circuit),
                ..ingest(valid, shard)
            });
            status.live = valid.live.then(room).flatten();
            assigned(
                shard,
                vec![
                    wanted(
                        Type::Ready,
                        true,
                        Reason::Ready,
                        "assigned, and configured on its shard",
                    ),
                    wanted(
                        Type::Online,
                        verdict.status,
                        verdict.reason,
                        verdict.message.clone(),
                    ),
                ],
            )
        }
    };
    status.conditions = settle(&before.conditions, conditions, generation, now);
    status
}

fn number(pixels: Option<u32>) -> Option<i32> {
    pixels.and_then(|pixels| i32::try_from(pixels).ok())
}

fn wanted(type_: Type, status: impl Into<Status>, reason: Reason, message: impl Into<String>) -> Wanted {
    Wanted::new(type_.as_str(), status, reason.as_str(), message)
}

fn assigned(shard: &str, rest: Vec<Wanted>) -> Vec<Wanted> {
    let mut all = vec![
        wanted(
            Type::SourceResolved,
            true,
            Reason::SourceFound,
            "its CameraSource is found",
        ),
        wanted(
            Type::Assigned,
            true,
            Reason::Assigned,
            format!("on shard {shard}"),
        ),
    ];
    all.extend(rest);
    all
}

fn not_ready(reason: Reason, message: &str) -> Vec<Wanted> {
    vec![
        wanted(Type::Ready, false, reason, message),
        wanted(Type::Online, false, reason, message),
        wanted(Type::Reconciling, true, reason, message),
    ]
}

fn nowhere(valid: &ValidCamera) -> Vec<Wanted> {
    let why = format!(
        "no shard of IngestPool {} answers and has room: look at its pods, or give it more: kubectl scale ipool {} --replicas=N",
        valid.pool, valid.pool
    );
    let mut all = vec![
        wanted(
            Type::SourceResolved,
            true,
            Reason::SourceFound,
            "its CameraSource is found",
        ),
        wanted(Type::Assigned, false, Reason::NoShardAvailable, why.clone()),
    ];
    all.extend(not_ready(Reason::NoShardAvailable, &why));
    all
}

fn held(hold: &Hold) -> Vec<Wanted> {
    let source = if hold.source_resolved {
        wanted(
            Type::SourceResolved,
            true,
            Reason::SourceFound,
            "its CameraSource is found",
        )
    } else {
        wanted(Type::SourceResolved, false, hold.reason, hold.message.clone())
    };
    let mut all = vec![
        source,
        wanted(Type::Assigned, false, hold.reason, hold.message.clone()),
        wanted(Type::Ready, hold.suspended, hold.reason, hold.message.clone()),
        wanted(Type::Online, false, hold.reason, hold.message.clone()),
    ];
    if hold.stalled {
        all.push(wanted(Type::Stalled, true, hold.reason, hold.message.clone()));
    } else if !hold.suspended {
        all.push(wanted(Type::Reconciling, true, hold.reason, hold.message.clone()));
    }
    all
}

/// Paused: what was last known stays, Ready says that nobody looks, Reconciling keeps it from being Current. That it can never
/// work is not said any more, as nobody would see it mended; kstatus would read Stalled first, and say Failed for ever.
fn paused(before: &[Condition], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let message = "paused: remove the annotation marsad.dev/paused to go on";
    let set = [
        Type::Ready.as_str(),
        Type::Reconciling.as_str(),
        Type::Stalled.as_str(),
    ];
    let mut all: Vec<Condition> = before
        .iter()
        .filter(|condition| !set.contains(&condition.type_.as_str()))
        .cloned()
        .collect();
    all.extend(settle(
        before,
        vec![
            wanted(Type::Ready, Status::Unknown, Reason::Paused, message),
            wanted(Type::Reconciling, true, Reason::Paused, message),
        ],
        generation,
        now,
    ));
    all
}

/// The reason that a failed probe stands for.
pub(crate) fn reason_of(failure: &marsad_rtsp::Failure) -> Reason {
    use marsad_rtsp::Failure;
    match failure {
        Failure::Dns { .. } => Reason::DnsFailed,
        Failure::Refused => Reason::ConnectionRefused,
        // Nothing comes back, or the camera accepts and then says nothing: it does not answer in time.
        Failure::ConnectTimeout | Failure::Timeout => Reason::ConnectTimeout,
        Failure::Unreachable { .. } => Reason::HostUnreachable,
        Failure::Tls { .. } => Reason::TlsFailed,
        Failure::Certificate { .. } => Reason::CertificateNotTrusted,
        Failure::Redirected => Reason::Redirected,
        Failure::Unauthorized => Reason::Unauthorized,
        Failure::NotFound => Reason::StreamNotFound,
        Failure::NoVideo => Reason::NoVideo,
        Failure::NoFrames => Reason::Stalled,
        Failure::UnsupportedCodec { .. } => Reason::UnsupportedCodec,
        _ => Reason::SourceUnreachable,
    }
}

/// Why a camera is down and what to do, for people. `url` is without credentials.
pub(crate) fn explain(url: &str, failure: &marsad_rtsp::Failure) -> String {
    use marsad_rtsp::Failure;
    let way_out = match failure {
        Failure::Dns { .. } => "correct the host in spec.stream.url, or the cluster's DNS",
        Failure::Refused => {
            "the host is there, but nothing listens on that port: look at the camera's RTSP service and the port in spec.stream.url"
        }
        Failure::ConnectTimeout | Failure::Unreachable { .. } => {
            "the host does not answer: look at its power, its network and the firewall between"
        }
        Failure::Timeout => "the host is there, but its RTSP service hangs: restart the camera",
        Failure::Tls { .. } => {
            "look at the camera's settings for RTSP over TLS, and whether that port speaks it"
        }
        Failure::Certificate { .. } => {
            "renew the camera's certificate, or put who vouches for it into ca.crt of the Secret in spec.stream.tls.caSecretRef"
        }
        Failure::Redirected => {
            "give the address that it redirects to in spec.stream.url, so that it can be judged"
        }
        Failure::Unauthorized => {
            "the camera wants another user or password: correct the Secret in spec.stream.credentialsSecretRef"
        }
        Failure::NotFound => "the camera has no such stream: correct the path in spec.stream.url",
        Failure::NoVideo => "the stream has no video track: choose another stream of the camera",
        Failure::UnsupportedCodec { .. } => "set the camera (or this stream of it) to H.264",
        _ => "look at the camera",
    };
    format!("{url}: {failure}; {way_out}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::camera::dereference::{Found, Login};
    use crate::camera::fixtures::{camera, found, milestone, path_seen, source, valid};
    use crate::camera::validate::{Plan, validate};
    use crate::health::check_written;
    use crate::reach::{Hosts, parse_all};
    use marsad_crds::CameraSource;
    use marsad_mediamtx::Credentials;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn running(reason: Reason, status: Status) -> Outcome {
        Outcome::Running(Box::new(Running {
            camera: valid(),
            shard: "ingest-default-0".into(),
            path: Some(path_seen(&["H264"])),
            verdict: Verdict {
                status,
                reason,
                message: "m".into(),
            },
            circuit: Circuit::Closed,
        }))
    }

    fn hold(stalled: bool, suspended: bool) -> Outcome {
        Outcome::Held(Hold {
            reason: Reason::SourceNotFound,
            message: "m".into(),
            stalled,
            source_resolved: false,
            suspended,
        })
    }

    /// A new outcome does not compile until it has its rows in the table.
    fn row_of(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Paused => "paused",
            Outcome::Held(_) => "held",
            Outcome::Nowhere(_) => "nowhere",
            Outcome::Waiting(..) => "waiting",
            Outcome::NotConfigured(..) => "not configured",
            Outcome::Running(_) => "running",
        }
    }

    /// What holds `camera` back, given what was found.
    fn held_back(camera: &Camera, found: Found) -> Outcome {
        match validate(camera, found) {
            Plan::Hold(hold) => Outcome::Held(hold),
            other => panic!("{other:?}"),
        }
    }

    /// Every state that this controller writes, by its name in the table of states (`crds/tests/health`).
    fn every_state() -> Vec<(&'static str, Camera, Outcome)> {
        let edited = |edit: fn(&mut Camera)| {
            let mut camera = camera();
            edit(&mut camera);
            camera
        };
        let of_source = |edit: fn(&mut CameraSource)| {
            let mut source = source();
            edit(Arc::make_mut(&mut source));
            Found {
                source: Some(source),
                ..found()
            }
        };
        let with_login = |login: Login| Found { login, ..found() };
        let device = |camera: &mut Camera| {
            camera.spec.stream.url = None;
            camera.spec.stream.device_id = Some("6f9619ff-8b86-d011-b42d-00c04fc964ff".into());
        };
        let can_never_work = || {
            let camera = edited(device);
            let outcome = held_back(&camera, found());
            (camera, outcome)
        };
        let paused = |before: Option<(Camera, Outcome)>| {
            let (mut camera, status) = before.map_or_else(
                || (camera(), None),
                |(camera, outcome)| {
                    let status = status(&camera, &outcome, at(0));
                    (camera, Some(status))
                },
            );
            camera.status = status;
            camera
        };
        let online = || running(Reason::Online, Status::True);
        let holds = [
            (
                "source not found",
                camera(),
                Found {
                    source: None,
                    ..found()
                },
            ),
            (
                "pool not found",
                camera(),
                Found {
                    pool: None,
                    ..found()
                },
            ),
            (
                "secret not found",
                camera(),
                with_login(Login::Missing("door".into())),
            ),
            (
                "secret of another type",
                camera(),
                with_login(Login::WrongType("door".into(), "Opaque".into())),
            ),
            (
                "secret without a password",
                camera(),
                with_login(Login::Incomplete("door".into())),
            ),
            (
                "secret not for that host",
                camera(),
                with_login(Login::Found(
                    "door".into(),
                    Credentials::new("op", "geheim"),
                    Hosts::parse("10.9.9.9"),
                )),
            ),
            (
                "where no camera may be",
                camera(),
                Found {
                    listed: parse_all(["10.2.0.0/16"]),
                    ..found()
                },
            ),
            (
                "waits for Milestone",
                edited(device),
                of_source(|source| source.spec.milestone = Some(milestone())),
            ),
            ("can never work", edited(device), found()),
            ("suspended", edited(|camera| camera.spec.suspend = true), found()),
            (
                "suspended by its source",
                camera(),
                of_source(|source| source.spec.suspend = true),
            ),
        ];
        let mut all: Vec<(&'static str, Camera, Outcome)> = holds
            .into_iter()
            .map(|(name, camera, found)| {
                let outcome = held_back(&camera, found);
                (name, camera, outcome)
            })
            .collect();
        all.extend([
            (
                "paused while online",
                paused(Some((camera(), online()))),
                Outcome::Paused,
            ),
            (
                "paused while it could never work",
                paused(Some(can_never_work())),
                Outcome::Paused,
            ),
            ("paused from the start", paused(None), Outcome::Paused),
        ]);
        let shard = || "ingest-default-0".to_owned();
        let on_shard = [
            ("no shard has room", Outcome::Nowhere(Box::new(valid()))),
            ("shard lost", Outcome::Waiting(Box::new(valid()), shard())),
            (
                "path not configured",
                Outcome::NotConfigured(Box::new(valid()), shard(), "why".into()),
            ),
            ("connecting", running(Reason::Connecting, Status::Unknown)),
            ("online", online()),
            (
                "online with long groups of pictures",
                running(Reason::GopTooLong, Status::True),
            ),
            ("not shown live", running(Reason::LiveOff, Status::True)),
            (
                "refused by the camera",
                running(Reason::ConnectionRefused, Status::False),
            ),
            (
                "of another codec",
                running(Reason::UnsupportedCodec, Status::False),
            ),
            ("stalled pictures", running(Reason::Stalled, Status::False)),
        ];
        all.extend(
            on_shard
                .into_iter()
                .map(|(name, outcome)| (name, camera(), outcome)),
        );
        all
    }

    /// contracts.md 2: what each state is to Flux, Helm and Argo CD is said in the table.
    #[test]
    fn the_table_of_states_is_what_is_written() {
        let states = every_state();
        let rows: BTreeSet<&str> = states.iter().map(|(.., outcome)| row_of(outcome)).collect();
        assert_eq!(rows.len(), 6, "an outcome has no state in the table: {rows:?}");
        let written: Vec<(&str, i64, CameraStatus)> = states
            .iter()
            .map(|(name, camera, outcome)| (*name, 3, status(camera, outcome, at(9))))
            .collect();
        check_written("Camera", &written);
    }

    #[test]
    fn a_second_look_at_the_same_state_writes_nothing() {
        let mut seen = camera();
        for outcome in [
            running(Reason::Online, Status::True),
            hold(true, false),
            Outcome::Paused,
        ] {
            seen.status = Some(status(&seen, &outcome, at(0)));
            let again = status(&seen, &outcome, at(99));
            assert_eq!(owned(&seen), Some(again));
        }
    }

    #[test]
    fn the_condition_of_streams_is_not_ours_to_write() {
        let mut seen = camera();
        let mut first = status(&seen, &running(Reason::Online, Status::True), at(0));
        let mine = first.clone();
        let mut publishing = first.conditions[0].clone();
        publishing.type_ = "Publishing".into();
        first.conditions.push(publishing);
        seen.status = Some(first);
        assert_eq!(owned(&seen), Some(mine));
    }

    #[test]
    fn r2_1_11_the_room_is_that_of_the_camera_s_id() {
        let status = status(&camera(), &running(Reason::Online, Status::True), at(0));
        assert_eq!(
            status.live.unwrap().room.unwrap(),
            format!("camera_{}", camera_id("police", "szr"))
        );
    }

    #[test]
    fn what_was_known_of_a_picture_stays_while_the_camera_is_away() {
        let mut seen = camera();
        seen.status = Some(status(&seen, &running(Reason::Online, Status::True), at(0)));
        let away = Outcome::Running(Box::new(Running {
            camera: valid(),
            shard: "ingest-default-0".into(),
            path: None,
            verdict: Verdict {
                status: Status::False,
                reason: Reason::ConnectionRefused,
                message: "m".into(),
            },
            circuit: Circuit::Closed,
        }));
        assert_eq!(
            status(&seen, &away, at(1)).ingest.unwrap().codec.as_deref(),
            Some("H264")
        );
    }
}
