//! `/ws/updates` over a real socket.

use super::*;
use crate::cameras::testing::{apply, camera, delete};
use futures::StreamExt;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn ticket(house: &House) -> String {
    let answer = house.as_admin("POST", "/api/v1/auth/ws-ticket").await;
    let expires: Timestamp = answer.json()["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires, house.wall() + Duration::from_secs(30));
    answer.json()["ticket"].as_str().unwrap().to_owned()
}

async fn open(address: SocketAddr, ticket: &str) -> Result<Socket, Error> {
    tokio_tungstenite::connect_async(format!("ws://{address}/ws/updates?ticket={ticket}"))
        .await
        .map(|opened| opened.0)
}

async fn told(socket: &mut Socket) -> Value {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn closed_with(socket: &mut Socket) -> u16 {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => return frame.code.into(),
            Message::Ping(_) | Message::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn refused_with(result: Result<Socket, Error>) -> (u16, String) {
    let Err(Error::Http(response)) = result else {
        panic!("it was let in")
    };
    let body: Value = serde_json::from_slice(response.body().as_deref().unwrap_or_default()).unwrap();
    (
        response.status().as_u16(),
        body["code"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn a_snapshot_then_changes_as_they_come() {
    let house = House::new();
    apply(&house.cameras, camera("police", "a"));
    let address = house.listen().await;
    let mut socket = open(address, &ticket(&house).await).await.unwrap();
    let snapshot = told(&mut socket).await;
    assert_eq!(
        (snapshot["type"].as_str(), snapshot["seq"].as_u64()),
        (Some("snapshot"), Some(1))
    );
    assert_eq!(
        snapshot["cameras"][0],
        house.as_admin("GET", "/api/v1/cameras").await.json()["items"][0]
    );
    apply(&house.cameras, camera("police", "b"));
    delete(&house.cameras, camera("police", "a"));
    let (added, gone) = (told(&mut socket).await, told(&mut socket).await);
    assert_eq!(
        (
            added["type"].as_str(),
            added["seq"].as_u64(),
            added["camera"]["name"].as_str()
        ),
        (Some("camera"), Some(2), Some("b"))
    );
    assert_eq!(
        (gone["type"].as_str(), gone["seq"].as_u64()),
        (Some("camera_deleted"), Some(3))
    );
    let counted = house.metrics.encode().unwrap();
    assert!(counted.contains("marsad_api_updates_connections 1"), "{counted}");
}

#[tokio::test]
async fn a_ticket_opens_one_connection_and_only_while_it_is_young() {
    let house = House::new();
    let address = house.listen().await;
    let first = ticket(&house).await;
    // A plain GET does not use it up.
    house
        .get(&format!("/ws/updates?ticket={first}"))
        .await
        .is_problem(426, "UpgradeRequired");
    open(address, &first).await.unwrap();
    let refused = (401, "TicketInvalid".to_owned());
    assert_eq!(refused_with(open(address, &first).await), refused, "used");
    assert_eq!(refused_with(open(address, "invented").await), refused);
    assert_eq!(refused_with(open(address, "").await), refused);
    let late = ticket(&house).await;
    house.wait(30);
    assert_eq!(refused_with(open(address, &late).await), refused, "too old");
    // The token itself is no ticket.
    assert_eq!(refused_with(open(address, &house.token()).await), refused);
}

#[tokio::test]
async fn it_ends_with_the_session() {
    let house = House::new();
    let address = house.listen().await;
    let ticket = ticket(&house).await;
    // The token dies while the ticket, by its own clock, is still good.
    house.clock.lock().unwrap().wall += Duration::from_secs(3600);
    let mut socket = open(address, &ticket).await.unwrap();
    assert_eq!(closed_with(&mut socket).await, 4401);
}

#[tokio::test]
async fn at_the_stop_clients_are_told_to_come_again() {
    let house = House::new();
    let mut socket = open(house.listen().await, &ticket(&house).await).await.unwrap();
    told(&mut socket).await;
    house.stop.cancel();
    assert_eq!(closed_with(&mut socket).await, 1001);
}

#[tokio::test]
async fn before_the_cameras_are_known_nobody_is_told_that_there_are_none() {
    let house = Plan {
        listed: false,
        ..Plan::default()
    }
    .build();
    let address = house.listen().await;
    assert_eq!(
        refused_with(open(address, &ticket(&house).await).await),
        (503, "CamerasNotReady".to_owned())
    );
}
