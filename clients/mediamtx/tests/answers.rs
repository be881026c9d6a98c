//! Answers that a real MediaMTX gives too seldom to wait for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

use marsad_mediamtx::{Client, Credentials, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers each question by its path and query.
async fn answering(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                assert_ne!(connection.read_buf(&mut question).await.unwrap(), 0);
            }
            let question = String::from_utf8(question).unwrap();
            let (status, body) = answer(question.split_ascii_whitespace().nth(1).unwrap());
            let head = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            connection
                .write_all(format!("{head}{body}").as_bytes())
                .await
                .unwrap();
        }
    });
    Client::new(&address, &Credentials::new("marsad", "geheim"), None).unwrap()
}

#[tokio::test]
async fn every_page_of_a_list_is_read() {
    let client = answering(|asked| {
        let page = asked.split_once("page=").map_or("", |(_, page)| page);
        (
            200,
            format!(
                "{{\"itemCount\":3,\"pageCount\":3,\"items\":[{{\"name\":\"cam-{page}\",\"forward\":null}}]}}"
            ),
        )
    })
    .await;
    let names: Vec<_> = client
        .list_path_configs()
        .await
        .unwrap()
        .into_iter()
        .map(|path| path.name)
        .collect();
    assert_eq!(names, ["cam-0", "cam-1", "cam-2"]);
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_told_without_its_text() {
    let client = answering(|_| {
        (
            200,
            r#"{"pageCount":1,"items":[{"name":"a","source":{"pw":"geheim"}}]}"#.into(),
        )
    })
    .await;
    let error = client.list_path_configs().await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
    assert!(!format!("{error:?}").contains("geheim"));

    let client = answering(|_| (502, "<html>".into())).await;
    assert!(matches!(client.info().await, Err(Error::Protocol(_))));
}

#[tokio::test]
async fn silence_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(&address, &Credentials::new("marsad", "geheim"), None)
        .unwrap()
        .info()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    assert!(!error.to_string().contains("127.0.0.1:"), "{error}");
}
