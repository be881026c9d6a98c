//! The calls.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::state::{Page, RawForward, RawPath};
use crate::transport::Transport;
use crate::{
    Credentials, Error, Forward, ForwardEntry, Info, PathConf, PathConfig, PathPatch, PathState, Trust,
};

/// A thousand paths of 2.7 kB in one answer took 89 ms (research/whip-lab.md §5); a shard has some hundreds.
const PAGE: &str = "2000";

/// A MediaMTX's control API. Cheap to clone; clones share connections. `Debug` shows no password.
#[derive(Clone)]
pub struct Client {
    base: Url,
    /// Name and password, as the header has them.
    authorization: HeaderValue,
    transport: Transport,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the API at `base`, such as `https://10.0.0.7:9997`, which must show a certificate that `trust` vouches for; over
    /// plain HTTP there is none to be shown. Connects with the first call.
    ///
    /// # Errors
    /// [`Error::Protocol`] when `base` is no URL, or `trust` no certificates.
    pub fn new(base: &str, credentials: &Credentials, trust: Option<&Trust>) -> Result<Self, Error> {
        let base =
            Url::parse(base).map_err(|error| Error::Protocol(format!("the address is no URL: {error}")))?;
        if base.cannot_be_a_base() || !base.username().is_empty() || base.password().is_some() {
            return Err(Error::Protocol(
                "the address must be https://host:port".to_owned(),
            ));
        }
        let authorization = credentials
            .basic()
            .map_err(|error| Error::Protocol(error.to_string()))?;
        Ok(Self {
            base,
            authorization,
            transport: Transport::new(trust)?,
        })
    }

    /// Version and start of the process.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn info(&self) -> Result<Info, Error> {
        let info: Info = self.get("v3/info").await?;
        // Built from the file VERSION, whose line may end.
        Ok(Info {
            version: info.version.trim().to_owned(),
            ..info
        })
    }

    /// The configuration of all paths, sorted by name. Holds secrets.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn list_path_configs(&self) -> Result<Vec<PathConfig>, Error> {
        self.all("v3/config/paths/list", &[]).await
    }

    /// The configuration of one path; `None` when there is no such path. Holds secrets.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn get_path_config(&self, name: &str) -> Result<Option<PathConfig>, Error> {
        match self.get(&format!("v3/config/paths/get/{name}")).await {
            Err(Error::NotFound) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Makes a path. It is in [`Client::list_paths`] soon after, not at once.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], or as said there.
    pub async fn add_path(&self, name: &str, conf: &PathConf) -> Result<(), Error> {
        self.write(Method::POST, &format!("v3/config/paths/add/{name}"), Some(conf))
            .await
    }

    /// Changes the given fields of a path.
    ///
    /// # Errors
    /// [`Error::NotFound`], or as said there.
    pub async fn patch_path(&self, name: &str, patch: &PathPatch) -> Result<(), Error> {
        self.write(
            Method::PATCH,
            &format!("v3/config/paths/patch/{name}"),
            Some(patch),
        )
        .await
    }

    /// Says where a path is forwarded to, and changes nothing else: the source and entries that stay go on undisturbed
    /// (research/whip-lab.md §2d). An empty list ends all forwards.
    ///
    /// # Errors
    /// [`Error::NotFound`], or as said there.
    pub async fn patch_forward(&self, name: &str, forward: Vec<ForwardEntry>) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Body {
            forward: Vec<ForwardEntry>,
        }
        self.write(
            Method::PATCH,
            &format!("v3/config/paths/patch/{name}"),
            Some(&Body { forward }),
        )
        .await
    }

    /// Removes a path; one that is not there is no error.
    ///
    /// # Errors
    /// When MediaMTX is away.
    pub async fn delete_path(&self, name: &str) -> Result<(), Error> {
        match self
            .write::<()>(Method::DELETE, &format!("v3/config/paths/delete/{name}"), None)
            .await
        {
            Err(Error::NotFound) => Ok(()),
            answer => answer,
        }
    }

    /// The state of all paths, sorted by name.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn list_paths(&self) -> Result<Vec<PathState>, Error> {
        let paths: Vec<RawPath> = self.all("v3/paths/list", &[]).await?;
        Ok(paths.into_iter().map(PathState::from).collect())
    }

    /// The state of one path; `None` when there is no such path.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn get_path(&self, name: &str) -> Result<Option<PathState>, Error> {
        match self.get::<RawPath>(&format!("v3/paths/get/{name}")).await {
            Err(Error::NotFound) => Ok(None),
            answer => answer.map(|path| Some(PathState::from(path))),
        }
    }

    /// What the forwards of `path` are doing; their tokens are left out.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such path.
    pub async fn list_forwards(&self, path: &str) -> Result<Vec<Forward>, Error> {
        let forwards: Vec<RawForward> = self.all("v3/paths/forward/list", &[("path", path)]).await?;
        Ok(forwards.into_iter().map(Forward::from).collect())
    }

    /// Every page of a list. A path that comes or goes between two pages may be seen twice or not at all: callers poll.
    pub(crate) async fn all<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        for page in 0.. {
            let number = page.to_string();
            let query: Vec<_> = query
                .iter()
                .copied()
                .chain([("itemsPerPage", PAGE), ("page", number.as_str())])
                .collect();
            let request = self.request(Method::GET, path, &query, Bytes::new())?;
            let Page { page_count, items } = self.read(request).await?;
            all.extend::<Vec<T>>(items);
            if page + 1 >= page_count {
                break;
            }
        }
        Ok(all)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.read(self.request(Method::GET, path, &[], Bytes::new())?)
            .await
    }

    async fn read<T: DeserializeOwned>(&self, request: Request<Bytes>) -> Result<T, Error> {
        let body = self.send(request).await?;
        serde_json::from_slice(&body).map_err(|error| {
            // serde_json repeats the value that does not fit, which may be a secret: only where and what kind.
            Error::Protocol(format!(
                "{:?} error at line {} column {}",
                error.classify(),
                error.line(),
                error.column()
            ))
        })
    }

    async fn write<T: Serialize>(&self, method: Method, path: &str, body: Option<&T>) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Answer {
            status: String,
        }
        let body = match body {
            Some(body) => serde_json::to_vec(body)
                .map_err(|error| Error::Protocol(format!("what is to be written is no JSON: {error}")))?
                .into(),
            None => Bytes::new(),
        };
        let request = self.request(method, path, &[], body)?;
        let answer = self.send(request).await?;
        match serde_json::from_slice::<Answer>(&answer) {
            Ok(answer) if answer.status == "ok" => Ok(()),
            _ => Err(Error::Protocol("a write was not answered with ok".to_owned())),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Request<Bytes>, Error> {
        let mut url = self.base.clone();
        // Not `join`: a name with a colon or `..` would lead elsewhere.
        url.set_path(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| Error::Protocol(error.to_string()))
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Bytes, Error> {
        let (status, body) = self.transport.send(request).await?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(Error::answer(status.as_u16(), &body))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password() {
        let client = Client::new(
            "http://10.0.0.7:9997",
            &Credentials::new("marsad", "geheim"),
            None,
        )
        .unwrap();
        let shown = format!("{client:?}");
        assert!(shown.contains("10.0.0.7") && !shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn an_address_with_credentials_is_refused() {
        for bad in ["http://a:b@10.0.0.7", "mailto:x", "not a url"] {
            let error = Client::new(bad, &Credentials::new("", ""), None).unwrap_err();
            assert!(matches!(error, Error::Protocol(_)), "{bad}");
        }
    }
}
