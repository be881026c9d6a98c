//! The dashboard's files.

use super::*;

fn with_files() -> House {
    let house = House::new();
    let root = house.dashboard.path();
    std::fs::create_dir(root.join("assets")).unwrap();
    std::fs::write(root.join("index.html"), "<!doctype html><title>مرصد</title>").unwrap();
    std::fs::write(
        root.join("assets/index-Bx1f2.js"),
        "export const x = 1;\n".repeat(200),
    )
    .unwrap();
    std::fs::write(root.join("marsad.svg"), "<svg/>").unwrap();
    house
}

#[tokio::test]
async fn the_page_and_its_own_routes() {
    let house = with_files();
    for path in ["/", "/index.html", "/wall/4", "/cameras/police/szr-12"] {
        let answer = house.get(path).await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (StatusCode::OK, "no-cache"),
            "{path}"
        );
        assert!(String::from_utf8_lossy(&answer.body).contains("مرصد"));
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    }
    let etag = house.get("/").await.header("etag").to_owned();
    let request = call("GET", "/")
        .header("if-none-match", &etag)
        .body(Body::empty())
        .unwrap();
    assert_eq!(house.send(request).await.status, StatusCode::NOT_MODIFIED);
    // A new image with the same file dates: the tag is of the content.
    std::fs::write(house.dashboard.path().join("index.html"), "new").unwrap();
    let request = call("GET", "/")
        .header("if-none-match", &etag)
        .header("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT");
    assert_eq!(house.send(request.body(Body::empty()).unwrap()).await.body, "new");
}

#[tokio::test]
async fn hashed_files_are_kept_for_ever_and_others_are_not() {
    let house = with_files();
    let script = house.get("/assets/index-Bx1f2.js").await;
    assert_eq!(
        script.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert!(script.header("content-type").contains("javascript"), "{script:?}");
    let icon = house.get("/marsad.svg").await;
    assert_eq!(
        (icon.header("cache-control"), icon.header("content-type")),
        ("no-cache", "image/svg+xml")
    );
    assert!(icon.header("last-modified").is_empty());
    let request = call("GET", "/assets/index-Bx1f2.js")
        .header("accept-encoding", "gzip")
        .body(Body::empty())
        .unwrap();
    assert_eq!(house.send(request).await.header("content-encoding"), "gzip");
}

#[tokio::test]
async fn what_is_missing_is_not_the_page_in_disguise() {
    let house = with_files();
    for path in [
        "/assets/gone.js",
        "/gone.js",
        "/assets/",
        "/../../etc/passwd.txt",
        "/%2e%2e/%2e%2e/etc/passwd.txt",
    ] {
        house.get(path).await.is_problem(404, "NotFound");
    }
    house
        .send(call("POST", "/").body(Body::empty()).unwrap())
        .await
        .is_problem(405, "MethodNotAllowed");
    House::new().get("/").await.is_problem(503, "PageMissing");
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let house = with_files();
    for path in ["/", "/assets/index-Bx1f2.js", "/api/v1/cameras"] {
        let answer = house.get(path).await;
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'self'",
            "script-src 'self';",
            "connect-src 'self' ws: wss:;",
            "media-src 'self' blob:",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {part} in {policy}");
        }
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
    let house = Plan {
        public_url: "wss://media.example.org:7443".into(),
        ..Plan::default()
    }
    .build();
    let policy = house.get("/").await.header("content-security-policy").to_owned();
    assert!(
        policy.contains("ws: wss: https://media.example.org:7443;"),
        "{policy}"
    );
}

#[tokio::test]
async fn metrics_know_routes_not_paths() {
    let house = with_files();
    house.get("/some/invented/path").await;
    house.get("/api/v1/cameras?x=secret").await;
    let counted = house.metrics.encode().unwrap();
    assert!(
        counted.contains(r#"marsad_api_requests_total{route="page",method="GET",status="200"} 1"#),
        "{counted}"
    );
    assert!(
        counted.contains(r#"route="/api/v1/cameras",method="GET",status="401""#),
        "{counted}"
    );
    assert!(!counted.contains("invented") && !counted.contains("secret"));
}
