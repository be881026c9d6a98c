//! Waiting for a state, with a deadline that says what was seen last. Nothing here sleeps for a fixed time.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kube::Api;
use kube::runtime::wait::await_condition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often something without a watch is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Watches the object until `condition` holds and returns it.
///
/// # Errors
/// After `within`, with the object as it then is.
pub async fn object<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    within: Duration,
    condition: impl Fn(&K) -> bool + Send,
) -> Result<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + Send + Serialize + DeserializeOwned + 'static,
{
    let holds = |object: Option<&K>| object.is_some_and(&condition);
    match timeout(within, await_condition(api.clone(), name, holds)).await {
        Ok(found) => found?.with_context(|| format!("{name} went away while waiting: {what}")),
        Err(_) => {
            let last = match api.get_opt(name).await {
                Ok(Some(mut object)) => {
                    object.meta_mut().managed_fields = None;
                    serde_saphyr::to_string(&object)?
                }
                Ok(None) => "it does not exist".to_owned(),
                Err(error) => error.to_string(),
            };
            bail!("{name}: not within {within:?}: {what}\n{last}");
        }
    }
}

/// Watches until the object is gone.
///
/// # Errors
/// After `within`, with what holds it.
pub async fn gone<K>(api: &Api<K>, name: &str, within: Duration) -> Result<()>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + Send + Serialize + DeserializeOwned + 'static,
{
    let absent = |object: Option<&K>| object.is_none();
    if timeout(within, await_condition(api.clone(), name, absent))
        .await
        .is_ok()
    {
        return Ok(());
    }
    match api.get_opt(name).await? {
        None => Ok(()),
        Some(object) => bail!(
            "{name} is still there after {within:?}:\n{}",
            serde_saphyr::to_string(&object)?
        ),
    }
}

/// Looks until there is an answer and returns it.
///
/// # Errors
/// After `within`, with the last reason why not.
pub async fn answer<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + within;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match look().await {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() >= end => {
                return Err(error.context(format!("not within {within:?}: {what}")));
            }
            Err(_) => {}
        }
    }
}
