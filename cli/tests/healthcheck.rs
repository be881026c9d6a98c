//! `marsad healthcheck` as a container runs it.

#![allow(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "a test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};

/// Answers one request with `answer`, or keeps silent until the other side is gone.
fn server(answer: Option<&'static str>) -> (SocketAddr, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        let mut part = [0; 1024];
        while !heard.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut part).unwrap();
            heard.extend(part.iter().take(read));
        }
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).unwrap(),
            None => drop(stream.read(&mut part)),
        }
        String::from_utf8(heard).unwrap()
    });
    (address, served)
}

fn check(address: SocketAddr, environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_marsad"))
        .args([
            "healthcheck",
            "--timeout",
            "1",
            &format!("http://a:b@{address}/health"),
        ])
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn r1_1_40_a_good_answer_is_no_output_and_a_bad_one_is_told() {
    let (address, served) = server(Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    let good = check(address, &[]);
    assert!(good.status.success() && good.stderr.is_empty(), "{good:?}");
    served.join().unwrap();

    let (address, served) = server(Some(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 15\r\n\r\nelection: stuck",
    ));
    let bad = check(address, &[]);
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(
        !bad.status.success() && said.contains("503") && said.contains("election: stuck"),
        "{said}"
    );
    served.join().unwrap();
}

#[test]
fn r1_1_40_who_is_silent_or_away_fails_and_no_password_is_shown() {
    let (address, served) = server(None);
    let silent = check(
        address,
        &[("HEALTHCHECK_USER", "ops"), ("HEALTHCHECK_PASSWORD", "hunter2")],
    );
    let said = String::from_utf8_lossy(&silent.stderr).into_owned();
    assert!(
        !silent.status.success() && said.contains("does not answer within 1 s"),
        "{said}"
    );
    assert!(!said.contains("hunter2") && !said.contains("a:b"), "{said}");
    assert!(
        served
            .join()
            .unwrap()
            .to_lowercase()
            .contains("authorization: basic")
    );

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = check(free, &[]);
    assert!(!away.status.success(), "{away:?}");
}
