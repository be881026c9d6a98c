//! Relays, against real servers on loopback.

use super::*;
use axum::Json;
use axum::extract::ws::{Message as Ws, WebSocketUpgrade};
use axum::extract::{OriginalUri, Request as Incoming};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// Says what arrived.
async fn echo(request: Incoming) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Json(json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "authorization": header("authorization"),
        "cookie": header("cookie"),
        "csrf": header("x-marsad-request"),
        "request_id": header("x-request-id"),
        "body": String::from_utf8_lossy(&body),
    }))
}

async fn house_with(neighbour: Router) -> House {
    let url = format!("http://{}", listen(neighbour).await);
    Plan {
        streams_url: url.clone(),
        livekit_url: url,
        ..Plan::default()
    }
    .build()
}

#[tokio::test]
async fn streams_gets_the_call_with_the_callers_token_and_the_request_id() {
    let house = house_with(Router::new().fallback(echo)).await;
    let token = house.token();
    let request = call("POST", "/api/v1/stream/live?x=1")
        .header("cookie", format!("marsad_session={token}"))
        .header("x-marsad-request", "1")
        .header("x-request-id", "gw-7")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"camera_id":"c1"}"#))
        .unwrap();
    let answer = house.send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(
        answer.json(),
        json!({
            "method": "POST", "uri": "/api/v1/stream/live?x=1", "authorization": format!("Bearer {token}"),
            "cookie": null, "csrf": null, "request_id": "gw-7", "body": r#"{"camera_id":"c1"}"#,
        })
    );
    assert_eq!(answer.header("x-request-id"), "gw-7");
    let answer = house.as_admin("DELETE", "/api/v1/stream/live").await;
    assert_eq!(answer.json()["method"], "DELETE");
}

#[tokio::test]
async fn what_streams_answers_is_passed_back_as_it_is() {
    let refusal = || async {
        let headers = [("content-type", "application/problem+json")];
        (
            StatusCode::CONFLICT,
            headers,
            r#"{"code":"CameraOffline","reason":"Unauthorized"}"#,
        )
    };
    let house = house_with(Router::new().route("/api/v1/stream/live", post(refusal))).await;
    let answer = house.as_admin("POST", "/api/v1/stream/live").await;
    assert_eq!(
        (answer.status, answer.json()["reason"].as_str()),
        (StatusCode::CONFLICT, Some("Unauthorized"))
    );
    assert_eq!(answer.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn r1_1_11_the_last_picture_of_a_camera_comes_from_streams() {
    let still = async |headers: HeaderMap| {
        let known = headers.get("if-none-match").is_some_and(|tag| tag == "\"1a\"");
        let about = [
            ("age", "181"),
            ("etag", "\"1a\""),
            ("cache-control", "private, no-cache"),
        ];
        let kind = [("content-type", "video/mp4")];
        if known {
            return (StatusCode::NOT_MODIFIED, about).into_response();
        }
        (about, kind, vec![0_u8, 1, 2, 0xff]).into_response()
    };
    let house = house_with(Router::new().route("/api/v1/cameras/{id}/still", get(still))).await;
    let path = "/api/v1/cameras/6f1c0000-0000-5000-8000-000000000000/still";
    house.get(path).await.is_problem(401, "Unauthenticated");
    let answer = house.as_admin("GET", path).await;
    assert_eq!(
        (answer.status, &answer.body[..]),
        (StatusCode::OK, &[0, 1, 2, 0xff][..])
    );
    assert_eq!(
        (
            answer.header("content-type"),
            answer.header("age"),
            answer.header("etag")
        ),
        ("video/mp4", "181", "\"1a\"")
    );
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    let again = call("GET", path)
        .header("authorization", format!("Bearer {}", house.token()))
        .header("if-none-match", "\"1a\"");
    let again = house.send(again.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    house
        .as_admin("POST", path)
        .await
        .is_problem(405, "MethodNotAllowed");
}

#[tokio::test]
async fn the_public_address_of_livekit_is_filled_in_where_there_is_one() {
    let grant = || async { Json(json!({"room": "camera_1", "url": "", "token": "t"})) };
    let streams = format!(
        "http://{}",
        listen(Router::new().route("/api/v1/stream/live", post(grant))).await
    );
    for (public_url, url) in [("", ""), ("wss://media.example.org/", "wss://media.example.org")] {
        let house = Plan {
            streams_url: streams.clone(),
            public_url: public_url.into(),
            ..Plan::default()
        }
        .build();
        let answer = house.as_admin("POST", "/api/v1/stream/live").await;
        assert_eq!(
            answer.json(),
            json!({"room": "camera_1", "url": url, "token": "t"})
        );
    }
}

#[tokio::test]
async fn neighbours_that_are_away_are_a_problem_that_says_which() {
    let house = House::new();
    let answer = house.as_admin("POST", "/api/v1/stream/live").await;
    answer.is_problem(503, "StreamsUnavailable");
    assert_eq!(answer.header("retry-after"), "1");
    house
        .get("/livekit/rtc/validate")
        .await
        .is_problem(503, "LiveKitUnavailable");
    let counted = house.metrics.encode().unwrap();
    assert!(
        counted.contains(r#"marsad_api_relayed_total{target="streams",result="unavailable"} 1"#),
        "{counted}"
    );
}

#[tokio::test]
async fn a_body_too_large_is_not_passed_on() {
    let house = house_with(Router::new().fallback(echo)).await;
    let request = call("POST", "/api/v1/stream/live")
        .header("authorization", format!("Bearer {}", house.token()))
        .body(Body::from(vec![b' '; 64 * 1024 + 1]))
        .unwrap();
    house.send(request).await.is_problem(413, "PayloadTooLarge");
}

#[tokio::test]
async fn livekit_gets_its_path_without_the_prefix_and_without_our_cookie() {
    let house = house_with(Router::new().fallback(echo)).await;
    let request = call("GET", "/livekit/rtc/validate?access_token=t&sdk=js")
        .header("cookie", "marsad_session=secret")
        .header("authorization", "Bearer livekit-token");
    let answer = house.send(request.body(Body::empty()).unwrap()).await.json();
    assert_eq!(answer["uri"], "/rtc/validate?access_token=t&sdk=js");
    assert_eq!(
        (answer["cookie"].as_str(), answer["authorization"].as_str()),
        (None, Some("Bearer livekit-token"))
    );
}

#[tokio::test]
async fn websockets_pass_through_livekit_both_ways() {
    let talk = async |upgrade: WebSocketUpgrade, OriginalUri(uri): OriginalUri| {
        upgrade
            .protocols(["livekit"])
            .on_upgrade(async move |mut socket| {
                socket.send(Ws::Text(uri.to_string().into())).await.unwrap();
                while let Some(Ok(message)) = socket.recv().await {
                    if matches!(message, Ws::Text(_) | Ws::Binary(_)) && socket.send(message).await.is_err() {
                        break;
                    }
                }
            })
    };
    let house = house_with(Router::new().route("/rtc/v1", any(talk))).await;
    let mut request = format!("ws://{}/livekit/rtc/v1?access_token=t", house.listen().await)
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", "livekit".parse().unwrap());
    let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "livekit");
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::text("/rtc/v1?access_token=t")
    );
    let large = vec![7_u8; 300_000];
    for message in [Message::text("offer"), Message::binary(large)] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    while socket.next().await.is_some_and(|message| message.is_ok()) {}
}

/// R1.3-18: a page comes with a ticket, a tool with its token; `streams` gets a token either way, and never the ticket.
#[tokio::test]
async fn r1_3_18_statistics_are_for_who_has_a_ticket_or_a_token() {
    let tell = async |upgrade: WebSocketUpgrade, OriginalUri(uri): OriginalUri, headers: HeaderMap| {
        let token = headers["authorization"].to_str().unwrap().to_owned();
        upgrade.on_upgrade(async move |mut socket| {
            let told = json!({"uri": uri.to_string(), "authorization": token});
            let _ = socket.send(Ws::Text(told.to_string().into())).await;
        })
    };
    let house = house_with(Router::new().route("/ws/stream/stats", any(tell))).await;
    let address = house.listen().await;
    let told = async |request: tokio_tungstenite::tungstenite::http::Request<()>| {
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
        let message = socket.next().await.unwrap()?.into_text()?;
        Ok::<_, tokio_tungstenite::tungstenite::Error>(serde_json::from_str::<Value>(&message).unwrap())
    };
    let open = |query: &str| {
        format!("ws://{address}/ws/stream/stats{query}")
            .into_client_request()
            .unwrap()
    };
    let answer = house.as_admin("POST", "/api/v1/auth/ws-ticket").await;
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    let by_ticket = told(open(&format!("?ticket={ticket}"))).await.unwrap();
    assert_eq!(by_ticket["uri"], "/ws/stream/stats");
    let token = by_ticket["authorization"]
        .as_str()
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap();
    let verifier = marsad_identity::Verifier::fixed(testing::signer().jwks());
    let claims = verifier.verify_at(token, house.wall()).await.unwrap();
    assert_eq!(claims.name, "admin");
    assert!(told(open(&format!("?ticket={ticket}"))).await.is_err(), "used");
    let mut request = open("");
    let bearer = format!("Bearer {}", house.token());
    request
        .headers_mut()
        .insert("authorization", bearer.parse().unwrap());
    assert_eq!(told(request).await.unwrap()["authorization"], bearer);
    assert!(told(open("")).await.is_err(), "neither");
    house
        .get("/ws/stream/stats")
        .await
        .is_problem(426, "UpgradeRequired");
}

#[tokio::test]
async fn a_refused_websocket_is_passed_back_as_it_is() {
    let refuse = || async { (StatusCode::UNAUTHORIZED, "invalid token") };
    let house = house_with(Router::new().route("/rtc", get(refuse))).await;
    let error = tokio_tungstenite::connect_async(format!("ws://{}/livekit/rtc", house.listen().await))
        .await
        .unwrap_err();
    assert!(
        matches!(error, tokio_tungstenite::tungstenite::Error::Http(response) if response.status() == 401)
    );
}

#[test]
fn addresses_that_can_not_work_are_refused_at_the_start() {
    use crate::relay::Relay;
    let (good, tls) = (
        "http://streams:8080".parse().unwrap(),
        "https://streams:8080".parse().unwrap(),
    );
    assert!(Relay::new(&good, &good, "").is_ok());
    for error in [
        Relay::new(&tls, &good, "").err().unwrap(),
        Relay::new(&good, &"unix:/x".parse().unwrap(), "").err().unwrap(),
        Relay::new(&good, &good, "media.example.org").err().unwrap(),
        Relay::new(&good, &good, "ftp://media.example.org").err().unwrap(),
    ] {
        assert!(error.to_string().contains("_URL"), "{error}");
    }
}
