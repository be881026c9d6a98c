//! The bare chain: MediaMTX and LiveKit as they are, in pods of the same node and images, and a viewer without any code of
//! ours. Not on the host: a MediaMTX in a pod offers its loopback to ICE, which from there reaches nobody, and waits 200 ms for
//! that at each publication; on the host it does not. That is none of our code's doing, and neither chain is spared it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::PostParams;
use livekit_api::access_token::{AccessToken, VideoGrants};
use marsad_e2e::browser::Browser;
use marsad_e2e::cluster::is_ready;
use marsad_e2e::page::{Frame, Page};
use marsad_e2e::scenario::Scenario;
use marsad_e2e::wait;
use serde_json::{Value, json};

const KEY: &str = "bench";
const SECRET: &str = "of a bench whose rooms end with it, and of 32 characters";
const VIEWER: &str = include_str!("bare.html");
const WATCH: &str = include_str!("bare.js");
/// livekit-client as the dashboard has it.
const LIVEKIT_CLIENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../dashboard/node_modules/livekit-client/dist/livekit-client.umd.js"
);
/// How long the engines may take to start and to pull all cameras.
const PULLED: Duration = Duration::from_secs(60);
/// Of LiveKit on the node, beside the release's own: signalling, media by TCP and by UDP.
const PORTS: [u16; 3] = [27_880, 27_881, 27_882];

/// Engines, a browser, and the cameras that they pull.
pub(crate) struct Chain {
    page: Page,
    http: reqwest::Client,
    api: String,
    whip: String,
    signalling: String,
    tries: u32,
    _folder: tempfile::TempDir,
}

impl Chain {
    /// Starts the engines in the scenario's namespace, pulls `cameras` (name and address), and opens a viewer. It is a file and
    /// calls MediaMTX, which is another origin: its browser must not mind.
    pub(crate) async fn start(test: &Scenario, cameras: &[(String, String)]) -> Result<Self> {
        let livekit = release_pod(test, "livekit").await?;
        let node = livekit
            .status
            .as_ref()
            .and_then(|status| status.host_ip.clone())
            .context("LiveKit's node")?;
        let [signal, tcp, udp] = PORTS;
        let paths: serde_json::Map<String, Value> = cameras
            .iter()
            .map(|(name, url)| (name.clone(), json!({"source": url, "rtspTransport": "tcp"})))
            .collect();
        let anybody = json!([{
            "user": "any", "pass": "", "ips": [],
            "permissions": [{"action": "api"}, {"action": "read"}, {"action": "publish"}],
        }]);
        // JSON is YAML. What is left out is research/whip-lab.md's: every protocol but RTSP off.
        let mediamtx = json!({
            "logLevel": "error", "api": true, "apiAddress": ":9997", "authInternalUsers": anybody,
            "rtspTransports": ["tcp"], "rtspAddress": ":8554",
            "rtmp": false, "hls": false, "webrtc": false, "srt": false, "moq": false, "paths": paths,
        });
        let rooms = json!({
            "port": signal, "keys": {KEY: SECRET}, "logging": {"level": "error"},
            "rtc": {
                "tcp_port": tcp, "udp_port": udp, "use_external_ip": false, "node_ip": node,
                "ips": {"includes": [format!("{node}/32")]},
            },
        });
        let files = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bare"},
            "data": {"mediamtx.yml": mediamtx.to_string(), "livekit.yaml": rooms.to_string()},
        });
        let maps: Api<ConfigMap> = Api::namespaced(test.cluster.client.clone(), &test.namespace);
        maps.create(&PostParams::default(), &serde_json::from_value(files)?)
            .await?;
        let engine = release_pod(test, "mediamtx").await?;
        let shard = start(test, "bare-mediamtx", &engine, false, &["/config/mediamtx.yml"]).await?;
        start(
            test,
            "bare-livekit",
            &livekit,
            true,
            &["--config", "/config/livekit.yaml"],
        )
        .await?;

        let folder = tempfile::tempdir()?;
        let viewer = folder.path().join("viewer.html");
        std::fs::write(&viewer, VIEWER)?;
        std::fs::copy(LIVEKIT_CLIENT, folder.path().join("livekit-client.umd.js")).context(LIVEKIT_CLIENT)?;
        let chain = Self {
            page: Page::of(Browser::start_with(&["--disable-web-security"]).await?),
            http: reqwest::Client::new(),
            api: format!("http://{shard}:9997/v3"),
            whip: format!("whip://{node}:{signal}/whip/v1"),
            signalling: format!("ws://{node}:{signal}"),
            tries: 0,
            _folder: folder,
        };
        wait::answer("the bare LiveKit answers", PULLED, async || {
            let url = format!("http://{node}:{signal}/");
            chain.http.get(url).send().await?.error_for_status()?;
            Ok(())
        })
        .await?;
        wait::answer("the bare MediaMTX has all cameras", PULLED, async || {
            let url = format!("{}/paths/list", chain.api);
            let found: Value = chain.http.get(url).send().await?.json().await?;
            let items = found.get("items").and_then(Value::as_array).context("items")?;
            let there = items
                .iter()
                .filter(|path| path.get("available") == Some(&json!(true)))
                .count();
            if there < cameras.len() {
                bail!("{there} of {}", cameras.len());
            }
            Ok(())
        })
        .await?;
        let viewer = format!("file://{}", viewer.display());
        chain.page.browser().goto(&viewer).await?;
        Ok(chain)
    }

    /// Nobody publishes the camera: forward and join at the click. Milliseconds to the first frame.
    pub(crate) async fn first_frame(&mut self, camera: &str, phase: u32, within: Duration) -> Result<f64> {
        self.tries += 1;
        let room = format!("{camera}-{}", self.tries);
        let forward = json!({"url": self.path(camera), "body": self.forward(&room)?.to_string()});
        let took = self.watch(&room, phase, forward, within).await;
        self.publish(camera, None).await?;
        took
    }

    /// The camera is in its room (see [`Self::publish`]): join at the click. Milliseconds to the first frame.
    pub(crate) async fn first_frame_on(&mut self, camera: &str, phase: u32, within: Duration) -> Result<f64> {
        self.watch(camera, phase, Value::Null, within).await
    }

    /// Publishes the camera into `room`, or ends that.
    pub(crate) async fn publish(&self, camera: &str, room: Option<&str>) -> Result<()> {
        let forward = match room {
            Some(room) => self.forward(room)?,
            None => json!({"forward": []}),
        };
        let patch = self.http.patch(self.path(camera)).json(&forward);
        patch.send().await?.error_for_status()?;
        Ok(())
    }

    /// The next frames of a camera that is in its room.
    pub(crate) async fn frames(
        &mut self,
        camera: &str,
        count: usize,
        within: Duration,
    ) -> Result<Vec<Frame>> {
        let script = "const [url, token, done] = arguments;
            window.join(url, token, () => done(null)).catch((error) => done(String(error)));";
        let arguments = vec![json!(self.signalling), json!(self.viewer_token(camera)?)];
        let error = self.page.browser().run_async(script, arguments).await?;
        if !error.is_null() {
            bail!("bare chain: {error}");
        }
        let frames = self.page.frames("bare", count, within).await;
        self.leave().await?;
        frames
    }

    async fn watch(&mut self, room: &str, phase: u32, forward: Value, within: Duration) -> Result<f64> {
        self.tries += 1;
        let arguments = vec![
            json!(phase),
            json!(self.signalling),
            json!(self.viewer_token(room)?),
            forward,
            json!(u64::try_from(within.as_millis())?),
        ];
        let answer = self.page.browser().run_async(WATCH, arguments).await?;
        self.leave().await?;
        crate::took(&answer).context("bare chain")
    }

    async fn leave(&self) -> Result<()> {
        let script = "const [done] = arguments; window.leave().then(() => done(null), (error) => done(String(error)));";
        self.page.browser().run_async(script, vec![]).await.map(drop)
    }

    fn path(&self, camera: &str) -> String {
        format!("{}/config/paths/patch/{camera}", self.api)
    }

    fn forward(&self, room: &str) -> Result<Value> {
        let grants = VideoGrants {
            can_publish: Some(true),
            can_publish_sources: vec!["camera".to_owned()],
            can_subscribe: Some(false),
            can_publish_data: Some(false),
            ..joins(room)
        };
        Ok(json!({"forward": [{"dest": self.whip, "whipBearerToken": token("camera", grants)?}]}))
    }

    fn viewer_token(&self, room: &str) -> Result<String> {
        let grants = VideoGrants {
            can_publish: Some(false),
            can_subscribe: Some(true),
            ..joins(room)
        };
        token(&format!("viewer-{}", self.tries), grants)
    }
}

fn joins(room: &str) -> VideoGrants {
    VideoGrants {
        room_join: true,
        room: room.to_owned(),
        ..VideoGrants::default()
    }
}

fn token(identity: &str, grants: VideoGrants) -> Result<String> {
    let token = AccessToken::with_api_key(KEY, SECRET)
        .with_identity(identity)
        .with_grants(grants)
        .with_ttl(Duration::from_secs(4 * 60 * 60));
    Ok(token.to_jwt()?)
}

/// A pod of the release.
async fn release_pod(test: &Scenario, component: &str) -> Result<Pod> {
    let pods = test.cluster.pods_of(component).await?;
    let ready = pods.into_iter().find(is_ready);
    ready.with_context(|| format!("no pod of {component} is Ready"))
}

/// Starts a pod with the image of `like`, and returns its address.
async fn start(
    test: &Scenario,
    name: &str,
    like: &Pod,
    host_network: bool,
    arguments: &[&str],
) -> Result<String> {
    let containers = like.spec.as_ref().map(|spec| spec.containers.as_slice());
    let image = containers
        .and_then(|all| all.first()?.image.clone())
        .context("image")?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "hostNetwork": host_network, "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "engine", "image": image, "imagePullPolicy": "IfNotPresent", "args": arguments,
                "volumeMounts": [{"name": "config", "mountPath": "/config"}],
            }],
            "volumes": [{"name": "config", "configMap": {"name": "bare"}}],
        },
    });
    let pods: Api<Pod> = Api::namespaced(test.cluster.client.clone(), &test.namespace);
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?)
        .await?;
    let started = wait::object(&pods, name, "Ready", PULLED, is_ready).await?;
    started.status.and_then(|status| status.pod_ip).context("address")
}
