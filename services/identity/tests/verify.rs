//! Good and bad tokens, and keys that come over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "the whole file is a test; clippy's own allowance sees only #[test] functions, not what they call"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use marsad_identity::{Caller, Claims, JwkSet, Refused, Signer, Verifier, testing};
use serde_json::{Value, json};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn good() -> Value {
    serde_json::to_value(Claims::new("user-1", "Noura", now())).unwrap()
}

fn with(change: Value) -> String {
    let mut claims = good();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    testing::signer().sign(&claims).unwrap()
}

fn unsigned(header: Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(&header), part(&good()))
}

#[tokio::test]
async fn r0_09_a_good_token_names_its_caller() {
    let claims = testing::signer()
        .verifier()
        .verify_at(&with(json!({})), now())
        .await
        .unwrap();
    let caller = Caller::from(claims);
    assert_eq!((caller.id.as_str(), caller.name.as_str()), ("user-1", "Noura"));
    assert_eq!(caller.expires_at.as_second(), 1_800_003_600);
    assert_eq!(
        serde_json::to_value(&caller).unwrap(),
        json!({"id": "user-1", "name": "Noura"})
    );
}

#[tokio::test]
async fn r1_2_02_r1_2_14_bad_tokens_are_refused() {
    let second = now().as_second();
    let stranger = {
        // Same key id, another key.
        let pem = rsa_pem();
        Signer::from_pem(pem.as_bytes(), testing::KID)
            .unwrap()
            .sign(&good())
            .unwrap()
    };
    let mut parts: Vec<String> = with(json!({})).split('.').map(str::to_owned).collect();
    parts[1] = URL_SAFE_NO_PAD.encode(
        json!({"sub": "root", "iss": "marsad", "aud": "marsad", "name": "root",
        "iat": second, "exp": second + 3600, "jti": "1"})
        .to_string(),
    );
    let tampered = parts.join(".");
    // A public key used as an HMAC secret: the classic confusion of algorithms.
    let confused = {
        let n = serde_json::to_value(testing::signer().jwks()).unwrap()["keys"][0]["n"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        header.kid = Some(testing::KID.into());
        jsonwebtoken::encode(
            &header,
            &good(),
            &jsonwebtoken::EncodingKey::from_secret(n.as_bytes()),
        )
        .unwrap()
    };
    let cases = [
        ("empty", String::new(), Refused::Malformed),
        ("two parts", "a.b".into(), Refused::Malformed),
        ("huge", "a".repeat(9000), Refused::Malformed),
        (
            "alg none",
            unsigned(json!({"alg": "none", "kid": testing::KID}), ""),
            Refused::Malformed,
        ),
        (
            "alg none, spelt otherwise",
            unsigned(json!({"alg": "nOnE", "kid": testing::KID}), ""),
            Refused::Malformed,
        ),
        ("HS256 with the public key", confused, Refused::Algorithm),
        (
            "no kid",
            unsigned(json!({"alg": "RS256"}), "c2ln"),
            Refused::UnknownKey,
        ),
        (
            "unknown kid",
            unsigned(json!({"alg": "RS256", "kid": "other"}), "c2ln"),
            Refused::UnknownKey,
        ),
        (
            "no signature",
            unsigned(json!({"alg": "RS256", "kid": testing::KID}), ""),
            Refused::Signature,
        ),
        ("another key", stranger, Refused::Signature),
        ("tampered", tampered, Refused::Signature),
        ("expired", with(json!({"exp": second - 6})), Refused::Expired),
        ("expired long ago", with(json!({"exp": 0})), Refused::Expired),
        ("exp as text", with(json!({"exp": "never"})), Refused::Malformed),
        ("no exp", with(json!({"exp": null})), Refused::Malformed),
        (
            "iat in the future",
            with(json!({"iat": second + 60})),
            Refused::NotYetValid,
        ),
        (
            "nbf in the future",
            with(json!({"nbf": second + 60})),
            Refused::NotYetValid,
        ),
        ("wrong iss", with(json!({"iss": "evil"})), Refused::Issuer),
        ("wrong aud", with(json!({"aud": "livekit"})), Refused::Audience),
        ("no aud", with(json!({"aud": null})), Refused::Malformed),
        ("no sub", with(json!({"sub": null})), Refused::Malformed),
        ("empty sub", with(json!({"sub": ""})), Refused::Malformed),
    ];
    let verifier = testing::signer().verifier();
    for (what, token, refused) in cases {
        assert_eq!(verifier.verify_at(&token, now()).await, Err(refused), "{what}");
    }
    // The edge of the leeway is still good: clocks differ.
    assert!(
        verifier
            .verify_at(&with(json!({"exp": second - 4})), now())
            .await
            .is_ok()
    );
}

fn rsa_pem() -> String {
    use rsa::pkcs8::{EncodePrivateKey, LineEnding};
    let key = rsa::PrivateKey::new(&mut rand::rng(), 2048).unwrap();
    key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

#[derive(Clone, Default)]
struct Publisher {
    set: Arc<Mutex<Option<JwkSet>>>,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    async fn start() -> (Self, String) {
        let publisher = Self::default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/.well-known/jwks.json", listener.local_addr().unwrap());
        let router = Router::new()
            .route(
                "/.well-known/jwks.json",
                get(async |State(publisher): State<Publisher>| {
                    publisher.asked.fetch_add(1, Ordering::SeqCst);
                    match publisher.set.lock().unwrap().clone() {
                        Some(set) => Json(set).into_response(),
                        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                    }
                }),
            )
            .with_state(publisher.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (publisher, url)
    }

    fn publish(&self, signer: Option<&Signer>) {
        *self.set.lock().unwrap() = signer.map(|signer| signer.jwks().clone());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Moves tokio's clock on without letting it move by itself while sockets are waited for.
async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn keys_are_fetched_once_kept_and_asked_for_again_when_a_new_one_appears() {
    let (publisher, url) = Publisher::start().await;
    let verifier = Verifier::remote(url);
    let token = with(json!({}));
    assert_eq!(
        verifier.verify_at(&token, now()).await,
        Err(Refused::KeysUnavailable)
    );
    assert_eq!(
        verifier.verify_at(&token, now()).await,
        Err(Refused::KeysUnavailable)
    );
    assert_eq!(publisher.asked(), 1, "a failing publisher is not hammered");

    publisher.publish(Some(&testing::signer()));
    later(6).await;
    assert!(verifier.ready().await);
    for _ in 0..20 {
        assert!(verifier.verify_at(&token, now()).await.is_ok());
    }
    assert_eq!(publisher.asked(), 2);

    // Strangers inventing key ids cause at most one fetch in five seconds.
    later(6).await;
    for n in 0..50 {
        let invented = unsigned(json!({"alg": "RS256", "kid": format!("k{n}")}), "c2ln");
        assert_eq!(
            verifier.verify_at(&invented, now()).await,
            Err(Refused::UnknownKey)
        );
    }
    assert_eq!(publisher.asked(), 3);

    // A rotated key is picked up at its first token; the old one is no longer trusted.
    let rotated = Signer::from_pem(rsa_pem().as_bytes(), "next").unwrap();
    publisher.publish(Some(&rotated));
    later(6).await;
    assert!(
        verifier
            .verify_at(&rotated.sign(&good()).unwrap(), now())
            .await
            .is_ok()
    );
    assert_eq!(verifier.verify_at(&token, now()).await, Err(Refused::UnknownKey));
}

#[tokio::test]
async fn a_withdrawn_key_is_dropped_in_time_and_an_outage_is_survived() {
    let (publisher, url) = Publisher::start().await;
    let verifier = Verifier::remote(url);
    let token = with(json!({}));
    publisher.publish(Some(&testing::signer()));
    assert!(verifier.verify_at(&token, now()).await.is_ok());
    publisher.publish(None);
    later(301).await;
    assert!(
        verifier.verify_at(&token, now()).await.is_ok(),
        "the publisher is away: the keys at hand serve"
    );
    let other = Signer::from_pem(rsa_pem().as_bytes(), "other").unwrap();
    publisher.publish(Some(&other));
    later(301).await;
    assert_eq!(verifier.verify_at(&token, now()).await, Err(Refused::UnknownKey));
}
