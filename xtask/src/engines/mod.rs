//! The programs that Marsad drives, built from their Go modules at fixed versions and cached.

mod build;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::checkout::{Checkout, Lock};
use crate::progress::Step;

/// A cold build of Kubernetes takes five minutes on two idle cores (testbed.md §4).
pub(crate) const BUILD: Duration = Duration::from_secs(45 * 60);

/// How an engine is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recipe {
    /// `go build` in the module under `xtask/engines/kubernetes`, whose go.mod and go.sum fix every version.
    Kubernetes,
    /// `go install PACKAGE@VERSION`.
    GoInstall {
        package: &'static str,
        /// What `go install` calls the binary.
        installed: &'static str,
        /// Build tags, with commas between.
        tags: &'static str,
    },
    /// The module lacks two embedded files (testbed.md §4).
    MediaMtx,
}

/// An engine at one version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Engine {
    /// Its name in the cache.
    pub(crate) name: &'static str,
    /// The version, as its module names it.
    pub(crate) version: &'static str,
    /// The binaries it gives.
    binaries: &'static [&'static str],
    recipe: Recipe,
}

/// API server, controller-manager, scheduler, kubelet, kube-proxy, kubectl.
pub(crate) const KUBERNETES: Engine = Engine {
    name: "kubernetes",
    version: "v1.36.3",
    binaries: &[
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "kubectl",
    ],
    recipe: Recipe::Kubernetes,
};

/// Cluster DNS.
pub(crate) const COREDNS: Engine = Engine {
    name: "coredns",
    version: "v1.15.0",
    binaries: &["coredns"],
    recipe: Recipe::GoInstall {
        package: "github.com/coredns/coredns",
        installed: "coredns",
        tags: "",
    },
};

/// Ingest.
pub(crate) const MEDIAMTX: Engine = Engine {
    name: "mediamtx",
    version: "v1.20.1",
    binaries: &["mediamtx"],
    recipe: Recipe::MediaMtx,
};

/// Rooms. Later versions replace modules by forks, which `go install` cannot (testbed.md §4).
pub(crate) const LIVEKIT: Engine = Engine {
    name: "livekit",
    version: "v1.13.5",
    binaries: &["livekit-server"],
    recipe: Recipe::GoInstall {
        package: "github.com/livekit/livekit-server/cmd/server",
        installed: "server",
        tags: "",
    },
};

/// Installs the chart.
pub(crate) const HELM: Engine = Engine {
    name: "helm",
    version: "v4.3.1",
    binaries: &["helm"],
    recipe: Recipe::GoInstall {
        package: "helm.sh/helm/v4/cmd/helm",
        installed: "helm",
        tags: "",
    },
};

/// Volumes of the local node. No later version is to be had as a Go module.
pub(crate) const LOCAL_PATH: Engine = Engine {
    name: "local-path-provisioner",
    version: "v0.0.30",
    binaries: &["local-path-provisioner"],
    recipe: Recipe::GoInstall {
        package: "github.com/rancher/local-path-provisioner",
        installed: "local-path-provisioner",
        tags: "",
    },
};

/// Checks rendered manifests.
pub(crate) const KUBECONFORM: Engine = Engine {
    name: "kubeconform",
    version: "v0.8.0",
    binaries: &["kubeconform"],
    recipe: Recipe::GoInstall {
        package: "github.com/yannh/kubeconform/cmd/kubeconform",
        installed: "kubeconform",
        tags: "",
    },
};

/// Tests the chart's alerts, in the tier `soak` only. Built without the clients of all the clouds in which Prometheus (this is 3.16)
/// could look for targets.
pub(crate) const PROMTOOL: Engine = Engine {
    name: "promtool",
    version: "v0.316.0",
    binaries: &["promtool"],
    recipe: Recipe::GoInstall {
        package: "github.com/prometheus/prometheus/cmd/promtool",
        installed: "promtool",
        tags: "remove_all_sd",
    },
};

/// Those that `up`, images and the tiers of every run need, those that `up` needs first in front.
pub(crate) const ALL: [Engine; 7] = [
    KUBERNETES,
    COREDNS,
    MEDIAMTX,
    LIVEKIT,
    HELM,
    LOCAL_PATH,
    KUBECONFORM,
];

impl Engine {
    /// Its folder in the cache; there only when the build is whole.
    pub(crate) fn dir(&self, cache: &Path) -> PathBuf {
        cache
            .join("engines")
            .join(format!("{}-{}", self.name, self.version))
    }

    /// The path of one of its binaries, which [`ensure`] has built.
    pub(crate) fn binary(&self, cache: &Path, name: &str) -> PathBuf {
        self.dir(cache).join(name)
    }

    /// Where it is built: always the same place, so that an interrupted build goes on where it was.
    fn workshop(&self, cache: &Path) -> PathBuf {
        cache
            .join("engines")
            .join(format!(".{}-{}.building", self.name, self.version))
    }
}

/// Builds what is missing of `engines`.
pub(crate) fn ensure(checkout: &Checkout, engines: &[Engine]) -> Result<()> {
    let cache = &checkout.cache;
    let missing: Vec<&Engine> = engines
        .iter()
        .filter(|engine| !engine.dir(cache).is_dir())
        .collect();
    for (number, engine) in missing.iter().enumerate() {
        let title = format!(
            "engine {}/{}: {} {}",
            number + 1,
            missing.len(),
            engine.name,
            engine.version
        );
        let step = Step::start(title);
        let lock = cache
            .join("engines")
            .join(format!(".{}-{}.lock", engine.name, engine.version));
        let _lock = Lock::wait(&lock, || step.at("another checkout is building it"))?;
        // It may have been built while we waited.
        if !engine.dir(cache).is_dir() {
            make(checkout, engine)
                .with_context(|| format!("{} {} cannot be built", engine.name, engine.version))?;
        }
        step.done();
    }
    Ok(())
}

/// Builds our own `tools/kstatus` into `folder` and returns its path. It has no version to be cached by, as engines have:
/// Go's cache knows what has changed, and says so in a second.
pub(crate) fn kstatus(checkout: &Checkout, folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let step = Step::start("tool: kstatus");
    let program = folder.join("kstatus");
    let log = checkout.root.join("target/kstatus.log");
    build::go_module(&checkout.root.join("tools/kstatus"), &program, &log)
        .context("tools/kstatus cannot be built")?;
    step.done();
    Ok(program)
}

fn make(checkout: &Checkout, engine: &Engine) -> Result<()> {
    let workshop = engine.workshop(&checkout.cache);
    let out = workshop.join("out");
    fs::create_dir_all(&out)?;
    let log = workshop.join("build.log");
    match engine.recipe {
        Recipe::Kubernetes => build::kubernetes(checkout, engine.version, &out, &log)?,
        Recipe::GoInstall {
            package,
            installed,
            tags,
        } => {
            build::go_install(package, engine.version, tags, &out, &log)?;
            if let [name] = engine.binaries
                && *name != installed
            {
                fs::rename(out.join(installed), out.join(name))?;
            }
        }
        Recipe::MediaMtx => build::mediamtx(engine.version, &workshop, &out, &log)?,
    }
    for binary in engine.binaries {
        let file = out.join(binary);
        fs::metadata(&file).with_context(|| format!("the build made no {}", file.display()))?;
    }
    fs::rename(&out, engine.dir(&checkout.cache))?;
    fs::remove_dir_all(&workshop).context("the workshop cannot be removed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_is_the_version_that_its_module_requires() {
        let module = include_str!("../../engines/kubernetes/go.mod");
        assert!(module.contains(&format!("k8s.io/kubernetes {}", KUBERNETES.version)));
        let staging = KUBERNETES.version.replace("v1.", "v0.");
        let replaced = module
            .lines()
            .filter(|line| line.trim_start().starts_with("replace"));
        for line in replaced {
            assert!(line.ends_with(&staging), "{line}");
        }
    }

    #[test]
    fn a_half_built_engine_is_not_taken_for_a_whole_one() {
        let cache = Path::new("/cache");
        for engine in ALL {
            assert_ne!(engine.dir(cache), engine.workshop(cache));
            assert!(
                engine
                    .dir(cache)
                    .ends_with(format!("{}-{}", engine.name, engine.version))
            );
        }
    }
}
