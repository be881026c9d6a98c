//! Cameras over `rtsps`: the operator verifies the certificate, and MediaMTX takes that one and no other. The camera is a MediaMTX with
//! a certificate, behind a name.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt as _};
use marsad_crds::{Camera, Reason};
use marsad_e2e::cluster::is_ready;
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::{camera, shard, wait};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

const UP: Duration = Duration::from_secs(60);
const TOLD: Duration = Duration::from_secs(20);
/// The circuit may have opened while the camera was away.
const BACK: Duration = Duration::from_secs(90);
const NAME: &str = "guarded";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Result<Authority> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// The camera's configuration with a new certificate of `authority`: only over TLS, one path, pulled from the simulator.
fn configuration(test: &Scenario, authority: &Authority) -> Result<Value> {
    let key = KeyPair::generate()?;
    let certificate =
        CertificateParams::new([format!("{NAME}.{}.svc", test.namespace)])?.signed_by(&key, authority)?;
    let source = test.sim.url(&test.simulated("behind"));
    let config = format!(
        "rtspEncryption: strict\nrtspTransports: [tcp]\nrtspServerKey: /config/tls.key\nrtspServerCert: /config/tls.crt\n\
         rtmp: false\nhls: false\nwebrtc: false\nsrt: false\nmoq: false\npaths: {{main: {{source: \"{source}\"}}}}\n"
    );
    Ok(
        json!({"stringData": {"mediamtx.yml": config, "tls.crt": certificate.pem(), "tls.key": key.serialize_pem()}}),
    )
}

/// Lets the camera run with what is in its Secret now.
async fn start(test: &Scenario) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(test.cluster.client.clone(), &test.namespace);
    let shards = test.cluster.pods_of("mediamtx").await?;
    let image = shards
        .iter()
        .find_map(|pod| pod.spec.as_ref()?.containers.first()?.image.clone())
        .context("no shard")?;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": NAME, "labels": {"camera": NAME}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "camera", "image": image, "imagePullPolicy": "IfNotPresent", "args": ["/config/mediamtx.yml"],
                "readinessProbe": {"tcpSocket": {"port": 8322}, "periodSeconds": 1},
                "volumeMounts": [{"name": "config", "mountPath": "/config"}],
            }],
            "volumes": [{"name": "config", "secret": {"secretName": NAME}}],
        },
    }))?;
    pods.create(&PostParams::default(), &pod).await?;
    wait::object(&pods, NAME, "the camera runs", UP, is_ready).await?;
    Ok(())
}

async fn stop(test: &Scenario) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(test.cluster.client.clone(), &test.namespace);
    pods.delete(NAME, &DeleteParams::default()).await?;
    wait::gone(&pods, NAME, UP).await
}

/// A Camera of that address, whose certificate the Secret `ca` vouches for.
fn over_tls(test: &Scenario, name: &str, ca: &str) -> Result<Camera> {
    let mut camera = camera::camera(name, &format!("rtsps://{NAME}.{}.svc:8322/main", test.namespace));
    camera.spec.stream.tls = Some(serde_json::from_value(json!({"caSecretRef": {"name": ca}}))?);
    Ok(camera)
}

async fn pinned(test: &Scenario, name: &str) -> Result<String> {
    let config = shard::ask(test, name, "config/paths/get")
        .await?
        .context("no path")?;
    let pin = config.get("sourceFingerprint").and_then(Value::as_str);
    Ok(pin.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn only_one_that_is_vouched_for_is_pulled_and_a_new_one_is_taken() -> Result<()> {
    scenario("rtsps", |test| async move {
        let (own, other) = (authority()?, authority()?);
        test.bind_secrets().await?;
        test.simulate("behind", json!({"video": "clip"})).await?;
        test.secret("own", json!({"stringData": {"ca.crt": own.pem()}}))
            .await?;
        test.secret("other", json!({"stringData": {"ca.crt": other.pem()}}))
            .await?;
        test.secret(NAME, configuration(&test, &own)?).await?;
        let services: Api<Service> = Api::namespaced(test.cluster.client.clone(), &test.namespace);
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": NAME},
            "spec": {"selector": {"camera": NAME}, "ports": [{"port": 8322}]},
        }))?;
        services.create(&PostParams::default(), &service).await?;
        start(&test).await?;

        test.create(over_tls(&test, "trusted", "own")?).await?;
        test.create(over_tls(&test, "strange", "other")?).await?;
        let online = camera::up(&test.cameras(), "trusted", UP).await?;
        ensure!(online.name_any() == "trusted");
        let first = pinned(&test, "trusted").await?;
        ensure!(first.len() == 64, "{first}");
        camera::down(&test.cameras(), "strange", Reason::CertificateNotTrusted, TOLD).await?;
        ensure!(
            pinned(&test, "strange").await?.is_empty(),
            "who is not trusted is not dialled"
        );

        // Renewed, as certificates are: the picture comes back without a person.
        test.secret(NAME, configuration(&test, &own)?).await?;
        stop(&test).await?;
        start(&test).await?;
        wait::answer("the new certificate is pinned", BACK, async || {
            let pin = pinned(&test, "trusted").await?;
            ensure!(pin != first && pin.len() == 64, "{pin}");
            Ok(())
        })
        .await?;
        camera::up(&test.cameras(), "trusted", BACK).await?;
        Ok(())
    })
    .await
}
