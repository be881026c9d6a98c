//! The REST API as a tool uses it.

use anyhow::{Context as _, Result};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// A client with or without a token.
pub struct ApiClient {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl ApiClient {
    /// Nobody.
    pub fn anonymous(cluster: &Cluster) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: cluster.url.clone(),
            token: None,
        }
    }

    /// The cluster's user, by `POST /api/v1/auth/login`.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn sign_in(cluster: &Cluster) -> Result<Self> {
        let mut client = Self::anonymous(cluster);
        let body = json!({"username": cluster.user, "password": cluster.password});
        let answer = client
            .send(Method::POST, "/api/v1/auth/login", Some(body))
            .await?
            .error_for_status()?;
        let answer: Value = answer.json().await?;
        client.token = Some(
            answer
                .get("token")
                .and_then(Value::as_str)
                .context("token")?
                .to_owned(),
        );
        Ok(client)
    }

    /// Sends a request and returns what comes, whatever its status.
    ///
    /// # Errors
    /// When nothing comes.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Ok(request.send().await?)
    }
}
