//! Accepting RTSP connections.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::camera::Camera;
use crate::connection;
use crate::fleet::{ACCEPT_PAUSE, Fleet};

/// Serves connections until dropped. On a port of its own a camera is alone.
pub async fn accept(listener: TcpListener, fleet: Arc<Fleet>, own: Option<Arc<Camera>>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Frames are written whole: waiting for more would only add delay.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "TCP_NODELAY");
                }
                tokio::spawn(connection::serve(stream, fleet.clone(), own.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
