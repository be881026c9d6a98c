//! `GET /api/v1/cameras`.

use super::*;
use crate::cameras::testing::{apply, camera};
use std::io::Read;

async fn list(house: &House, headers: &[(&str, &str)]) -> Answer {
    let mut request =
        call("GET", "/api/v1/cameras").header("authorization", format!("Bearer {}", house.token()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    house.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_list_is_sorted_tagged_and_not_sent_twice() {
    let house = House::new();
    for (namespace, name) in [("police", "szr-12"), ("metro", "z"), ("police", "a")] {
        apply(&house.cameras, camera(namespace, name));
    }
    let answer = list(&house, &[]).await;
    let body = answer.json();
    let names: Vec<_> = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        (names, body["count"].as_u64()),
        (vec!["z", "a", "szr-12"], Some(3))
    );
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "private, no-cache");

    let etag = answer.header("etag").to_owned();
    let again = list(&house, &[("if-none-match", &etag)]).await;
    assert_eq!(
        (again.status, again.body.len(), again.header("etag")),
        (StatusCode::NOT_MODIFIED, 0, etag.as_str())
    );
    apply(&house.cameras, camera("taxi", "new"));
    assert_eq!(
        list(&house, &[("if-none-match", &etag)]).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn it_is_compressed_for_who_takes_gzip() {
    let house = House::new();
    for n in 0..100 {
        apply(&house.cameras, camera("police", &format!("cam-{n}")));
    }
    let plain = list(&house, &[]).await;
    let packed = list(&house, &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(
        (
            packed.header("content-encoding"),
            plain.header("content-encoding")
        ),
        ("gzip", "")
    );
    assert!(packed.header("vary").contains("Accept-Encoding"));
    assert!(
        packed.body.len() * 5 < plain.body.len(),
        "{} of {}",
        packed.body.len(),
        plain.body.len()
    );
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..])
        .read_to_end(&mut text)
        .unwrap();
    assert_eq!(text, plain.body);
}

#[tokio::test]
async fn before_the_first_list_it_is_not_empty_but_unknown() {
    let house = Plan {
        listed: false,
        ..Plan::default()
    }
    .build();
    list(&house, &[]).await.is_problem(503, "CamerasNotReady");
}
