//! One watch per kind, shared by every controller that needs it: guarded (an object that can't be decoded is
//! reported, not fatal), pruned before it is stored (managedFields and last-applied are 80 % of an object's
//! memory, research/operators.md §4.3), with deletions told to every subscriber (kube's shared stores drop them, kube 1590).

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::{broadcast, watch as flag};

/// What one slow subscriber may lag behind before it is given the whole store instead.
const BACKLOG: usize = 1024;
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What a watch needs of a kind.
pub trait Watched:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Watched for K {}

/// Something happened to an object.
#[derive(Debug)]
pub enum Change<K> {
    /// Made, changed, or listed again.
    Applied(Arc<K>),
    /// Deleted; the object as it was last seen.
    Deleted(Arc<K>),
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Applied(object) => Self::Applied(object.clone()),
            Self::Deleted(object) => Self::Deleted(object.clone()),
        }
    }
}

impl<K> Change<K> {
    /// The object, made or deleted.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Applied(object) | Self::Deleted(object) => object,
        }
    }
}

#[derive(Debug)]
enum Told<K> {
    One(Change<K>),
    Listed,
}

impl<K> Clone for Told<K> {
    fn clone(&self) -> Self {
        match self {
            Self::One(change) => Self::One(change.clone()),
            Self::Listed => Self::Listed,
        }
    }
}

/// The cache of one kind and its changes. Cheap to clone.
#[derive(Debug)]
pub struct Watch<K: Watched> {
    store: Store<K>,
    told: broadcast::Sender<Told<K>>,
    // kube's own `wait_until_ready` wakes only the last of several waiters (its oneshot keeps one waker).
    listed: flag::Receiver<bool>,
}

impl<K: Watched> Clone for Watch<K> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            told: self.told.clone(),
            listed: self.listed.clone(),
        }
    }
}

impl<K: Watched> Watch<K> {
    /// A watch and the task that feeds it; the task runs until it is dropped.
    pub fn new(
        api: Api<DeserializeGuard<K>>,
        config: watcher::Config,
    ) -> (
        Self,
        impl Future<Output = Result<(), std::convert::Infallible>> + Send,
    ) {
        Self::fed_by(watcher(api, config).default_backoff())
    }

    /// As [`Watch::new`], from any stream of watch events: tests script one.
    pub fn fed_by(
        events: impl Stream<Item = watcher::Result<watcher::Event<DeserializeGuard<K>>>> + Send + 'static,
    ) -> (
        Self,
        impl Future<Output = Result<(), std::convert::Infallible>> + Send,
    ) {
        let (store, mut writer) = reflector::store();
        let (told, _) = broadcast::channel(BACKLOG);
        let (list_done, listed) = flag::channel(false);
        let watch = Self {
            store,
            told: told.clone(),
            listed,
        };
        let task = async move {
            let mut events = pin!(events);
            while let Some(event) = events.next().await {
                let event = match event {
                    Ok(event) => event,
                    Err(error) => {
                        tracing::warn!(kind = %K::kind(&()), error = &error as &dyn std::error::Error, "watch_interrupted");
                        continue;
                    }
                };
                let Some(event) = decoded(event) else { continue };
                writer.apply_watcher_event(&event);
                if matches!(event, watcher::Event::InitDone) {
                    list_done.send_replace(true);
                }
                let message = match event {
                    watcher::Event::Apply(object) => Told::One(Change::Applied(Arc::new(object))),
                    watcher::Event::Delete(object) => Told::One(Change::Deleted(Arc::new(object))),
                    watcher::Event::InitDone => Told::Listed,
                    watcher::Event::Init | watcher::Event::InitApply(_) => continue,
                };
                // Nobody listening is no error: the store is what counts.
                let _ = told.send(message);
            }
            Ok(())
        };
        (watch, task)
    }

    /// The objects as last seen.
    pub fn store(&self) -> &Store<K> {
        &self.store
    }

    /// One object by name.
    pub fn get(&self, namespace: Option<&str>, name: &str) -> Option<Arc<K>> {
        let mut key = reflector::ObjectRef::new(name);
        if let Some(namespace) = namespace {
            key = key.within(namespace);
        }
        self.store.get(&key)
    }

    /// Resolves when the first list is complete.
    pub async fn ready(&self) {
        // An error means that the feeding task is gone; its supervisor ends the process.
        let _ = self.listed.clone().wait_for(|listed| *listed).await;
    }

    /// Whether the first list is complete. Not a poll of [`Watch::ready`]: that says no to a task which has done its share for now.
    pub fn is_ready(&self) -> bool {
        *self.listed.borrow()
    }

    /// Every object once, then every change. Whoever is too slow, and everybody after the watch had to list
    /// anew, is given the whole store again; so a change may be told twice, never not at all.
    pub fn changes(&self) -> impl Stream<Item = Change<K>> + Send + use<K> {
        let store = self.store.clone();
        let start = futures::stream::iter(applied(&store));
        let told = futures::stream::unfold(self.told.subscribe(), |mut receiver| async move {
            match receiver.recv().await {
                Ok(told) => Some((told, receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((Told::Listed, receiver)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        });
        start.chain(told.flat_map(move |told| {
            futures::stream::iter(match told {
                Told::One(change) => vec![change],
                Told::Listed => applied(&store),
            })
        }))
    }

    /// The objects of [`Watch::changes`]: what related kinds trigger on.
    pub fn touched(&self) -> impl Stream<Item = Arc<K>> + Send + use<K> {
        self.changes().map(|change| change.object().clone())
    }

    /// Objects whose spec, labels, annotations or finalizers changed, or that are being deleted: what a kind's
    /// own controller triggers on. Its own status writes pass by unseen.
    pub fn spec_changes(&self) -> impl Stream<Item = Arc<K>> + Send + use<K> {
        self.news(HashMap::new()).map(|(_, object)| object)
    }

    /// As [`Watch::spec_changes`], of what was known before: neither what is there now, nor what is made, nor what goes.
    pub fn edits(&self) -> impl Stream<Item = Arc<K>> + Send + use<K> {
        let known = self.store.state();
        let prints = known
            .iter()
            .map(|object| (identity(object.as_ref()), fingerprint(object.as_ref())));
        self.news(prints.collect())
            .filter_map(|(news, object)| std::future::ready((news == News::Edited).then_some(object)))
    }

    /// What is new to somebody who knows the fingerprints `known`, by identity.
    fn news(&self, mut known: HashMap<u64, u64>) -> impl Stream<Item = (News, Arc<K>)> + Send + use<K> {
        self.changes().filter_map(move |change| {
            let object = change.object().clone();
            let news = match change {
                Change::Deleted(_) => {
                    known.remove(&identity(object.as_ref()));
                    Some(News::Gone)
                }
                Change::Applied(_) => {
                    let print = fingerprint(object.as_ref());
                    match known.insert(identity(object.as_ref()), print) {
                        None => Some(News::Made),
                        Some(before) => (before != print).then_some(News::Edited),
                    }
                }
            };
            std::future::ready(news.map(|news| (news, object)))
        })
    }
}

/// What a change is beyond its object's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Made,
    Edited,
    Gone,
}

fn applied<K: Watched>(store: &Store<K>) -> Vec<Change<K>> {
    store.state().into_iter().map(Change::Applied).collect()
}

/// An object's uid as a hash: a table of ten thousand texts for each subscriber is a megabyte. That two of a million are taken for one
/// has a chance of one in forty million.
fn identity<K: Resource>(object: &K) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.meta().uid.hash(&mut hasher);
    hasher.finish()
}

fn fingerprint<K: Resource>(object: &K) -> u64 {
    let meta = object.meta();
    let mut hasher = DefaultHasher::new();
    meta.generation.hash(&mut hasher);
    meta.labels.hash(&mut hasher);
    meta.annotations.hash(&mut hasher);
    meta.finalizers.hash(&mut hasher);
    meta.deletion_timestamp
        .as_ref()
        .map(|time| time.0.as_second())
        .hash(&mut hasher);
    // Kinds without a generation (Secrets) change by resourceVersion.
    if meta.generation.is_none() {
        meta.resource_version.hash(&mut hasher);
    }
    hasher.finish()
}

fn decoded<K: Watched>(event: watcher::Event<DeserializeGuard<K>>) -> Option<watcher::Event<K>> {
    use watcher::Event;
    Some(match event {
        Event::Apply(guard) => Event::Apply(readable(guard)?),
        Event::Delete(guard) => Event::Delete(readable(guard)?),
        Event::InitApply(guard) => Event::InitApply(readable(guard)?),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    })
}

fn readable<K: Watched>(guard: DeserializeGuard<K>) -> Option<K> {
    match guard.0 {
        Ok(mut object) => {
            object.managed_fields_mut().clear();
            object.annotations_mut().remove(LAST_APPLIED);
            Some(object)
        }
        Err(invalid) => {
            tracing::error!(
                kind = %K::kind(&()),
                namespace = invalid.metadata.namespace.as_deref().unwrap_or_default(),
                name = invalid.metadata.name.as_deref().unwrap_or_default(),
                error = %invalid.error,
                "object_unreadable"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::channel::mpsc;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::{DeserializeGuard, error_boundary::InvalidObject};
    use watcher::Event;

    fn object(name: &str, generation: i64) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.into());
        map.metadata.namespace = Some("police".into());
        map.metadata.uid = Some(format!("uid-{name}"));
        map.metadata.generation = Some(generation);
        map.metadata.managed_fields = Some(vec![Default::default()]);
        map
    }

    type Sender = mpsc::UnboundedSender<watcher::Result<Event<DeserializeGuard<ConfigMap>>>>;

    fn scripted() -> (Sender, Watch<ConfigMap>) {
        let (sender, receiver) = mpsc::unbounded();
        let (watch, task) = Watch::fed_by(receiver);
        tokio::spawn(task);
        (sender, watch)
    }

    fn listed(sender: &Sender, objects: &[ConfigMap]) {
        sender.unbounded_send(Ok(Event::Init)).unwrap();
        for object in objects {
            sender
                .unbounded_send(Ok(Event::InitApply(DeserializeGuard(Ok(object.clone())))))
                .unwrap();
        }
        sender.unbounded_send(Ok(Event::InitDone)).unwrap();
    }

    #[tokio::test]
    async fn managed_fields_are_pruned_and_unreadable_objects_skipped() {
        let (sender, watch) = scripted();
        let invalid = InvalidObject {
            error: "bad".into(),
            metadata: Default::default(),
        };
        sender
            .unbounded_send(Ok(Event::Apply(DeserializeGuard(Err(invalid)))))
            .unwrap();
        listed(&sender, &[object("a", 1)]);
        watch.ready().await;
        let seen = watch.get(Some("police"), "a").unwrap();
        assert!(seen.metadata.managed_fields.as_ref().is_none_or(Vec::is_empty));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_list_wakes_all_who_wait_for_it() {
        let (sender, watch) = scripted();
        let waiting = futures::future::join_all((0..5).map(|_| {
            let watch = watch.clone();
            tokio::spawn(async move { watch.ready().await })
        }));
        tokio::task::yield_now().await;
        listed(&sender, &[]);
        let woken = tokio::time::timeout(std::time::Duration::from_secs(1), waiting).await;
        assert!(woken.is_ok(), "kube's own store wakes only the last");
    }

    #[tokio::test]
    async fn deletions_reach_every_subscriber() {
        let (sender, watch) = scripted();
        let (mut one, mut two) = (pin!(watch.changes()), pin!(watch.changes()));
        sender
            .unbounded_send(Ok(Event::Delete(DeserializeGuard(Ok(object("a", 1))))))
            .unwrap();
        assert!(matches!(one.next().await, Some(Change::Deleted(_))));
        assert!(matches!(two.next().await, Some(Change::Deleted(_))));
    }

    #[tokio::test]
    async fn status_writes_are_not_spec_changes() {
        let (sender, watch) = scripted();
        let mut changes = pin!(watch.spec_changes());
        for generation in [1, 1, 1, 2] {
            sender
                .unbounded_send(Ok(Event::Apply(DeserializeGuard(Ok(object("a", generation))))))
                .unwrap();
        }
        assert_eq!(changes.next().await.unwrap().metadata.generation, Some(1));
        assert_eq!(changes.next().await.unwrap().metadata.generation, Some(2));
    }

    // Paused time: a stream with nothing more to say reaches the timeout at once.
    #[tokio::test(start_paused = true)]
    async fn who_lags_is_given_everything_again() {
        let (sender, watch) = scripted();
        let mut changes = pin!(watch.changes());
        listed(&sender, &[object("a", 1), object("b", 1)]);
        for generation in 0..3000 {
            sender
                .unbounded_send(Ok(Event::Apply(DeserializeGuard(Ok(object("a", generation))))))
                .unwrap();
        }
        let mut newest = None;
        let mut names = std::collections::BTreeSet::new();
        while let Ok(Some(change)) =
            tokio::time::timeout(std::time::Duration::from_secs(1), changes.next()).await
        {
            newest = newest.max(change.object().metadata.generation);
            names.insert(change.object().name_any());
        }
        assert_eq!(newest, Some(2999));
        assert!(
            names.contains("b"),
            "the store was told again after the lag: {names:?}"
        );
    }
}
