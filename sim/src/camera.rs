//! A camera: what it shows, who may see it, and what is wrong with it now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use crate::auth::Credentials;
use crate::clip::Clip;
use crate::clock::LiveClock;
use crate::feed::Feed;
use crate::media::Media;
use crate::timeline::Timeline;

/// What a camera shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Video {
    /// A looped clip: H.264 baseline, a keyframe a second.
    Clip,
    /// A clock encoded live, with the time in a barcode.
    Clock,
    /// A looped clip with B-frames.
    Bframes,
    /// A looped clip in H.265.
    H265,
    /// A looped clip with a keyframe every ten seconds.
    Longgop,
    /// A looped clip of about 4 Mbit/s.
    Heavy,
}

impl Video {
    /// All of them, by the name the control API has for each.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("clip", Self::Clip),
        ("clock", Self::Clock),
        ("bframes", Self::Bframes),
        ("h265", Self::H265),
        ("longgop", Self::Longgop),
        ("heavy", Self::Heavy),
    ];
}

/// What is wrong with a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Nothing.
    None,
    /// Its own port is closed (the system refuses the connection); on the shared port the
    /// connection is closed when its name is heard.
    Refuse,
    /// Requests get no answer and no video flows, but the connection stays.
    Hang,
    /// Connections end when it is set, and every later one after some seconds.
    Drop,
    /// 401, whatever the password.
    Unauthorized,
    /// 404.
    NotFound,
    /// Requests are answered, but no video flows.
    Stall,
    /// It offers audio only.
    NoVideo,
    /// The line carries no more than this.
    Bandwidth {
        /// Kilobits a second.
        kbps: u32,
    },
}

impl Fault {
    /// Names of those without a parameter, as the control API has them.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("none", Self::None),
        ("refuse", Self::Refuse),
        ("hang", Self::Hang),
        ("drop", Self::Drop),
        ("unauthorized", Self::Unauthorized),
        ("not_found", Self::NotFound),
        ("stall", Self::Stall),
        ("no_video", Self::NoVideo),
    ];

    /// Whether connections that are open end when `self` is followed by `next`. Those that only
    /// lose their video go on when the fault is over.
    #[must_use]
    pub fn breaks(self, next: Self) -> bool {
        match next {
            Self::None | Self::Hang | Self::Stall | Self::Bandwidth { .. } => self == Self::NoVideo,
            Self::Refuse | Self::Drop | Self::Unauthorized | Self::NotFound | Self::NoVideo => self != next,
        }
    }

    /// Whether no frames are sent.
    #[must_use]
    pub fn is_silent(self) -> bool {
        matches!(self, Self::Hang | Self::Stall)
    }
}

/// What the connections of a camera watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conduct {
    /// What is wrong.
    pub fault: Fault,
    /// The camera is gone: connections end.
    pub removed: bool,
}

/// What a camera is made of, as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// What it shows.
    pub video: Video,
    /// Who may see it; everybody when absent.
    pub credentials: Option<Credentials>,
    /// A port of its own instead of the shared one; 0 takes a free one.
    pub port: Option<u16>,
}

/// Where the pictures come from.
#[derive(Debug)]
pub enum Source {
    /// A looped clip.
    Clip(Arc<Clip>),
    /// A clock, and the parameter sets of its encoder.
    Clock(Arc<LiveClock>, Vec<Bytes>),
}

/// Figures of a camera.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections that have named this camera.
    pub connections: AtomicUsize,
    /// Of these, those that play.
    pub playing: AtomicUsize,
    /// RTP packets sent since the start.
    pub packets: AtomicU64,
    /// Bytes sent since the start, framing and RTCP included.
    pub bytes: AtomicU64,
}

/// A camera.
#[derive(Debug)]
pub struct Camera {
    /// First segment of its URL's path.
    pub name: String,
    /// What was asked for; a port of 0 is the port that was taken.
    pub spec: Spec,
    /// When which frame is due.
    pub timeline: Timeline,
    /// Its pictures.
    pub source: Source,
    /// Its figures.
    pub counters: Counters,
    conduct: watch::Sender<Conduct>,
}

impl Camera {
    /// A camera that works.
    #[must_use]
    pub fn new(name: &str, spec: Spec, timeline: Timeline, source: Source) -> Self {
        let conduct = Conduct {
            fault: Fault::None,
            removed: false,
        };
        Self {
            name: name.to_owned(),
            spec,
            timeline,
            source,
            counters: Counters::default(),
            conduct: watch::Sender::new(conduct),
        }
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.conduct.borrow().fault
    }

    /// For a connection: to see what is wrong, and be told when that changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Conduct> {
        self.conduct.subscribe()
    }

    /// Breaks or mends it.
    pub fn set_fault(&self, fault: Fault) {
        self.conduct.send_modify(|conduct| conduct.fault = fault);
    }

    /// Ends its connections for good.
    pub fn remove(&self) {
        self.conduct.send_modify(|conduct| conduct.removed = true);
    }

    /// The media it offers now.
    #[must_use]
    pub fn media(&self) -> Media {
        match (&self.source, self.fault()) {
            (_, Fault::NoVideo) => Media::Pcmu,
            (Source::Clip(clip), _) => clip.media(),
            (Source::Clock(..), _) => Media::H264,
        }
    }

    /// The parameter sets of its video.
    #[must_use]
    pub fn parameters(&self) -> &[Bytes] {
        match &self.source {
            Source::Clip(clip) => clip.parameters(),
            Source::Clock(_, parameters) => parameters,
        }
    }

    /// Starts to play what it offers as `media`.
    ///
    /// # Errors
    /// When a clock's encoder can't be started.
    pub fn play(&self, media: Media) -> std::io::Result<Feed> {
        Ok(match (&self.source, media) {
            (_, Media::Pcmu) => Feed::silence(self.timeline),
            (Source::Clip(clip), _) => Feed::clip(clip.clone(), self.timeline),
            (Source::Clock(clock, _), _) => Feed::clock(clock.watch()?),
        })
    }

    /// The timestamp to announce when playing starts: of the next frame.
    #[must_use]
    pub fn next_timestamp(&self, media: Media) -> u32 {
        let next = self.timeline.index_at(tokio::time::Instant::now()) + 1;
        let delay = match (&self.source, media) {
            (Source::Clip(clip), Media::H264 | Media::H265) => {
                clip.unit(next).map_or(0, |unit| u64::from(unit.delay))
            }
            _ => 0,
        };
        self.timeline.timestamp(media, next + delay)
    }
}

/// Counts something for as long as it lives.
#[derive(Debug)]
pub struct Counted {
    camera: Arc<Camera>,
    counter: fn(&Counters) -> &AtomicUsize,
}

impl Counted {
    /// Adds one to a counter of the camera, until dropped.
    #[must_use]
    pub fn new(camera: &Arc<Camera>, counter: fn(&Counters) -> &AtomicUsize) -> Self {
        counter(&camera.counters).fetch_add(1, Ordering::Relaxed);
        Self {
            camera: camera.clone(),
            counter,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.counter)(&self.camera.counters).fetch_sub(1, Ordering::Relaxed);
    }
}
