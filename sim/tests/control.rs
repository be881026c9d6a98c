//! The control API over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only the #[test] functions of such a file for tests, not what they call"
)]

mod common;

use common::{Player, Sim};
use marsad_sim::control;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::net::TcpListener;

struct Control {
    sim: Sim,
    client: Client,
    base: String,
}

impl Control {
    async fn start() -> Self {
        let sim = Sim::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = control::router(sim.fleet.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            sim,
            client: Client::builder().no_proxy().build().unwrap(),
            base,
        }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .json(&body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::PUT, path, body).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, Value::Null).await
    }
}

#[tokio::test]
async fn a_camera_lives_from_put_to_delete() {
    let control = Control::start().await;
    assert_eq!(control.get("/health").await.0, 200);
    let wish = json!({"video": "clip", "username": "admin", "password": "secret"});
    let (status, made) = control.put("/cameras/gate-1", wish.clone()).await;
    assert_eq!(status, 201);
    assert_eq!(
        (&made["auth"], &made["state"], &made["fault"]),
        (&json!(true), &json!("idle"), &json!("none"))
    );
    assert!(!made.to_string().contains("secret"));
    assert_eq!(control.put("/cameras/gate-1", wish).await.0, 200);
    control.put("/cameras/cam-0", json!({"video": "clip"})).await;

    let mut player = Player::play(control.sim.url("cam-0")).await;
    player.frame().await;
    player.frame().await;
    let (_, list) = control.get("/cameras").await;
    assert_eq!(list["count"], 2);
    assert_eq!(list["items"][0]["name"], "cam-0");
    assert_eq!(list["items"][0]["state"], "playing");
    assert!(list["items"][0]["packets"].as_u64() > Some(0));

    let (status, broken) = control
        .put("/cameras/cam-0/fault", json!({"fault": "bandwidth", "kbps": 64}))
        .await;
    assert_eq!(
        (status, &broken["fault"], &broken["kbps"]),
        (200, &json!("bandwidth"), &json!(64))
    );
    assert_eq!(
        control
            .call(Method::DELETE, "/cameras/cam-0", Value::Null)
            .await
            .0,
        204
    );
    player.ended().await;
    assert_eq!(control.get("/cameras/cam-0").await.0, 404);
}

#[tokio::test]
async fn refusals_name_the_field() {
    let control = Control::start().await;
    let (_, taken) = control
        .put("/cameras/own", json!({"video": "clip", "port": 0}))
        .await;
    let cases = [
        ("/cameras/Gate", json!({"video": "clip"}), 400, "name"),
        ("/cameras/gate", json!({"video": "mjpeg"}), 400, "video"),
        (
            "/cameras/gate",
            json!({"video": "clip", "colour": 1}),
            400,
            "colour",
        ),
        // There is no such clip in this test.
        ("/cameras/gate", json!({"video": "h265"}), 422, "video"),
        (
            "/cameras/gate",
            json!({"video": "clip", "port": taken["port"]}),
            409,
            "port",
        ),
        ("/cameras/own/fault", json!({"fault": "bandwidth"}), 400, "kbps"),
        ("/cameras/gate/fault", json!({"fault": "hang"}), 404, "name"),
    ];
    for (path, body, status, field) in cases {
        let (given, answer) = control.put(path, body.clone()).await;
        assert_eq!(
            (given, answer["field"].as_str()),
            (status, Some(field)),
            "{path} {body} {answer}"
        );
        assert!(answer["error"].is_string());
    }
    assert_eq!(
        control.get("/cameras").await.1["count"],
        1,
        "a refused wish leaves nothing behind"
    );
}
