//! What of a camera may run. Pure: from the camera and what was read about it to a plan that `build` can't be called without.

use kube::ResourceExt;
use marsad_crds::{Camera, LiveMode, Reason, Transport, labels};
use marsad_mediamtx::Credentials;

use super::dereference::{Found, Login};

/// What is to be done with a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Pull it.
    Run(Box<ValidCamera>),
    /// Nothing may run; its paths are withdrawn.
    Hold(Hold),
    /// Nothing is touched: `marsad.dev/paused`.
    Paused,
}

/// Why a camera is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Stable reason.
    pub reason: Reason,
    /// Names the object, the field and the way out.
    pub message: String,
    /// It can never work as it is written (kstatus Failed), rather than waits for something.
    pub stalled: bool,
    /// The source was found.
    pub source_resolved: bool,
    /// A wish fulfilled: `spec.suspend`.
    pub suspended: bool,
}

/// A camera that may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValidCamera {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Agency of its source.
    pub agency: String,
    /// Pool.
    pub pool: String,
    /// Paths that a shard of the pool may hold.
    pub capacity: usize,
    /// What is pulled: `main`, and `sub` when there is one.
    pub streams: Vec<Stream>,
    /// RTSP transport.
    pub transport: Transport,
    /// User and password at the camera.
    pub login: Option<Credentials>,
    /// Viewers may ask for it.
    pub live: bool,
    /// How long its recordings are kept, when it is recorded; also for one that is recorded no more.
    pub retention: Option<String>,
    /// It is recorded.
    pub recording: bool,
}

/// One RTSP stream of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stream {
    /// `main` or `sub`: the last part of the path's name.
    pub name: &'static str,
    /// Where it is; without credentials.
    pub url: String,
}

impl ValidCamera {
    /// Key in the fleet.
    pub(crate) fn key(&self) -> String {
        crate::fleet::camera_key(&self.namespace, &self.name)
    }
}

/// Decides what to do with `camera`, given what was found about it.
pub(crate) fn validate(camera: &Camera, found: Found) -> Plan {
    if camera
        .annotations()
        .get(labels::PAUSED)
        .is_some_and(|value| value == "true")
    {
        return Plan::Paused;
    }
    match runnable(camera, found) {
        Ok(valid) => Plan::Run(Box::new(valid)),
        Err(hold) => Plan::Hold(hold),
    }
}

fn runnable(camera: &Camera, found: Found) -> Result<ValidCamera, Hold> {
    let namespace = camera.namespace().unwrap_or_default();
    let wanted = &camera.spec.source_ref.name;
    let waits = |reason: Reason, message: String| Hold {
        reason,
        message,
        stalled: false,
        source_resolved: false,
        suspended: false,
    };
    let source = found.source.ok_or_else(|| {
        waits(
            Reason::SourceNotFound,
            format!("CameraSource {wanted} is not in namespace {namespace}: create it, or correct spec.sourceRef.name"),
        )
    })?;
    let resolved = |reason: Reason, message: String| Hold {
        source_resolved: true,
        ..waits(reason, message)
    };
    if camera.spec.suspend || source.spec.suspend {
        let which = if camera.spec.suspend {
            "spec.suspend"
        } else {
            "spec.suspend of its CameraSource"
        };
        return Err(Hold {
            suspended: true,
            ..resolved(
                Reason::Suspended,
                format!("suspended: set {which} to false to start it again"),
            )
        });
    }
    let stream = &camera.spec.stream;
    let Some(url) = stream.url.clone() else {
        return Err(Hold {
            stalled: source.spec.milestone.is_none(),
            ..resolved(
                Reason::DeviceIdNeedsMilestone,
                format!(
                    "spec.stream.deviceId needs a CameraSource with spec.milestone, and {wanted} can't serve it: give spec.stream.url instead"
                ),
            )
        });
    };
    let login = match found.login {
        Login::None => None,
        Login::Found(credentials) => Some(credentials),
        Login::Missing(secret) => {
            return Err(resolved(
                Reason::SecretNotFound,
                format!(
                    "Secret {secret} is not in namespace {namespace}: create it with type marsad.dev/camera-credentials and keys username and password"
                ),
            ));
        }
        Login::WrongType(secret, type_) => {
            return Err(resolved(
                Reason::SecretTypeMismatch,
                format!(
                    "Secret {secret} has type {type_}: only type marsad.dev/camera-credentials is sent to cameras, make it anew with that type"
                ),
            ));
        }
        Login::Incomplete(secret) => {
            return Err(resolved(
                Reason::SecretInvalid,
                format!("Secret {secret} needs the keys username and password, both not empty"),
            ));
        }
        Login::Forbidden(secret) => {
            return Err(resolved(
                Reason::SecretNotFound,
                format!(
                    "Secret {secret} may not be read: bind ClusterRole marsad-camera-credentials to the operator in namespace {namespace} by a RoleBinding"
                ),
            ));
        }
    };
    let pool = found.pool.ok_or_else(|| {
        let name = camera.spec.pool_ref.as_ref().map_or(crate::bootstrap::DEFAULT_POOL, |pool| pool.name.as_str());
        resolved(Reason::PoolNotFound, format!("IngestPool {name} is not there: create it in the release's namespace, or correct spec.poolRef.name"))
    })?;
    let mut streams = vec![Stream { name: "main", url }];
    streams.extend(
        stream
            .substream_url
            .clone()
            .map(|url| Stream { name: "sub", url }),
    );
    Ok(ValidCamera {
        namespace,
        name: camera.name_any(),
        agency: source.spec.agency.clone(),
        pool: pool.name_any(),
        capacity: usize::try_from(pool.spec.cameras_per_replica).unwrap_or(0),
        streams,
        transport: stream
            .transport
            .or_else(|| source.spec.rtsp.as_ref().map(|rtsp| rtsp.transport))
            .unwrap_or_default(),
        login,
        live: camera.spec.live.mode != LiveMode::Off,
        retention: camera
            .spec
            .recording
            .as_ref()
            .map(|recording| recording.retention.clone()),
        recording: camera
            .spec
            .recording
            .as_ref()
            .is_some_and(|recording| recording.enabled),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::fixtures::{camera, pool, source};

    fn found() -> Found {
        Found {
            source: Some(source()),
            pool: Some(pool()),
            login: Login::None,
        }
    }

    fn hold(plan: Plan) -> Hold {
        match plan {
            Plan::Hold(hold) => hold,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_camera_runs() {
        let Plan::Run(valid) = validate(&camera(), found()) else {
            panic!()
        };
        assert_eq!(
            (valid.key().as_str(), valid.agency.as_str(), valid.pool.as_str()),
            ("police/szr", "police", "default")
        );
        assert_eq!(valid.streams.len(), 1);
    }

    #[test]
    fn each_thing_missing_has_its_own_reason_and_names_the_object() {
        let cases: Vec<(Found, Reason, &str)> = vec![
            (
                Found {
                    source: None,
                    ..found()
                },
                Reason::SourceNotFound,
                "CameraSource hq",
            ),
            (
                Found {
                    pool: None,
                    ..found()
                },
                Reason::PoolNotFound,
                "IngestPool default",
            ),
            (
                Found {
                    login: Login::Missing("door".into()),
                    ..found()
                },
                Reason::SecretNotFound,
                "Secret door",
            ),
            (
                Found {
                    login: Login::Forbidden("door".into()),
                    ..found()
                },
                Reason::SecretNotFound,
                "RoleBinding",
            ),
            (
                Found {
                    login: Login::WrongType("door".into(), "Opaque".into()),
                    ..found()
                },
                Reason::SecretTypeMismatch,
                "Opaque",
            ),
            (
                Found {
                    login: Login::Incomplete("door".into()),
                    ..found()
                },
                Reason::SecretInvalid,
                "password",
            ),
        ];
        for (found, reason, names) in cases {
            let hold = hold(validate(&camera(), found));
            assert_eq!(hold.reason, reason);
            assert!(hold.message.contains(names), "{}", hold.message);
            assert!(!hold.stalled && !hold.suspended);
        }
    }

    #[test]
    fn suspended_is_a_wish_fulfilled_and_paused_touches_nothing() {
        let mut suspended = camera();
        suspended.spec.suspend = true;
        assert!(hold(validate(&suspended, found())).suspended);
        let mut paused = camera();
        paused
            .annotations_mut()
            .insert(labels::PAUSED.into(), "true".into());
        assert_eq!(validate(&paused, found()), Plan::Paused);
    }

    #[test]
    fn a_device_id_on_an_rtsp_source_can_never_work() {
        let mut camera = camera();
        camera.spec.stream.url = None;
        camera.spec.stream.device_id = Some("6f9619ff-8b86-d011-b42d-00c04fc964ff".into());
        let hold = hold(validate(&camera, found()));
        assert!(hold.stalled && hold.reason == Reason::DeviceIdNeedsMilestone);
    }
}
