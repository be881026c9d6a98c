//! All cameras of the process: making, finding, breaking and removing them.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::camera::{Camera, Fault, Source, Spec, Video};
use crate::clip::{Clip, ClipError};
use crate::clock::{self, ClockError, LiveClock};
use crate::media::{FRAME, Media};
use crate::server;
use crate::timeline::Timeline;

/// The clips there are. A video whose clip is missing can't be asked for.
#[derive(Debug, Clone, Default)]
pub struct Clips {
    /// `clip*.h264`, by name: cameras take turns.
    pub loops: Vec<Arc<Clip>>,
    /// `bframes.h264`.
    pub bframes: Option<Arc<Clip>>,
    /// `h265.h265`.
    pub h265: Option<Arc<Clip>>,
    /// `longgop.h264`.
    pub longgop: Option<Arc<Clip>>,
    /// `heavy.h264`.
    pub heavy: Option<Arc<Clip>>,
}

impl Clips {
    /// Reads the clips that `clips.sh` has made in a folder.
    ///
    /// # Errors
    /// When the folder or a clip in it can't be read.
    pub fn read(folder: &Path) -> Result<Self, ClipError> {
        let unreadable = |source| ClipError::Read {
            path: folder.to_owned(),
            source,
        };
        let entries = std::fs::read_dir(folder).map_err(unreadable)?;
        let mut names = Vec::new();
        for entry in entries {
            names.push(
                entry
                    .map_err(unreadable)?
                    .file_name()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
        names.sort_unstable();
        let read = |name: &str, media| Clip::read(&folder.join(name), media).map(Arc::new);
        let mut clips = Self::default();
        for name in &names {
            match name.as_str() {
                "bframes.h264" => clips.bframes = Some(read(name, Media::H264)?),
                "longgop.h264" => clips.longgop = Some(read(name, Media::H264)?),
                "heavy.h264" => clips.heavy = Some(read(name, Media::H264)?),
                "h265.h265" => clips.h265 = Some(read(name, Media::H265)?),
                _ if name.starts_with("clip") && name.ends_with(".h264") => {
                    clips.loops.push(read(name, Media::H264)?);
                }
                _ => {}
            }
        }
        Ok(clips)
    }

    fn find(&self, video: Video, number: usize) -> Option<Arc<Clip>> {
        match video {
            Video::Clip => self.loops.get(number.checked_rem(self.loops.len())?).cloned(),
            Video::Bframes => self.bframes.clone(),
            Video::H265 => self.h265.clone(),
            Video::Longgop => self.longgop.clone(),
            Video::Heavy => self.heavy.clone(),
            Video::Clock => None,
        }
    }
}

/// Why a camera can't be made.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Its clip was not among the files at the start.
    #[error("there is no clip for this video: make it with sim/clips.sh and name its folder with --clips")]
    NoClip,
    /// Its own port can't be had.
    #[error("port {port} can't be listened on: {source}")]
    Port {
        /// Which port.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Whether a camera was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Created,
    /// It was other than asked for, and has been replaced: its connections end, its faults too.
    Replaced,
    /// It was as asked for, and goes on undisturbed.
    Unchanged,
}

/// Every camera, by name.
#[derive(Debug)]
pub struct Fleet {
    clips: Clips,
    clock_parameters: Vec<Bytes>,
    own_ports_on: IpAddr,
    cameras: RwLock<BTreeMap<String, Arc<Camera>>>,
    /// The tasks that accept on own ports. Held through every change, so that changes come one
    /// after the other and are done when their caller is told so.
    listeners: Mutex<HashMap<String, JoinHandle<()>>>,
}

impl Fleet {
    /// A fleet without cameras; own ports are opened on `own_ports_on`.
    ///
    /// # Errors
    /// When no clock can be encoded here.
    pub fn new(clips: Clips, own_ports_on: IpAddr) -> Result<Arc<Self>, ClockError> {
        Ok(Arc::new(Self {
            clips,
            clock_parameters: clock::parameters()?,
            own_ports_on,
            cameras: RwLock::default(),
            listeners: Mutex::default(),
        }))
    }

    /// A camera by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Camera>> {
        self.cameras
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// All cameras, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Camera>> {
        self.cameras
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Makes a camera, or makes it other than it was.
    ///
    /// # Errors
    /// When its clip or port is not to be had; what was there before is gone then if it had
    /// another port, and untouched if not.
    pub async fn put(self: &Arc<Self>, name: &str, mut spec: Spec) -> Result<(Arc<Camera>, Put), FleetError> {
        let mut listeners = self.listeners.lock().await;
        let before = self.get(name);
        if let Some(camera) = before.as_ref().filter(|camera| is_met(&camera.spec, &spec)) {
            return Ok((camera.clone(), Put::Unchanged));
        }
        // Before anything is taken away: a wish that can't be met changes nothing.
        let (source, timeline) = self.source(name, spec.video)?;
        if before.is_some() {
            self.take(&mut listeners, name).await;
        }
        let listener = match spec.port {
            Some(port) => Some(listen(self.own_ports_on, port).await?),
            None => None,
        };
        if let Some(address) = listener.as_ref().and_then(|listener| listener.local_addr().ok()) {
            spec.port = Some(address.port());
        }
        let camera = Arc::new(Camera::new(name, spec, timeline, source));
        if let Some(listener) = listener {
            listeners.insert(name.to_owned(), self.accept(listener, &camera));
        }
        self.cameras
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), camera.clone());
        Ok((
            camera,
            if before.is_some() {
                Put::Replaced
            } else {
                Put::Created
            },
        ))
    }

    /// Removes a camera: false when there is none.
    pub async fn remove(&self, name: &str) -> bool {
        let mut listeners = self.listeners.lock().await;
        self.take(&mut listeners, name).await
    }

    /// Breaks or mends a camera: `None` when there is none. When it returns, the fault is in
    /// force for new connections; those that are open follow at once.
    ///
    /// # Errors
    /// When its own port, closed before, has been taken by another.
    pub async fn set_fault(
        self: &Arc<Self>,
        name: &str,
        fault: Fault,
    ) -> Result<Option<Arc<Camera>>, FleetError> {
        let mut listeners = self.listeners.lock().await;
        let Some(camera) = self.get(name) else {
            return Ok(None);
        };
        if let Some(port) = camera.spec.port {
            if fault == Fault::Refuse {
                close(&mut listeners, name).await;
            } else if !listeners.contains_key(name) {
                let listener = listen(self.own_ports_on, port).await?;
                listeners.insert(name.to_owned(), self.accept(listener, &camera));
            }
        }
        camera.set_fault(fault);
        Ok(Some(camera))
    }

    async fn take(&self, listeners: &mut HashMap<String, JoinHandle<()>>, name: &str) -> bool {
        let taken = self
            .cameras
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        let Some(camera) = taken else {
            return false;
        };
        close(listeners, name).await;
        camera.remove();
        true
    }

    fn accept(self: &Arc<Self>, listener: TcpListener, camera: &Arc<Camera>) -> JoinHandle<()> {
        tokio::spawn(server::accept(listener, self.clone(), Some(camera.clone())))
    }

    fn source(&self, name: &str, video: Video) -> Result<(Source, Timeline), FleetError> {
        let number = number(name);
        // Cameras of one clip are spread over its first minute, a prime number of frames apart.
        let frames = (number as u32 % 1500) * 37 % 1500;
        let timeline = Timeline::new(FRAME * frames, rand::random());
        if video == Video::Clock {
            let clock = LiveClock::new(name, timeline);
            return Ok((Source::Clock(clock, self.clock_parameters.clone()), timeline));
        }
        let clip = self.clips.find(video, number).ok_or(FleetError::NoClip)?;
        Ok((Source::Clip(clip), timeline))
    }
}

/// Whether what is there is what is asked for; any own port will do when 0 is asked for.
fn is_met(there: &Spec, asked: &Spec) -> bool {
    let port = match (there.port, asked.port) {
        (Some(_), Some(0)) => true,
        (there, asked) => there == asked,
    };
    port && there.video == asked.video && there.credentials == asked.credentials
}

/// The number at the end of a name, else one made of its letters.
fn number(name: &str) -> usize {
    let digits = name.rsplit(|character: char| !character.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse::<u32>().ok())
        .unwrap_or_else(|| {
            name.bytes()
                .fold(0, |sum, byte| (sum * 31 + u32::from(byte)) % 65_521)
        }) as usize
}

async fn listen(ip: IpAddr, port: u16) -> Result<TcpListener, FleetError> {
    let address = SocketAddr::new(ip, port);
    TcpListener::bind(address)
        .await
        .map_err(|source| FleetError::Port { port, source })
}

async fn close(listeners: &mut HashMap<String, JoinHandle<()>>, name: &str) {
    if let Some(task) = listeners.remove(name) {
        task.abort();
        // The port is closed when the task's future is dropped; a cancelled task is no error.
        let _ = task.await;
    }
}

/// How long to wait when the system has no more sockets or memory for a connection.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
