//! What of a camera may run. Pure: from the camera and what was read about it to a plan that `build` can't be called without.

use std::net::IpAddr;

use kube::ResourceExt;
use marsad_crds::{Camera, LiveMode, Reason, Transport, labels};
use marsad_mediamtx::Credentials;
use marsad_rtsp::Trust;

use super::dereference::{Authorities, Found, Login, host_of};
use crate::reach::{HOSTS_ANNOTATION, NotAllowed};

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
    /// Whose certificates are trusted, for `rtsps`.
    pub trust: Trust,
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
    /// The address that it may be dialled at, and no other; none while its name leads nowhere.
    pub address: Option<IpAddr>,
    /// The name servers know its host now.
    pub resolves: bool,
}

impl Stream {
    /// Field of the spec that it is of.
    pub(crate) fn field(&self) -> &'static str {
        if self.name == "main" {
            "spec.stream.url"
        } else {
            "spec.stream.substreamUrl"
        }
    }

    /// Its certificate is verified before it is dialled.
    pub(crate) fn is_tls(&self) -> bool {
        self.url.starts_with("rtsps:")
    }
}

impl ValidCamera {
    /// Key in the fleet.
    pub(crate) fn key(&self) -> String {
        crate::fleet::camera_key(&self.namespace, &self.name)
    }
}

/// Decides what to do with `camera`, given what was found about it.
pub(crate) fn validate(camera: &Camera, found: Found) -> Plan {
    if crate::labels::is_set(camera, labels::PAUSED) {
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
    let (login, hosts) = match &found.login {
        Login::None => (None, None),
        Login::Found(secret, credentials, hosts) => (Some(credentials.clone()), Some((secret, hosts))),
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
    let authorities = |secret: &str, why: &str, reason: Reason| {
        Err(resolved(
            reason,
            format!("Secret {secret} of spec.stream.tls.caSecretRef {why}"),
        ))
    };
    let trust = match &found.authorities {
        Authorities::Trusted(trust) => trust.clone(),
        Authorities::Missing(secret) => {
            return authorities(
                secret,
                &format!("is not in namespace {namespace}: create it with the key ca.crt"),
                Reason::SecretNotFound,
            );
        }
        Authorities::Empty(secret) => {
            return authorities(
                secret,
                "needs the key ca.crt: the certificates, in PEM, of who vouches for the camera's",
                Reason::SecretInvalid,
            );
        }
        Authorities::Forbidden(secret) => {
            return authorities(
                secret,
                &format!(
                    "may not be read: bind ClusterRole marsad-camera-credentials to the operator in namespace {namespace} by a RoleBinding"
                ),
                Reason::SecretNotFound,
            );
        }
    };
    let mut streams = Vec::with_capacity(2);
    for (name, url) in [("main", Some(&url)), ("sub", stream.substream_url.as_ref())] {
        let Some(url) = url else { continue };
        let host = host_of(url).unwrap_or_default();
        let there = found.hosts.get(&host).cloned().unwrap_or_default();
        let mut line = Stream {
            name,
            url: url.clone(),
            address: None,
            resolves: there.current,
        };
        let mut refused = None;
        for address in there.addresses {
            match found.refused.judge(address, &found.listed) {
                Ok(()) => {
                    line.address = Some(address);
                    break;
                }
                Err(why) => refused = Some(why),
            }
        }
        if let (None, Some(why)) = (line.address, refused) {
            return Err(resolved(
                Reason::SourceNotAllowed,
                not_allowed(&line, &source.spec.agency, &why),
            ));
        }
        if let (Some(address), Some((secret, hosts))) = (line.address, hosts)
            && !hosts.allow(&host, address)
        {
            return Err(resolved(
                Reason::SecretNotForHost,
                format!(
                    "Secret {secret} may not be sent to {host}, where {} leads: correct the address, or name the host in the Secret's annotation {HOSTS_ANNOTATION}",
                    line.field()
                ),
            ));
        }
        streams.push(line);
    }
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
        trust,
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

fn not_allowed(stream: &Stream, agency: &str, why: &NotAllowed) -> String {
    let way_out = match why {
        NotAllowed::Outside { .. } => format!(
            "correct the address, or add its range to sourceCIDRs of agency {agency} in StreamQuota default"
        ),
        NotAllowed::Refused { .. } => format!(
            "cameras are not looked for there, unless sourceCIDRs of agency {agency} in StreamQuota default name that range or a part of it"
        ),
    };
    format!("{}: {why}; {way_out}", stream.field())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::fixtures::{camera, found};
    use crate::reach::{Hosts, Resolved, parse_all};

    fn login(hosts: Hosts) -> Login {
        Login::Found("door".into(), Credentials::new("op", "geheim"), hosts)
    }

    fn leads(to: &[&str], current: bool) -> Resolved {
        Resolved {
            addresses: to.iter().map(|address| address.parse().unwrap()).collect(),
            current,
        }
    }

    #[test]
    fn a_camera_is_dialled_where_it_was_judged_and_nowhere_else() {
        let at = |to: &[&str], listed: &[&str], current: bool| {
            let found = Found {
                hosts: [("10.1.2.3".to_owned(), leads(to, current))].into(),
                listed: parse_all(listed),
                ..found()
            };
            validate(&camera(), found)
        };
        let address = |plan: Plan| match plan {
            Plan::Run(valid) => (
                valid.streams[0].address.map(|at| at.to_string()),
                valid.streams[0].resolves,
            ),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            address(at(&["10.1.2.3"], &[], true)),
            (Some("10.1.2.3".into()), true)
        );
        // One of several that may be used.
        assert_eq!(
            address(at(&["10.1.2.3", "10.2.0.9"], &["10.2.0.0/16"], true)),
            (Some("10.2.0.9".into()), true)
        );
        // A name that leads nowhere is no reason to hold a camera back, nor is a name server that is away.
        assert_eq!(address(at(&[], &[], false)), (None, false));
        assert_eq!(
            address(at(&["10.1.2.3"], &[], false)),
            (Some("10.1.2.3".into()), false)
        );
        for (to, listed, names) in [
            (&["10.2.0.9"], &["10.1.0.0/16"], "outside sourceCIDRs"),
            (&["127.0.0.1"], &["0.0.0.0/0"], "127.0.0.0/8, which is loopback"),
            (&["169.254.169.254"], &["0.0.0.0/0"], "link-local"),
        ] {
            let hold = hold(at(to, listed, true));
            assert_eq!(hold.reason, Reason::SourceNotAllowed);
            assert!(
                hold.message.contains(names) && hold.message.contains("spec.stream.url"),
                "{}",
                hold.message
            );
            assert!(
                hold.message.contains("agency police in StreamQuota default"),
                "{}",
                hold.message
            );
            assert!(!hold.stalled, "the quota may be changed");
        }
    }

    #[test]
    fn the_substream_is_judged_as_the_main_stream_is() {
        let mut camera = camera();
        camera.spec.stream.substream_url = Some("rtsp://inside:554/sub".into());
        let mut found = found();
        found.hosts.insert("inside".into(), leads(&["127.0.0.1"], true));
        let hold = hold(validate(&camera, found));
        assert_eq!(hold.reason, Reason::SourceNotAllowed);
        assert!(
            hold.message.contains("spec.stream.substreamUrl"),
            "{}",
            hold.message
        );
    }

    #[test]
    fn a_password_does_not_leave_for_a_host_that_its_secret_does_not_name() {
        let to = |hosts: &str| {
            validate(
                &camera(),
                Found {
                    login: login(Hosts::parse(hosts)),
                    ..found()
                },
            )
        };
        assert!(matches!(to("10.1.2.0/24"), Plan::Run(_)));
        let hold = hold(to("10.9.0.1"));
        assert_eq!(hold.reason, Reason::SecretNotForHost);
        assert!(hold.message.contains("Secret door") && hold.message.contains("marsad.dev/hosts"));
        assert!(!hold.message.contains("geheim"));
    }

    #[test]
    fn who_vouches_for_a_camera_must_be_known() {
        let with = |authorities| {
            validate(
                &camera(),
                Found {
                    authorities,
                    ..found()
                },
            )
        };
        let trusted = Trust::Authorities(b"PEM".to_vec());
        let Plan::Run(valid) = with(Authorities::Trusted(trusted.clone())) else {
            panic!()
        };
        assert_eq!(valid.trust, trusted);
        for (authorities, reason, names) in [
            (
                Authorities::Missing("ca".into()),
                Reason::SecretNotFound,
                "ca.crt",
            ),
            (Authorities::Empty("ca".into()), Reason::SecretInvalid, "ca.crt"),
            (
                Authorities::Forbidden("ca".into()),
                Reason::SecretNotFound,
                "RoleBinding",
            ),
        ] {
            let hold = hold(with(authorities));
            assert_eq!(hold.reason, reason);
            assert!(
                hold.message.contains("Secret ca") && hold.message.contains(names),
                "{}",
                hold.message
            );
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
