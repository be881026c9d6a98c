//! Random values of the types: each survives a trip through JSON, and the schema takes it as it is. A field that the
//! types have and the schema lacks would be pruned by the API server; one that the schema has otherwise would be refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod judge;

use std::sync::LazyLock;

use judge::Judge;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResourceExt;
use marsad_crds::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn judge(kind: &str) -> Judge {
    Judge::new(
        marsad_crds::all()
            .iter()
            .find(|crd| crd.spec.names.kind == kind)
            .unwrap(),
    )
}

fn holds<K>(judge: &Judge, object: &K) -> Result<(), TestCaseError>
where
    K: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + CustomResourceExt,
{
    let json = serde_json::to_value(object).unwrap();
    prop_assert_eq!(judge.refusal(&json, None), None, "{}", json);
    // The same object again is no change of anything immutable.
    prop_assert_eq!(judge.refusal(&json, Some(&json)), None);
    prop_assert!(judge.offline_takes(&json), "{}", json);
    prop_assert_eq!(&serde_json::from_value::<K>(json).unwrap(), object);
    Ok(())
}

fn label() -> impl Strategy<Value = String> {
    "[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?"
}

fn text() -> impl Strategy<Value = Option<LocalizedText>> {
    of((of("\\PC{0,40}"), of("[\u{600}-\u{6ff} ]{0,40}")).prop_map(|(en, ar)| LocalizedText { en, ar }))
}

fn rtsp_url() -> impl Strategy<Value = String> {
    (
        "rtsps?",
        "[A-Za-z0-9.-]{1,30}",
        1_u16..,
        "[A-Za-z0-9_.~%-]{0,40}(\\?[b-o]{1,3}=[A-Za-z0-9]{0,9})?",
    )
        .prop_map(|(scheme, host, port, path)| format!("{scheme}://{host}:{port}/{path}"))
}

fn duration() -> impl Strategy<Value = String> {
    "([0-9]{1,4}[hms]){1,3}"
}

fn secret() -> impl Strategy<Value = Option<SecretRef>> {
    of("[a-z0-9][-a-z0-9.]{0,30}[a-z0-9]".prop_map(|name| SecretRef { name }))
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![
        Just(Transport::Tcp),
        Just(Transport::Udp),
        Just(Transport::Automatic)
    ]
}

fn time() -> impl Strategy<Value = i64> {
    0_i64..4_000_000_000
}

fn at(second: i64) -> Time {
    Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    (
        proptest::sample::subsequence(
            vec![
                ConditionType::Ready,
                ConditionType::Online,
                ConditionType::Stalled,
                ConditionType::Publishing,
            ],
            0..4,
        ),
        prop_oneof![Just("True"), Just("False"), Just("Unknown")],
        proptest::sample::select(Reason::ALL),
        "\\PC{0,80}",
        of(0_i64..9),
        time(),
    )
        .prop_map(|(types, status, reason, message, observed_generation, second)| {
            types
                .into_iter()
                .map(|type_| Condition {
                    type_: type_.as_str().to_owned(),
                    status: status.to_owned(),
                    reason: reason.as_str().to_owned(),
                    message: message.clone(),
                    observed_generation,
                    last_transition_time: at(second),
                })
                .collect()
        })
}

prop_compose! {
    fn stream()(
        url in rtsp_url(), substream_url in of(rtsp_url()), device in any::<Option<u128>>(),
        credentials_secret_ref in secret(), transport in of(transport()), ca in secret(),
    ) -> CameraStream {
        let device_id = device.map(|id| uuid::Uuid::from_u128(id).to_string());
        let tls = ca.filter(|_| device_id.is_none() && url.starts_with("rtsps")).map(|ca_secret_ref| Box::new(CameraTls { ca_secret_ref }));
        CameraStream {
            url: device_id.is_none().then_some(url),
            substream_url: substream_url.filter(|_| device_id.is_none()),
            device_id, tls, credentials_secret_ref, transport,
        }
    }
}

prop_compose! {
    fn camera_status()(
        conditions in conditions(), agency in of(label()), shard in of(label()), width in of(0..8000),
        circuit in of(prop_oneof![Just(Circuit::Open), Just(Circuit::Closed)]), since in of(time()),
        observed_generation in of(-1_i64..9), name in label(),
    ) -> CameraStatus {
        CameraStatus {
            observed_generation, agency, conditions,
            id: Some(camera_id("police", &name).to_string()),
            live: Some(CameraLiveStatus { room: Some(format!("camera_{name}")) }),
            ingest: Some(CameraIngestStatus {
                pool: Some(name.clone()), shard, path: Some(format!("police/{name}/main")), codec: Some("H264".into()), width,
                height: width, profile: Some("High".into()), circuit,
                failure: Some(Box::new(CameraFailure { reason: "DnsFailed".into(), message: name, since: since.map(at) })),
            }),
        }
    }
}

prop_compose! {
    fn camera()(
        name in label(), source in label(), stream in stream(), display_name in text(), description in text(),
        place in of((-90.0..=90.0_f64, -180.0..=180.0_f64)), suspend in any::<bool>(),
        mode in prop_oneof![Just(LiveMode::OnDemand), Just(LiveMode::Always), Just(LiveMode::Off)],
        publisher in prop_oneof![Just(Publisher::Auto), Just(Publisher::Native), Just(Publisher::Forward), Just(Publisher::Ingress)],
        retention in of("[1-9][0-9]{0,3}h([0-9]{1,4}[ms]){0,2}"), pool in of(label()), status in of(camera_status()),
    ) -> Camera {
        let mut camera = Camera::new(&name, CameraSpec {
            source_ref: NameRef { name: source },
            display_name, stream, suspend,
            location: Some(Box::new(CameraLocation { latitude: place.map(|at| at.0), longitude: place.map(|at| at.1), description })),
            live: CameraLive { mode, publisher },
            recording: retention.map(|retention| CameraRecording { enabled: !suspend, retention }),
            ptz: place.map(|_| CameraPtz { enabled: suspend }),
            pool_ref: pool.map(|name| NameRef { name }),
        });
        camera.status = status;
        camera
    }
}

prop_compose! {
    fn camera_source()(
        name in label(), agency in label(), credentials_secret_ref in secret(), transport in transport(), suspend in any::<bool>(),
        milestone in any::<bool>(), sync_interval in duration(), batch_size in 1..=500, groups in vec("[A-Z][a-z]{1,9}", 0..2),
        conditions in conditions(), managed in of(0..500),
    ) -> CameraSource {
        let rtsp = RtspSource { credentials_secret_ref: credentials_secret_ref.clone(), transport };
        let server = MilestoneSource {
            url: format!("https://{agency}.example:8081/x"),
            credentials_secret_ref: credentials_secret_ref.clone().unwrap_or(SecretRef::from("milestone")),
            ca_secret_ref: credentials_secret_ref, sync_interval, batch_size,
            camera_selector: Some(MilestoneCameraSelector {
                recording_servers: Vec::new(),
                groups: groups.into_iter().take(1).collect(),
                include_disabled: suspend,
            }),
        };
        let mut source = CameraSource::new(&name, CameraSourceSpec {
            agency, suspend,
            rtsp: (!milestone).then_some(rtsp),
            milestone: milestone.then_some(server),
        });
        source.status = Some(CameraSourceStatus {
            observed_generation: Some(1),
            cameras: Some(DiscoveredCameras { discovered: managed, managed }),
            conditions,
        });
        source
    }
}

prop_compose! {
    fn stream_quota()(
        agencies in proptest::collection::btree_map(label(), (0..500, 0..500, text()), 0..8), warn in any::<bool>(),
        overcommit in any::<bool>(), conditions in conditions(),
    ) -> StreamQuota {
        let agencies: Vec<AgencyQuota> = agencies
            .into_iter()
            .map(|(name, (cameras, streams, display_name))| AgencyQuota {
                code: warn.then(|| name.to_ascii_uppercase().replace('-', "_")),
                name, cameras, streams, display_name,
                namespace_selector: warn.then(Default::default),
                source_cidrs: if warn { vec!["10.0.0.0/8".into(), "fd00::/8".into()] } else { Vec::new() },
            })
            .collect();
        let sum = |of: fn(&AgencyQuota) -> i32| if overcommit { 0 } else { agencies.iter().map(of).sum() };
        let mut quota = StreamQuota::new("default", StreamQuotaSpec {
            total: QuotaTotal { cameras: sum(|agency| agency.cameras), streams: sum(|agency| agency.streams) },
            overcommit,
            enforcement: if warn { Enforcement::Warn } else { Enforcement::Enforce },
            agencies,
        });
        quota.status = Some(StreamQuotaStatus {
            observed_generation: None,
            agencies: quota.spec.agencies.iter().map(|agency| AgencyUsage {
                name: agency.name.clone(),
                cameras: Some(CameraUsage { used: 1, pending: 0, limit: agency.cameras }),
                streams_limit_applied: Some(agency.streams),
            }).collect(),
            conditions,
        });
        quota
    }
}

prop_compose! {
    fn playback_job()(
        name in label(), camera in label(), start in time(), length in 1_i64..=86_400, priority in prop_oneof![
            Just(Priority::Low), Just(Priority::Normal), Just(Priority::High), Just(Priority::Urgent)],
        mode in prop_oneof![Just(PlaybackMode::Direct), Just(PlaybackMode::Transcode), Just(PlaybackMode::Export)],
        said in any::<bool>(), heights in proptest::collection::btree_set(144..=2160, 0..4), ttl_seconds_after_finished in 0..9999,
        bitrate in "[0-9]{1,5}[kM]", conditions in conditions(),
        state in of(prop_oneof![Just(PlaybackState::Queued), Just(PlaybackState::Preparing), Just(PlaybackState::Ready),
            Just(PlaybackState::Failed), Just(PlaybackState::Expired)]),
    ) -> PlaybackJob {
        let mut spec = PlaybackJobSpec {
            camera_ref: NameRef { name: camera },
            start: at(start), end: at(start + length),
            mode, format: None, priority, ttl_seconds_after_finished, requested_by: said.then(|| "u-1".into()),
            renditions: heights.into_iter().filter(|_| mode == PlaybackMode::Transcode).map(|height| Rendition {
                name: format!("{height}p"), height, bitrate: bitrate.clone(),
            }).collect(),
        };
        spec.format = said.then(|| spec.effective_format());
        let mut job = PlaybackJob::new(&name, spec);
        job.status = Some(PlaybackJobStatus {
            observed_generation: Some(2), state, job_ref: Some(NameRef { name }),
            gaps: vec![Gap { start: at(start), end: at(start + 1) }], bytes: Some(i64::MAX), conditions,
        });
        job
    }
}

prop_compose! {
    fn iam_group()(
        name in label(), agencies in proptest::collection::btree_set(label(), 0..4), display_name in text(),
        permissions in proptest::sample::subsequence(vec![Permission::LiveView, Permission::Playback, Permission::Ptz,
            Permission::Export, Permission::ManageCameras, Permission::ManageUsers, Permission::Audit], 0..7),
        members in proptest::collection::btree_set("\\PC{1,30}", 0..4), exact in any::<bool>(), streams in of(0..=10_000),
        conditions in conditions(),
    ) -> IamGroup {
        let mut group = IamGroup::new(&name, IamGroupSpec {
            display_name, permissions,
            agencies: agencies.into_iter().collect(),
            camera_selector: exact.then(Default::default),
            members: members.into_iter().map(|external_id| GroupMember { external_id }).collect(),
            membership: if exact { Membership::Exact } else { Membership::Additive },
            limits: streams.map(|streams| GroupLimits { concurrent_streams: Some(streams) }),
            priority: Priority::High,
        });
        group.status = Some(IamGroupStatus { observed_generation: Some(1), members: streams, conditions });
        group
    }
}

prop_compose! {
    fn ingest_pool()(
        name in label(), replicas in 0..=100, cameras_per_replica in 1..=1000, image in of("[a-z]{1,9}/[a-z]{1,9}:v[0-9]"),
        size in of("[1-9][0-9]{0,3}[GT]i"), conditions in conditions(),
    ) -> IngestPool {
        let mut pool = IngestPool::new(&name, IngestPoolSpec {
            replicas, cameras_per_replica,
            mediamtx: MediaMtxSpec {
                image,
                resources: size.as_ref().map(|size| k8s_openapi::api::core::v1::ResourceRequirements {
                    limits: Some([("memory".to_owned(), k8s_openapi::apimachinery::pkg::api::resource::Quantity(size.clone()))].into()),
                    ..Default::default()
                }),
                recordings: size.map(|size| RecordingsVolume {
                    size: k8s_openapi::apimachinery::pkg::api::resource::Quantity(size),
                    storage_class_name: Some(name.clone()),
                }),
            },
        });
        pool.status = Some(IngestPoolStatus {
            observed_generation: Some(1), replicas: Some(replicas), ready: Some(replicas), assigned: Some(0),
            capacity: Some(replicas * cameras_per_replica), selector: Some(format!("marsad.dev/ingest-pool={name}")), conditions,
        });
        pool
    }
}

prop_compose! {
    fn api_gateway()(
        name in label(), by_labels in any::<bool>(), admin_port in 1..=65535, token_secret_ref in secret(), max_age in of(duration()),
        per_user_per_minute in 1..=1_000_000, conditions in conditions(),
    ) -> ApiGateway {
        let mut gateway = ApiGateway::new(&name, ApiGatewaySpec {
            kong: KongSpec {
                selector: by_labels.then(Default::default),
                admin_url: (!by_labels).then(|| format!("https://{name}.example:{admin_port}/admin")),
                admin_port, ca_secret_ref: token_secret_ref.clone(), token_secret_ref,
            },
            issuer: TokenIssuer { jwks_url: "http://marsad-api:8080/.well-known/jwks.json".into(), issuer: "marsad".into(), audience: "marsad".into() },
            limits: RequestLimits { per_user_per_minute, per_ip_per_second: 50 },
            cors: max_age.map(|age| Cors { origins: vec!["https://wall.example".into()], allow_credentials: by_labels, max_age: Some(age) }),
            routes: vec![GatewayRoute {
                name: name.clone(), paths: vec![format!("/{name}")],
                methods: vec![HttpMethod::Get, HttpMethod::Head, HttpMethod::Post, HttpMethod::Put, HttpMethod::Patch, HttpMethod::Delete, HttpMethod::Options],
                service: RouteService { name: name.clone(), port: admin_port }, authenticated: by_labels, strip_path: !by_labels,
            }],
        });
        gateway.status = Some(ApiGatewayStatus {
            observed_generation: Some(1), generation: Some(7), config_hash: Some("0".repeat(64)),
            pods: Some(GatewayPods { total: 2, current: 1 }),
            rejected: vec![RejectedObject { object: format!("IamGroup/{name}"), field: Some("config.limit".into()), message: "no".into() }],
            conditions,
        });
        gateway
    }
}

macro_rules! survive {
    ($($test:ident: $kind:literal of $strategy:ident;)*) => {$(
        #[test]
        fn $test() {
            static JUDGE: LazyLock<Judge> = LazyLock::new(|| judge($kind));
            proptest!(ProptestConfig::with_cases(128), |(object in $strategy())| holds(&JUDGE, &object)?);
        }
    )*};
}

survive! {
    cameras_survive: "Camera" of camera;
    camera_sources_survive: "CameraSource" of camera_source;
    stream_quotas_survive: "StreamQuota" of stream_quota;
    playback_jobs_survive: "PlaybackJob" of playback_job;
    iam_groups_survive: "IamGroup" of iam_group;
    ingest_pools_survive: "IngestPool" of ingest_pool;
    api_gateways_survive: "ApiGateway" of api_gateway;
}

/// R1.1-13: no text with a user, password or credential parameter is ever taken, whatever is around it.
#[test]
fn no_credential_gets_through() {
    let judge = judge("Camera");
    let key = proptest::sample::select(vec![
        "user", "username", "password", "pwd", "pass", "token", "auth", "USER", "Password",
    ]);
    proptest!(ProptestConfig::with_cases(128), |(mut camera in camera(), key in key, lead in "([a-z]{1,4}=[a-z0-9]{0,4}&){0,3}", value in "[A-Za-z0-9]{0,9}")| {
        camera.spec.stream = CameraStream { url: Some(format!("rtsp://10.1.2.3:554/main?{lead}{key}={value}")), ..Default::default() };
        prop_assert!(judge.refusal(&serde_json::to_value(&camera).unwrap(), None).is_some());
        camera.spec.stream.url = Some(format!("rtsp://{key}:{value}@10.1.2.3:554/main"));
        prop_assert!(judge.refusal(&serde_json::to_value(&camera).unwrap(), None).is_some());
    });
}
