//! A definition that a test changes and puts back, as it was or as the product has it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::api::PostParams;
use kube::core::CustomResourceExt;
use kube::{Api, Client, ResourceExt as _};
use marsad_crds::CustomResourceDefinition;

use crate::wait;

const WITHIN: Duration = Duration::from_secs(30);

/// A definition in the cluster, as it was found.
pub struct Definition {
    api: Api<CustomResourceDefinition>,
    found: CustomResourceDefinition,
}

impl Definition {
    /// That of `K`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn of<K: CustomResourceExt>(client: &Client) -> Result<Self> {
        let api: Api<CustomResourceDefinition> = Api::all(client.clone());
        let found = api.get(K::crd_name()).await?;
        Ok(Self { api, found })
    }

    /// Changes it. Whoever does must [`Definition::restore`] it, however the test goes on.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn with(self, change: impl Fn(&mut CustomResourceDefinition) -> Result<()>) -> Result<Self> {
        let mut changed = self.found.clone();
        change(&mut changed)?;
        self.put(&changed).await?;
        Ok(self)
    }

    /// Puts it back.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn restore(self) -> Result<()> {
        self.put(&self.found).await
    }

    /// Others write its status meanwhile.
    async fn put(&self, wanted: &CustomResourceDefinition) -> Result<()> {
        let name = self.found.name_any();
        wait::answer("the definition is changed", WITHIN, async || {
            let mut next = self.api.get(&name).await?;
            next.spec = wanted.spec.clone();
            self.api.replace(&name, &PostParams::default(), &next).await?;
            Ok(())
        })
        .await
        .with_context(|| format!("definition {name}"))
    }
}
