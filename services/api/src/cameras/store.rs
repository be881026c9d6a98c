//! The watched cache: views only, since an object is ten times the size of what a page is shown of it. Fed by a
//! guarded watch over all namespaces; told on to every `/ws/updates`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use axum::http::HeaderValue;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::{Stream, StreamExt};
use kube::core::{DeserializeGuard, ObjectMeta};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_api};
use kube::{Api, Client};
use marsad_crds::Camera;
use tokio::sync::{broadcast, watch};

use super::view::{CameraView, view};
use crate::page::etag;

/// Changes that a connection may lag behind before it is given a snapshot instead: a second of a busy site.
pub(crate) const BACKLOG: usize = 512;

type Key = (String, String);
type Guarded = DeserializeGuard<Camera>;

/// A camera's view, and the same as JSON: written once, sent to everybody.
#[derive(Debug)]
pub(crate) struct Entry {
    view: CameraView,
    pub(crate) json: Box<str>,
}

/// What changed.
#[derive(Debug, Clone)]
pub(crate) enum Update {
    /// A view is new or different.
    Changed(Arc<Entry>),
    /// The camera with this id is gone.
    Deleted(String),
}

/// The answer of the list, made once a change.
#[derive(Debug)]
pub(crate) struct Listing {
    version: u64,
    pub(crate) json: Bytes,
    pub(crate) etag: HeaderValue,
    gzip: OnceLock<Option<Bytes>>,
}

impl Listing {
    /// The same bytes, compressed; `None` should that fail.
    pub(crate) fn gzip(&self) -> Option<Bytes> {
        let compress = || {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(4));
            encoder
                .write_all(&self.json)
                .and_then(|()| encoder.finish())
                .map(Bytes::from)
                .ok()
        };
        self.gzip.get_or_init(compress).clone()
    }
}

#[derive(Debug, Default)]
struct Known {
    entries: BTreeMap<Key, Arc<Entry>>,
    version: u64,
    /// Seen since the list that is under way began.
    relisted: Option<BTreeSet<Key>>,
}

#[derive(Debug)]
struct Shared {
    known: RwLock<Known>,
    told: broadcast::Sender<Update>,
    ready: watch::Sender<bool>,
    listing: Mutex<Option<Arc<Listing>>>,
}

/// All cameras of the cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cameras(Arc<Shared>);

impl Default for Cameras {
    fn default() -> Self {
        Self(Arc::new(Shared {
            known: RwLock::default(),
            told: broadcast::Sender::new(BACKLOG),
            ready: watch::Sender::new(false),
            listing: Mutex::default(),
        }))
    }
}

impl Cameras {
    /// The cache, and the task that feeds it from the API server; the task ends never.
    pub fn watched(client: Client) -> (Self, impl Future<Output = ()> + Send) {
        let api: Api<Guarded> = Api::all(client);
        let events = watch_api(api, watcher::Config::default()).default_backoff();
        let cameras = Self::default();
        (cameras.clone(), cameras.fed_by(events))
    }

    async fn fed_by(self, events: impl Stream<Item = watcher::Result<Event<Guarded>>> + Send) {
        let mut events = pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.apply(event),
                Err(error) => {
                    tracing::warn!(
                        kind = "Camera",
                        error = &error as &dyn std::error::Error,
                        "watch_interrupted"
                    );
                }
            }
        }
    }

    /// Takes in one event of the watch.
    pub(crate) fn apply(&self, event: Event<Guarded>) {
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => known.relisted = Some(BTreeSet::new()),
            Event::InitApply(Guarded { 0: object }) => {
                let key = match &object {
                    Ok(camera) => key(&camera.metadata),
                    Err(invalid) => key(&invalid.metadata),
                };
                // An object that can't be read is there all the same: what was known of it stays.
                known.relisted.get_or_insert_default().insert(key);
                self.take(&mut known, object);
            }
            Event::InitDone => {
                let seen = known.relisted.take().unwrap_or_default();
                let gone: Vec<Key> = known
                    .entries
                    .keys()
                    .filter(|key| !seen.contains(key))
                    .cloned()
                    .collect();
                for key in gone {
                    self.forget(&mut known, &key);
                }
                self.0
                    .ready
                    .send_if_modified(|ready| !std::mem::replace(ready, true));
            }
            Event::Apply(Guarded { 0: object }) => self.take(&mut known, object),
            Event::Delete(Guarded { 0: object }) => {
                let key = match &object {
                    Ok(camera) => key(&camera.metadata),
                    Err(invalid) => key(&invalid.metadata),
                };
                self.forget(&mut known, &key);
            }
        }
    }

    fn take(&self, known: &mut Known, object: Result<Camera, kube::core::error_boundary::InvalidObject>) {
        let camera = match object {
            Ok(camera) => camera,
            Err(invalid) => {
                let (namespace, name) = key(&invalid.metadata);
                tracing::error!(kind = "Camera", namespace, name, error = %invalid.error, "object_unreadable");
                return;
            }
        };
        let key = key(&camera.metadata);
        let view = view(&camera);
        if known.entries.get(&key).is_some_and(|entry| entry.view == view) {
            return;
        }
        let json = match serde_json::to_string(&view) {
            Ok(json) => json.into_boxed_str(),
            Err(error) => {
                tracing::error!(namespace = key.0, name = key.1, %error, "camera_not_shown");
                return;
            }
        };
        let entry = Arc::new(Entry { view, json });
        known.entries.insert(key, entry.clone());
        self.tell(known, Update::Changed(entry));
    }

    fn forget(&self, known: &mut Known, key: &Key) {
        if let Some(entry) = known.entries.remove(key) {
            self.tell(known, Update::Deleted(entry.view.id.clone()));
        }
    }

    fn tell(&self, known: &mut Known, update: Update) {
        known.version = known.version.wrapping_add(1);
        // Nobody listening is no error.
        let _ = self.0.told.send(update);
    }

    /// Resolves when the first list is complete.
    pub async fn ready(&self) {
        // The sender is ours, so it can't be gone.
        let _ = self.0.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Whether the first list is complete.
    pub(crate) fn is_ready(&self) -> bool {
        *self.0.ready.borrow()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .entries
            .len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All cameras by namespace and name, and every change after that moment.
    pub(crate) fn subscribe(&self) -> (Vec<Arc<Entry>>, broadcast::Receiver<Update>) {
        // Changes are told under the write lock, so none falls between the two.
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        (known.entries.values().cloned().collect(), self.0.told.subscribe())
    }

    /// The list as it is sent.
    pub(crate) fn listing(&self) -> Arc<Listing> {
        let mut kept = self.0.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = kept.as_ref().filter(|listing| listing.version == known.version) {
            return listing.clone();
        }
        let items: Vec<&str> = known.entries.values().map(|entry| entry.json.as_ref()).collect();
        let json = format!(r#"{{"items":[{}],"count":{}}}"#, items.join(","), items.len());
        let listing = Arc::new(Listing {
            version: known.version,
            etag: etag(json.as_bytes()),
            json: json.into(),
            gzip: OnceLock::new(),
        });
        *kept = Some(listing.clone());
        listing
    }
}

fn key(meta: &ObjectMeta) -> Key {
    (
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::testing::{apply, camera, delete, listed};
    use kube::core::error_boundary::InvalidObject;

    fn names(cameras: &Cameras) -> Vec<String> {
        cameras
            .subscribe()
            .0
            .iter()
            .map(|entry| entry.view.name.clone())
            .collect()
    }

    fn unreadable(name: &str) -> Guarded {
        let metadata = ObjectMeta {
            namespace: Some("police".into()),
            name: Some(name.into()),
            ..ObjectMeta::default()
        };
        DeserializeGuard(Err(InvalidObject {
            error: "planted".into(),
            metadata,
        }))
    }

    #[tokio::test]
    async fn it_is_ready_after_the_first_list_and_sorted() {
        let cameras = Cameras::default();
        cameras.apply(Event::Init);
        cameras.apply(Event::InitApply(DeserializeGuard(Ok(camera("police", "b")))));
        assert!(!cameras.is_ready());
        cameras.apply(Event::InitApply(DeserializeGuard(Ok(camera("metro", "c")))));
        cameras.apply(Event::InitDone);
        cameras.ready().await;
        apply(&cameras, camera("police", "a"));
        assert_eq!(names(&cameras), ["c", "a", "b"]);
    }

    #[test]
    fn what_went_while_nobody_watched_is_told_after_the_next_list() {
        let cameras = Cameras::default();
        listed(&cameras, &[camera("police", "a"), camera("police", "b")]);
        let (_, mut told) = cameras.subscribe();
        listed(&cameras, &[camera("police", "b")]);
        assert!(
            matches!(told.try_recv(), Ok(Update::Deleted(id)) if id == marsad_crds::camera_id("police", "a").to_string())
        );
        assert!(told.try_recv().is_err(), "what stayed as it was is not told");
        delete(&cameras, camera("police", "b"));
        assert!(cameras.is_empty());
    }

    #[test]
    fn an_unreadable_object_spoils_nothing_and_keeps_what_was_known() {
        let cameras = Cameras::default();
        listed(&cameras, &[camera("police", "a"), camera("police", "b")]);
        cameras.apply(Event::Apply(unreadable("a")));
        cameras.apply(Event::Init);
        cameras.apply(Event::InitApply(unreadable("a")));
        cameras.apply(Event::InitDone);
        assert_eq!(names(&cameras), ["a"]);
        cameras.apply(Event::Delete(unreadable("a")));
        assert!(cameras.is_empty());
    }

    #[test]
    fn the_listing_is_made_once_a_change() {
        let cameras = Cameras::default();
        listed(&cameras, &[camera("police", "a")]);
        let first = cameras.listing();
        assert!(Arc::ptr_eq(&first, &cameras.listing()));
        let mut same = camera("police", "a");
        same.metadata.resource_version = Some("9".into());
        apply(&cameras, same);
        assert!(
            Arc::ptr_eq(&first, &cameras.listing()),
            "a change that no page sees is none"
        );
        let mut changed = camera("police", "a");
        changed.spec.suspend = true;
        apply(&cameras, changed);
        assert_ne!(first.etag, cameras.listing().etag);
        // Back to what it was: the tag is of the content, so replicas agree on it.
        apply(&cameras, camera("police", "a"));
        assert_eq!(first.etag, cameras.listing().etag);
    }
}
