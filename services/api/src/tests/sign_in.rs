//! Signing in, and what a token opens.

use super::*;
use serde_json::json;

fn cookie_of(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn signing_in_gives_a_token_and_a_cookie_that_both_work() {
    let house = House::new();
    let answer = house.login("admin", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let (body, set_cookie) = (answer.json(), answer.header("set-cookie"));
    let token = body["token"].as_str().unwrap();
    assert_eq!(
        body["user"],
        json!({"id": marsad_identity::user_id("admin").to_string(), "name": "admin"})
    );
    let expires: Timestamp = body["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires.as_second(), house.wall().as_second() + 3600);
    assert_eq!(
        set_cookie,
        format!("marsad_session={token}; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict")
    );
    assert_eq!(answer.header("cache-control"), "no-store");

    // The published keys verify it.
    let jwks = house.get("/.well-known/jwks.json").await.json();
    let verifier = marsad_identity::Verifier::fixed(&serde_json::from_value(jwks).unwrap());
    assert_eq!(
        verifier.verify_at(token, house.wall()).await.unwrap().name,
        "admin"
    );

    for (name, value) in [
        ("authorization", format!("Bearer {token}")),
        ("cookie", cookie_of(&answer)),
    ] {
        let me = house
            .send(
                call("GET", "/api/v1/auth/me")
                    .header(name, value)
                    .body(Body::empty())
                    .unwrap(),
            )
            .await;
        assert_eq!(me.json()["user"], body["user"], "{name}");
    }
}

#[tokio::test]
async fn the_cookie_is_secure_where_the_browser_came_by_https() {
    let house = House::new();
    let request = call("POST", "/api/v1/auth/login")
        .header("content-type", "application/json")
        .header("x-forwarded-proto", "https")
        .body(Body::from(
            json!({"username": "admin", "password": PASSWORD}).to_string(),
        ))
        .unwrap();
    assert!(
        house
            .send(request)
            .await
            .header("set-cookie")
            .ends_with("; Secure")
    );
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let house = House::new();
    let (wrong, unknown) = (
        house.login("admin", "guess").await,
        house.login("nobody", "guess").await,
    );
    for answer in [&wrong, &unknown] {
        answer.is_problem(401, "BadCredentials");
        assert!(answer.header("set-cookie").is_empty());
    }
    let without_id = |answer: &Answer| {
        let mut document = answer.json();
        document.as_object_mut().unwrap().remove("request_id");
        document
    };
    assert_eq!(without_id(&wrong), without_id(&unknown));
}

#[tokio::test]
async fn bad_bodies_of_sign_in() {
    let house = House::new();
    for (kind, body, status, code) in [
        ("application/json", "{".to_owned(), 400, "InvalidRequest"),
        ("application/json", "{}".to_owned(), 400, "InvalidRequest"),
        (
            "application/json",
            json!({"username": "admin", "password": 7}).to_string(),
            400,
            "InvalidRequest",
        ),
        (
            "application/json",
            json!({"username": "", "password": "x"}).to_string(),
            400,
            "InvalidRequest",
        ),
        (
            "application/json",
            json!({"username": "admin", "password": ""}).to_string(),
            400,
            "InvalidRequest",
        ),
        (
            "application/json",
            json!({"username": "a".repeat(129), "password": "x"}).to_string(),
            400,
            "InvalidRequest",
        ),
        (
            "application/json",
            json!({"username": "admin", "password": "x".repeat(20_000)}).to_string(),
            413,
            "PayloadTooLarge",
        ),
        // What a form on another site can send.
        (
            "text/plain",
            json!({"username": "admin", "password": PASSWORD}).to_string(),
            415,
            "UnsupportedMediaType",
        ),
        (
            "application/x-www-form-urlencoded",
            "username=admin&password=x".to_owned(),
            415,
            "UnsupportedMediaType",
        ),
    ] {
        let request = call("POST", "/api/v1/auth/login")
            .header("content-type", kind)
            .body(Body::from(body.clone()));
        let answer = house.send(request.unwrap()).await;
        answer.is_problem(status, code);
        assert!(
            !String::from_utf8_lossy(&answer.body).contains(PASSWORD),
            "{body}"
        );
    }
}

#[tokio::test]
async fn five_failures_in_a_minute_then_wait() {
    let house = House::new();
    for _ in 0..5 {
        house
            .login("admin", "guess")
            .await
            .is_problem(401, "BadCredentials");
        house.wait(2);
    }
    let refused = house.login("admin", PASSWORD).await;
    refused.is_problem(429, "TooManyAttempts");
    assert_eq!(
        (
            refused.header("retry-after"),
            refused.json()["retry_after"].as_u64()
        ),
        ("50", Some(50))
    );
    house
        .login("nobody", "guess")
        .await
        .is_problem(401, "BadCredentials");
    house.wait(50);
    assert_eq!(house.login("admin", PASSWORD).await.status, StatusCode::OK);
    let counted = house.metrics.encode().unwrap();
    assert!(
        counted.contains(r#"marsad_api_logins_total{result="refused"} 6"#),
        "{counted}"
    );
    assert!(counted.contains(r#"marsad_api_logins_total{result="throttled"} 1"#));
}

#[tokio::test]
async fn attempts_at_once_are_counted_too() {
    let house = House::new();
    let attempts = (0..20).map(|_| house.login("admin", "guess"));
    let answers = futures::future::join_all(attempts).await;
    let judged = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::UNAUTHORIZED)
        .count();
    assert_eq!(judged, 5);
}

#[tokio::test]
async fn r1_2_02_bad_tokens_open_nothing() {
    let house = House::new();
    let now = house.wall().as_second();
    let signer = testing::signer();
    let claims = |change: Value| {
        let mut claims = serde_json::to_value(Claims::new("user-1", "admin", house.wall())).unwrap();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let good = signer.sign(&claims(json!({}))).unwrap();
    let mut tampered = good.clone();
    tampered.replace_range(good.find('.').unwrap() + 5..good.find('.').unwrap() + 6, "_");
    let encode = |value: Value| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let headed = |header: Value| format!("{}.{}.c2ln", encode(header), encode(claims(json!({}))));
    let cases = [
        (
            "expired",
            signer.sign(&claims(json!({"exp": now - 60}))).unwrap(),
            "TokenExpired",
        ),
        (
            "wrong aud",
            signer.sign(&claims(json!({"aud": "livekit"}))).unwrap(),
            "TokenInvalid",
        ),
        (
            "wrong iss",
            signer.sign(&claims(json!({"iss": "other"}))).unwrap(),
            "TokenInvalid",
        ),
        ("tampered", tampered, "TokenInvalid"),
        (
            "none",
            headed(json!({"alg": "none", "kid": testing::KID})),
            "TokenInvalid",
        ),
        (
            "HS256",
            headed(json!({"alg": "HS256", "kid": testing::KID})),
            "TokenInvalid",
        ),
        ("nonsense", "nonsense".to_owned(), "TokenInvalid"),
    ];
    for (what, token, code) in cases {
        let request = call("GET", "/api/v1/cameras").header("authorization", format!("Bearer {token}"));
        let answer = house.send(request.body(Body::empty()).unwrap()).await;
        answer.is_problem(401, code);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}");
        assert!(
            !String::from_utf8_lossy(&answer.body).contains(&token),
            "{what}: the token is not repeated"
        );
    }
    let counted = house.metrics.encode().unwrap();
    assert!(
        counted.contains(r#"marsad_api_tokens_refused_total{reason="expired"} 1"#),
        "{counted}"
    );
}

#[tokio::test]
async fn nothing_is_open_without_a_token() {
    let house = House::new();
    for (method, path) in [
        ("GET", "/api/v1/auth/me"),
        ("POST", "/api/v1/auth/ws-ticket"),
        ("GET", "/api/v1/cameras"),
        ("POST", "/api/v1/stream/live"),
        ("DELETE", "/api/v1/stream/live"),
        ("POST", "/api/v1/stream/heartbeat"),
    ] {
        let answer = house.send(call(method, path).body(Body::empty()).unwrap()).await;
        answer.is_problem(401, "Unauthenticated");
        assert_eq!(answer.json()["instance"], path);
    }
}

#[tokio::test]
async fn the_cookie_needs_the_header_where_something_changes() {
    let house = House::new();
    let cookie = format!("marsad_session={}", house.token());
    let send = async |method: &str, path: &str, header: Option<&str>| {
        let mut request = call(method, path).header("cookie", &cookie);
        if let Some(value) = header {
            request = request.header("x-marsad-request", value);
        }
        house.send(request.body(Body::empty()).unwrap()).await
    };
    for (method, path) in [
        ("POST", "/api/v1/auth/ws-ticket"),
        ("POST", "/api/v1/auth/logout"),
        ("POST", "/api/v1/stream/live"),
        ("DELETE", "/api/v1/stream/live"),
    ] {
        send(method, path, None)
            .await
            .is_problem(403, "CsrfHeaderMissing");
        send(method, path, Some("0"))
            .await
            .is_problem(403, "CsrfHeaderMissing");
    }
    assert_eq!(
        send("POST", "/api/v1/auth/ws-ticket", Some("1")).await.status,
        StatusCode::OK
    );
    assert_eq!(send("GET", "/api/v1/auth/me", None).await.status, StatusCode::OK);
    // A bearer token is no cookie: no other site can make a browser send it.
    assert_eq!(
        house.as_admin("POST", "/api/v1/auth/ws-ticket").await.status,
        StatusCode::OK
    );
    // And it comes first: a bad one is not saved by a good cookie.
    let request = call("GET", "/api/v1/auth/me")
        .header("cookie", &cookie)
        .header("authorization", "Bearer bad");
    house
        .send(request.body(Body::empty()).unwrap())
        .await
        .is_problem(401, "TokenInvalid");
}

#[tokio::test]
async fn signing_out_clears_the_cookie_and_never_fails() {
    let house = House::new();
    for cookie in [None, Some(house.token()), Some("stale".to_owned())] {
        let mut request = call("POST", "/api/v1/auth/logout");
        if let Some(token) = cookie {
            request = request
                .header("cookie", format!("marsad_session={token}"))
                .header("x-marsad-request", "1");
        }
        let answer = house.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(
            answer
                .header("set-cookie")
                .starts_with("marsad_session=; Path=/; Max-Age=0;"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn without_keys_yet_the_answer_says_so() {
    let house = Plan {
        keyring: Keyring::default(),
        ..Plan::default()
    }
    .build();
    house
        .login("admin", PASSWORD)
        .await
        .is_problem(503, "KeysNotReady");
    house
        .get("/.well-known/jwks.json")
        .await
        .is_problem(503, "KeysNotReady");
    house
        .as_admin("GET", "/api/v1/auth/me")
        .await
        .is_problem(503, "KeysNotReady");
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems_too() {
    let house = House::new();
    for path in [
        "/api",
        "/api/v1/nothing",
        "/ws/nothing",
        "/livekit",
        "/livekit/twirp/livekit.RoomService/ListRooms",
        "/.well-known/x",
        "/health",
        "/ready",
    ] {
        house.get(path).await.is_problem(404, "NotFound");
    }
    house
        .as_admin("PUT", "/api/v1/cameras")
        .await
        .is_problem(405, "MethodNotAllowed");
    assert!(
        house
            .as_admin("PUT", "/api/v1/cameras")
            .await
            .header("allow")
            .contains("GET")
    );
    house
        .get("/api/v1/auth/login")
        .await
        .is_problem(405, "MethodNotAllowed");
}

#[tokio::test]
async fn r0_17_the_request_id_is_taken_or_made() {
    let house = House::new();
    let request = call("GET", "/api/v1/cameras")
        .header("x-request-id", "gw-42")
        .body(Body::empty())
        .unwrap();
    let answer = house.send(request).await;
    assert_eq!(
        (
            answer.header("x-request-id"),
            answer.json()["request_id"].as_str()
        ),
        ("gw-42", Some("gw-42"))
    );
    assert_eq!(
        house.get("/api/v1/cameras").await.header("x-request-id").len(),
        36
    );
}
