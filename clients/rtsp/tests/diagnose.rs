//! What is said of cameras that are down: scripted ones, each with one fault.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use marsad_rtsp::{Credentials, Failure, Told, Trust};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Longer than any answer on loopback takes.
const PATIENT: Duration = Duration::from_secs(20);
/// For cameras that never answer.
const IMPATIENT: Duration = Duration::from_millis(300);

const H264: &str = "v=0\r\nm=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "RTSP/1.0 {status}\r\nCSeq: 1\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn described(body: &str) -> String {
    answer("200 OK", "Content-Type: application/sdp\r\n", body)
}

fn as_it_should() -> (String, Option<String>) {
    ("H264".into(), None)
}

/// What is said of the camera at `url`, asked where its name leads and trusting public authorities: its codec, and its certificate.
async fn diagnose(
    url: &str,
    login: Option<&Credentials>,
    deadline: Duration,
) -> Result<(String, Option<String>), Failure> {
    let told = marsad_rtsp::diagnose(url, None, login, &Trust::Public, deadline).await;
    told.codec.map(|codec| (codec, told.certificate))
}

/// Answers each question on a connection with the next answer, then closes.
async fn serve(mut connection: impl AsyncRead + AsyncWrite + Unpin, answers: Vec<String>) -> Vec<String> {
    let mut asked = Vec::new();
    for answer in answers {
        let mut question = Vec::new();
        while !question.ends_with(b"\r\n\r\n") {
            if connection.read_buf(&mut question).await.unwrap_or(0) == 0 {
                return asked;
            }
        }
        asked.push(String::from_utf8(question).unwrap());
        connection.write_all(answer.as_bytes()).await.unwrap();
    }
    let _ = connection.shutdown().await;
    asked
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/main?channel=1", listener.local_addr().unwrap());
    (listener, url)
}

/// What is said of a camera that gives `answers` on its first connection, and what it was asked.
async fn ask(
    answers: Vec<String>,
    login: Option<&Credentials>,
) -> (Result<(String, Option<String>), Failure>, Vec<String>) {
    let (listener, url) = listen().await;
    let camera = tokio::spawn(async move { serve(listener.accept().await.unwrap().0, answers).await });
    let said = diagnose(&url, login, PATIENT).await;
    (said, camera.await.unwrap())
}

#[tokio::test]
async fn answers_are_told_apart() {
    let unsupported = |codec: &str| Failure::UnsupportedCodec { codec: codec.into() };
    let garbage = |why: &str| Failure::Protocol { why: why.into() };
    let h265 = H264.replace("H264", "H265");
    let cut = described(H264).replace("\r\n\r\nv=0", "0\r\n\r\nv=0");
    for (answers, said) in [
        (vec![described(H264)], Ok(as_it_should())),
        (vec![described(&h265)], Err(unsupported("H265"))),
        (
            vec![described("v=0\r\nm=video 0 RTP/AVP 26\r\n")],
            Err(unsupported("JPEG")),
        ),
        (
            vec![described("v=0\r\nm=audio 0 RTP/AVP 8\r\n")],
            Err(Failure::NoVideo),
        ),
        (vec![described("")], Err(Failure::NoVideo)),
        (vec![answer("404 Not Found", "", "")], Err(Failure::NotFound)),
        (
            vec![answer(
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"x\"\r\n",
                "",
            )],
            Err(Failure::Unauthorized),
        ),
        (vec![answer("403 Forbidden", "", "")], Err(Failure::Unauthorized)),
        (
            vec![answer("453 Not Enough Bandwidth", "", "")],
            Err(Failure::Status { code: 453 }),
        ),
        (
            vec!["HTTP/1.1 400 Bad Request\r\n\r\n".to_owned()],
            Err(garbage("its answer can't be read")),
        ),
        (
            vec!["OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".to_owned()],
            Err(garbage("it asks instead of answering")),
        ),
        (vec![cut], Err(garbage("its answer ends too soon"))),
        (vec![], Err(Failure::Closed)),
    ] {
        let (seen, asked) = ask(answers.clone(), None).await;
        assert_eq!(seen, said, "{answers:?}");
        assert!(
            asked
                .iter()
                .all(|question| question.starts_with("DESCRIBE rtsp://127.0.0.1:")),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn the_camera_is_told_who_asks_only_when_it_wants_to_know() {
    let login = Credentials::new("op", "geheim");
    let wants = |challenge: &str| {
        answer(
            "401 Unauthorized",
            &format!("WWW-Authenticate: {challenge}\r\n"),
            "",
        )
    };
    let basic = "Basic realm=\"x\"";
    let digest = "Digest realm=\"x\", nonce=\"abc\"";

    let (seen, asked) = ask(vec![described(H264)], Some(&login)).await;
    assert_eq!(
        (seen, asked.len(), asked[0].contains("Authorization")),
        (Ok(as_it_should()), 1, false)
    );

    // "op:geheim" in base64.
    let (seen, asked) = ask(vec![wants(basic), described(H264)], Some(&login)).await;
    assert_eq!(seen, Ok(as_it_should()));
    assert!(
        asked[1].contains("Authorization: Basic b3A6Z2VoZWlt\r\n"),
        "{}",
        asked[1]
    );

    // Of two ways the better one; the password itself is never sent then.
    let both = answer(
        "401 Unauthorized",
        &format!("WWW-Authenticate: {digest}\r\nWWW-Authenticate: {basic}\r\n"),
        "",
    );
    for challenge in [wants(digest), both] {
        let (seen, asked) = ask(vec![challenge, described(H264)], Some(&login)).await;
        assert_eq!(seen, Ok(as_it_should()));
        assert!(
            asked[1].contains("Authorization: Digest username=\"op\"") && !asked[1].contains("Basic"),
            "{}",
            asked[1]
        );
        assert!(
            asked[1].contains("?channel=1"),
            "the digest is of the whole address: {}",
            asked[1]
        );
    }

    let (seen, _) = ask(vec![wants(basic), wants(basic)], Some(&login)).await;
    assert_eq!(seen, Err(Failure::Unauthorized));
    let (seen, _) = ask(vec![answer("401 Unauthorized", "", "")], Some(&login)).await;
    assert_eq!(seen, Err(Failure::Unauthorized));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told() {
    let said = diagnose("rtsp://camera.invalid:554/main", None, PATIENT).await;
    assert_eq!(
        said,
        Err(Failure::Dns {
            host: "camera.invalid".into()
        })
    );
}

#[tokio::test]
async fn a_port_that_refuses_is_told() {
    let (listener, url) = listen().await;
    drop(listener);
    assert_eq!(diagnose(&url, None, PATIENT).await, Err(Failure::Refused));
}

/// A camera that says nothing: its kernel takes connections as long as there is room for them, and then answers no more.
#[tokio::test]
async fn silence_is_told_apart_before_and_after_the_connection() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let url = format!("rtsp://{address}/main");
    assert_eq!(diagnose(&url, None, IMPATIENT).await, Err(Failure::Timeout));

    let mut waiting = Vec::new();
    while let Ok(connection) = tokio::time::timeout(IMPATIENT, TcpStream::connect(address)).await {
        waiting.push(connection.unwrap());
    }
    assert_eq!(
        diagnose(&url, None, IMPATIENT).await,
        Err(Failure::ConnectTimeout)
    );
}

#[tokio::test]
async fn what_is_no_url_of_rtsp_is_told() {
    for url in ["http://10.1.2.3/a", "rtsp:///a", "camera"] {
        assert!(
            matches!(diagnose(url, None, PATIENT).await, Err(Failure::Url { .. })),
            "{url}"
        );
    }
}

/// A camera with a certificate of its own for `name`: its address, and the certificate in PEM.
async fn camera_with_tls(name: &str, body: &str) -> (String, String) {
    let body = body.to_owned();
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            if let Ok(connection) = acceptor.accept(connection).await {
                serve(connection, vec![described(&body)]).await;
            }
        }
    });
    (url.replacen("rtsp://", "rtsps://", 1), made.cert.pem())
}

/// What is said of a camera whose certificate only `pem` vouches for.
async fn ask_trusting(url: &str, pem: &str) -> Told {
    let trust = Trust::Authorities(pem.as_bytes().to_vec());
    marsad_rtsp::diagnose(url, None, None, &trust, PATIENT).await
}

#[tokio::test]
async fn a_camera_with_tls_must_be_trusted() {
    let (url, certificate) = camera_with_tls("127.0.0.1", H264).await;
    let untrusted = |why: &str| Failure::Certificate { why: why.into() };
    let strange = untrusted("it is of no trusted authority");
    assert_eq!(diagnose(&url, None, PATIENT).await, Err(strange.clone()));

    let told = ask_trusting(&url, &certificate).await;
    let fingerprint = told.certificate.unwrap();
    assert_eq!(told.codec.as_deref(), Ok("H264"));
    assert!(
        fingerprint.len() == 64 && fingerprint.bytes().all(|letter| letter.is_ascii_hexdigit()),
        "{fingerprint}"
    );

    let (_, other) = camera_with_tls("127.0.0.1", H264).await;
    let told = ask_trusting(&url, &other).await;
    assert_eq!((told.certificate, told.codec), (None, Err(strange)));
    let (elsewhere, of_other_name) = camera_with_tls("camera.local", H264).await;
    let told = ask_trusting(&elsewhere, &of_other_name).await;
    assert_eq!(told.codec, Err(untrusted("it is for another host")));
    for none in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
    ] {
        let told = ask_trusting(&url, none).await;
        assert!(matches!(told.codec, Err(Failure::Tls { .. })), "{none}: {told:?}");
    }
}

#[tokio::test]
async fn a_certificate_is_told_whatever_the_stream_is() {
    let (url, certificate) = camera_with_tls("127.0.0.1", &H264.replace("H264", "H265")).await;
    let told = ask_trusting(&url, &certificate).await;
    assert!(told.certificate.is_some());
    assert_eq!(
        told.codec,
        Err(Failure::UnsupportedCodec { codec: "H265".into() })
    );
}

#[tokio::test]
async fn only_the_address_that_was_judged_is_asked() {
    let (listener, _) = listen().await;
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0, vec![described(H264)]).await });
    // The name leads nowhere: nobody asks for it.
    let url = format!("rtsp://camera.invalid:{port}/main");
    let at = Some([127, 0, 0, 1].into());
    let said = marsad_rtsp::diagnose(&url, at, None, &Trust::Public, PATIENT).await;
    assert_eq!(said.codec.as_deref(), Ok("H264"));
}

#[tokio::test]
async fn a_camera_without_tls_is_told() {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        // What comes has no end of a question in it: answer at once.
        let (mut connection, _) = listener.accept().await.unwrap();
        connection
            .write_all(b"RTSP/1.0 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let mut sink = Vec::new();
        let _ = connection.read_to_end(&mut sink).await;
    });
    let seen = diagnose(&url.replacen("rtsp://", "rtsps://", 1), None, PATIENT).await;
    assert!(matches!(seen, Err(Failure::Tls { .. })), "{seen:?}");
}
