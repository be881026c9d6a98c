//! Looks at pictures and asks silent cameras, beside the reconcile: a probe takes seconds, a reconcile must not.
//! Each camera has at most one probe running; what it finds is kept here and wakes the camera.
//! The picture is read from MediaMTX, once each time the path becomes available; the camera itself is asked only when it is down,
//! at most twice a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;
use marsad_crds::{Camera, Reason};
use marsad_rtsp::Failure;
use tokio::sync::{Semaphore, mpsc};

/// Pause between two questions to a camera that stays down: two connections a minute.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// A path that was just made is given this long before the camera is asked besides.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
/// Pause before a picture that could not be read is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Longest look at a picture: two groups of pictures of 4 s, and one to find the first key frame.
const LOOK: Duration = Duration::from_secs(12);
/// A look at a picture whose key frames are further apart than this is over: the rest does not matter.
const ASK: Duration = Duration::from_secs(4);
/// Probes running at one time in the whole process.
const PROBES: usize = 32;

/// What is known of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Inspected {
    /// Nothing yet.
    #[default]
    NotYet,
    /// It was read.
    Seen(Picture),
    /// It could not be read.
    Failed(String),
}

/// What matters of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Picture {
    /// It has B-frames.
    pub b_frames: bool,
    /// Time between key frames, when two were seen.
    pub gop: Option<Duration>,
}

/// What a camera answered when it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Diagnosis {
    /// It was not asked yet.
    #[default]
    NotYet,
    /// It answers as it should.
    Fine,
    /// Why it is down, for people.
    Failed(Reason, String),
}

/// What is known of the certificate of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// Nothing yet.
    NotYet,
    /// Somebody who is trusted vouches for it; its SHA-256 in hexadecimal.
    Verified(String),
    /// Nobody does, or there is none.
    Refused,
}

/// What an inspection is good for: the path's present run on its shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// Shard.
    pub shard: String,
    /// Since when the path is available.
    pub since: Option<Box<str>>,
}

/// One of these for each camera: what few of them have is in a box.
#[derive(Debug, Default)]
struct Known {
    look: Option<Box<Look>>,
    diagnosis: Diagnosis,
    asked_url: u64,
    asked_at: Option<Instant>,
    down_since: Option<Instant>,
    certificate: Option<Box<Vouched>>,
    running: bool,
}

/// A look at the picture of a run, over or not.
#[derive(Debug)]
struct Look {
    run: Run,
    inspected: Inspected,
    at: Option<Instant>,
}

impl Look {
    /// One that has not begun.
    const fn at(run: Run) -> Self {
        Self {
            run,
            inspected: Inspected::NotYet,
            at: None,
        }
    }
}

/// Whether somebody vouches for a camera.
#[derive(Debug)]
struct Vouched {
    /// Of which server, trusted by whom.
    server: u64,
    certificate: Certificate,
    asked: Option<Instant>,
}

/// Probes of all cameras. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Prober {
    known: Arc<Mutex<HashMap<String, Known>>>,
    permits: Arc<Semaphore>,
    done: mpsc::UnboundedSender<ObjectRef<Camera>>,
}

impl Prober {
    /// A prober, and the stream of cameras about which something new is known.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<ObjectRef<Camera>>) {
        let (done, woken) = mpsc::unbounded_channel();
        (
            Self {
                known: Arc::default(),
                permits: Arc::new(Semaphore::new(PROBES)),
                done,
            },
            woken,
        )
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a camera that is gone, held back or suspended.
    pub(crate) fn forget(&self, key: &str) {
        let mut all = self.lock();
        all.remove(key);
        all.remove(&substream(key));
    }

    /// What is known of the certificate at `source`; asks the camera, at most twice a minute, when nobody is known to vouch for it.
    pub(crate) fn certificate(&self, camera: &ObjectRef<Camera>, key: &str, source: Source) -> Certificate {
        let now = Instant::now();
        let mut all = self.lock();
        let known = all.entry(key.to_owned()).or_default();
        let server = source.server();
        let (certificate, asked) = match known.certificate.as_deref() {
            Some(vouched) if vouched.server == server => (vouched.certificate.clone(), vouched.asked),
            // Another camera, or other authorities: not the last one's turn.
            _ => (Certificate::NotYet, None),
        };
        let due = asked.is_none_or(|at| now.duration_since(at) >= ASK_AGAIN);
        if !matches!(certificate, Certificate::Verified(_)) && due && !known.running {
            known.running = true;
            known.certificate = Some(Box::new(Vouched {
                server,
                certificate: certificate.clone(),
                asked: Some(now),
            }));
            known.asked_url = source.fingerprint();
            known.asked_at = Some(now);
            drop(all);
            self.spawn(camera.clone(), key.to_owned(), ask(source));
        }
        certificate
    }

    /// What is known of the picture of the path's present `run`; starts a look at `source` (RTSP at the shard, with the
    /// reader's credentials) when nothing is. The camera is up: what it answered before is forgotten.
    pub(crate) fn picture(
        &self,
        camera: &ObjectRef<Camera>,
        key: &str,
        run: Run,
        source: Source,
    ) -> Inspected {
        let mut all = self.lock();
        let known = all.entry(key.to_owned()).or_default();
        known.diagnosis = Diagnosis::NotYet;
        known.asked_at = None;
        known.down_since = None;
        known.look.take_if(|look| look.run != run);
        let last = known.look.get_or_insert_with(|| Box::new(Look::at(run.clone())));
        let stale = match last.inspected {
            Inspected::Seen(_) => false,
            Inspected::NotYet => true,
            Inspected::Failed(_) => last.at.is_none_or(|at| at.elapsed() >= LOOK_AGAIN),
        };
        let answer = last.inspected.clone();
        if stale && !known.running {
            known.running = true;
            drop(all);
            self.spawn(camera.clone(), key.to_owned(), async move {
                Finding::Picture(run, look(&source).await)
            });
        }
        answer
    }

    /// Who is told when something new is known.
    pub(crate) fn listener(&self) -> mpsc::UnboundedSender<ObjectRef<Camera>> {
        self.done.clone()
    }

    /// What the camera answered last, if it has been down since.
    pub(crate) fn answered(&self, key: &str) -> Diagnosis {
        let all = self.lock();
        all.get(key)
            .map(|known| known.diagnosis.clone())
            .unwrap_or_default()
    }

    /// What the camera at `source` answered; asks it when it `may` be asked, has been down for [`PATIENCE`] and was not asked for
    /// half a minute.
    pub(crate) fn diagnosis(
        &self,
        camera: &ObjectRef<Camera>,
        key: &str,
        source: Source,
        may: bool,
    ) -> Diagnosis {
        let now = Instant::now();
        let mut all = self.lock();
        let known = all.entry(key.to_owned()).or_default();
        let down_since = *known.down_since.get_or_insert(now);
        if known.asked_url != source.fingerprint() {
            known.asked_url = source.fingerprint();
            known.asked_at = None;
            known.diagnosis = Diagnosis::NotYet;
        }
        let was_up = known.look.take().is_some();
        // Who was up and is gone is asked at once: its reason is wanted within seconds.
        if was_up {
            known.down_since = now.checked_sub(PATIENCE).or(Some(now));
        }
        let patient = !was_up && now.duration_since(down_since) < PATIENCE;
        let due = known
            .asked_at
            .is_none_or(|at| now.duration_since(at) >= ASK_AGAIN);
        let answer = known.diagnosis.clone();
        if may && due && !patient && !known.running {
            known.running = true;
            known.asked_at = Some(now);
            drop(all);
            self.spawn(camera.clone(), key.to_owned(), ask(source));
        }
        answer
    }

    fn spawn(
        &self,
        camera: ObjectRef<Camera>,
        key: String,
        probe: impl Future<Output = Finding> + Send + 'static,
    ) {
        let prober = self.clone();
        tokio::spawn(async move {
            // Closed never: the semaphore lives as long as the prober.
            let permit = prober.permits.clone().acquire_owned().await;
            let finding = probe.await;
            drop(permit);
            if let Some(known) = prober.lock().get_mut(&key) {
                known.running = false;
                match finding {
                    Finding::Picture(run, inspected) => {
                        // Else the path started anew meanwhile: that run is looked at by its own probe.
                        if let Some(look) = known.look.as_mut().filter(|look| look.run == run) {
                            look.inspected = inspected;
                            look.at = Some(Instant::now());
                        }
                    }
                    Finding::Answer(diagnosis, certificate) => {
                        known.diagnosis = diagnosis;
                        if let Some((server, certificate)) = certificate {
                            let asked = known.certificate.as_ref().and_then(|vouched| vouched.asked);
                            known.certificate = Some(Box::new(Vouched {
                                server,
                                certificate,
                                asked,
                            }));
                        }
                    }
                }
            }
            // Without a listener the process is ending.
            let _ = prober.done.send(camera);
        });
    }
}

/// Where a probe looks: address and, apart from it, who may.
#[derive(Clone)]
pub(crate) struct Source {
    /// RTSP URL without credentials.
    pub url: String,
    /// User and password.
    pub login: Option<marsad_mediamtx::Credentials>,
    /// The only address that may be asked; none for our own shards.
    pub address: Option<IpAddr>,
    /// Whose certificates are trusted.
    pub trust: marsad_rtsp::Trust,
}

impl Source {
    /// Changes when the address, the login or the trust does; tells none.
    fn fingerprint(&self) -> u64 {
        let login = self
            .login
            .as_ref()
            .map(|login| (login.username(), login.password()));
        hash(&(self.server(), &self.url, login))
    }

    /// Changes when it is another server, or others vouch for it.
    fn server(&self) -> u64 {
        let trust = match &self.trust {
            marsad_rtsp::Trust::Public => None,
            marsad_rtsp::Trust::Authorities(pem) => Some(pem),
        };
        hash(&(super::server_of(&self.url), self.address, trust))
    }
}

fn hash(what: &impl std::hash::Hash) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Key of what is known of a camera's substream.
pub(crate) fn substream(key: &str) -> String {
    format!("{key}/sub")
}

enum Finding {
    Picture(Run, Inspected),
    Answer(Diagnosis, Option<(u64, Certificate)>),
}

fn login_of(source: &Source) -> Option<marsad_rtsp::Credentials> {
    let login = source.login.as_ref()?;
    Some(marsad_rtsp::Credentials::new(login.username(), login.password()))
}

async fn look(source: &Source) -> Inspected {
    match marsad_rtsp::inspect(&source.url, login_of(source).as_ref(), LOOK).await {
        Ok(seen) => Inspected::Seen(Picture {
            b_frames: seen.b_frames,
            gop: seen.gop,
        }),
        Err(failure) => Inspected::Failed(failure.to_string()),
    }
}

async fn ask(source: Source) -> Finding {
    let login = login_of(&source);
    let told = marsad_rtsp::diagnose(&source.url, source.address, login.as_ref(), &source.trust, ASK).await;
    let certificate = match (told.certificate, &told.codec) {
        (Some(certificate), _) => Some(Certificate::Verified(certificate)),
        (None, Err(Failure::Certificate { .. } | Failure::Tls { .. })) => Some(Certificate::Refused),
        (None, _) => None,
    };
    let diagnosis = match told.codec {
        Ok(_) => Diagnosis::Fine,
        Err(failure) => Diagnosis::Failed(
            super::status::reason_of(&failure),
            super::status::explain(&source.url, &failure),
        ),
    };
    Finding::Answer(
        diagnosis,
        certificate.map(|certificate| (source.server(), certificate)),
    )
}
