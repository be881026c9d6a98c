//! What is kept, and what gives way when there is no room for all. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

/// A picture of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Still {
    /// An MP4 with one frame.
    mp4: Bytes,
    taken: Timestamp,
    received: Instant,
}

impl Still {
    /// A picture that has come just now; `taken` is the same moment for people.
    pub fn new(mp4: Bytes, taken: Timestamp, received: Instant) -> Self {
        Self { mp4, taken, received }
    }

    /// The file.
    pub fn mp4(&self) -> &Bytes {
        &self.mp4
    }

    /// When it came, for people.
    pub fn taken(&self) -> Timestamp {
        self.taken
    }

    /// When it came, by a clock that never jumps.
    pub fn received(&self) -> Instant {
        self.received
    }

    /// How old it is.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.received)
    }
}

/// What there is room for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Pictures.
    pub count: usize,
    /// Bytes of all pictures.
    pub bytes: usize,
}

/// The newest picture of each camera, as many as there is room for.
#[derive(Debug)]
pub struct Shelf {
    limits: Limits,
    kept: HashMap<Uuid, Arc<Still>>,
    bytes: usize,
}

impl Shelf {
    /// Nothing is kept.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            kept: HashMap::new(),
            bytes: 0,
        }
    }

    /// Keeps a picture in place of the camera's last one. Without room for all, first those give way that their cameras renew
    /// (`renewed`), the oldest first: what is wanted is the picture of a camera that has none to give any more.
    pub fn put(&mut self, camera: Uuid, still: Still, renewed: impl Fn(Uuid) -> bool) {
        if still.mp4.len() > self.limits.bytes {
            return;
        }
        self.remove(camera);
        self.bytes += still.mp4.len();
        self.kept.insert(camera, Arc::new(still));
        while self.bytes > self.limits.bytes || self.kept.len() > self.limits.count {
            let others = self.kept.iter().filter(|(id, _)| **id != camera);
            let victim = others
                .min_by_key(|(id, still)| (!renewed(**id), still.received))
                .map(|(id, _)| *id);
            let Some(victim) = victim else { break };
            self.remove(victim);
        }
    }

    /// The picture of a camera.
    pub fn get(&self, camera: Uuid) -> Option<Arc<Still>> {
        self.kept.get(&camera).cloned()
    }

    /// Keeps only the pictures of cameras that `stays` is true for.
    pub fn retain(&mut self, stays: impl Fn(Uuid) -> bool) {
        let bytes = &mut self.bytes;
        self.kept.retain(|camera, still| {
            let stays = stays(*camera);
            if !stays {
                *bytes -= still.mp4.len();
            }
            stays
        });
    }

    /// How many pictures are kept.
    pub fn count(&self) -> usize {
        self.kept.len()
    }

    /// Their bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn remove(&mut self, camera: Uuid) {
        if let Some(still) = self.kept.remove(&camera) {
            self.bytes -= still.mp4.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOM: Limits = Limits { count: 4, bytes: 100 };

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn still(bytes: usize, second: u64) -> Still {
        static ZERO: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        let received = *ZERO + Duration::from_secs(second);
        Still::new(Bytes::from(vec![0; bytes]), Timestamp::UNIX_EPOCH, received)
    }

    fn kept(shelf: &Shelf) -> Vec<u128> {
        let mut all: Vec<_> = shelf.kept.keys().map(Uuid::as_u128).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn r1_1_11_the_newest_picture_of_a_camera_is_kept() {
        let mut shelf = Shelf::new(ROOM);
        shelf.put(id(1), still(60, 1), |_| true);
        shelf.put(id(1), still(70, 2), |_| true);
        assert_eq!((shelf.count(), shelf.bytes()), (1, 70));
        assert_eq!(shelf.get(id(1)).unwrap().received(), still(0, 2).received());
        assert_eq!(shelf.get(id(2)), None);
    }

    #[test]
    fn r1_1_11_dead_cameras_keep_their_pictures_longest() {
        let mut shelf = Shelf::new(ROOM);
        let alive = |camera: Uuid| camera != id(1);
        for camera in 1..=4 {
            shelf.put(id(camera), still(10, u64::try_from(camera).unwrap()), alive);
        }
        shelf.put(id(5), still(10, 5), alive);
        assert_eq!(kept(&shelf), [1, 3, 4, 5], "the oldest that is renewed gives way");
        shelf.put(id(6), still(75, 6), alive);
        assert_eq!(kept(&shelf), [1, 5, 6], "two give way to a large one");
        shelf.put(id(7), still(100, 7), alive);
        assert_eq!(kept(&shelf), [7], "the last that came is there");
        shelf.put(id(8), still(101, 8), alive);
        assert_eq!(kept(&shelf), [7], "what never fits drives nothing out");
    }

    proptest! {
        #[test]
        fn r1_1_11_memory_is_bounded(
            puts in prop::collection::vec((0_u128..9, 0_usize..120, any::<bool>()), 0..60),
        ) {
            let mut shelf = Shelf::new(ROOM);
            for (second, (camera, bytes, forget)) in puts.into_iter().enumerate() {
                let second = u64::try_from(second).unwrap();
                shelf.put(id(camera), still(bytes, second), |id| id.as_u128() % 2 == 0);
                if bytes <= ROOM.bytes {
                    prop_assert_eq!(shelf.get(id(camera)), Some(Arc::new(still(bytes, second))));
                }
                if forget {
                    shelf.retain(|id| id.as_u128() % 3 != 0);
                }
                let sum: usize = shelf.kept.values().map(|still| still.mp4.len()).sum();
                prop_assert_eq!(shelf.bytes(), sum);
                prop_assert!(sum <= ROOM.bytes && shelf.count() <= ROOM.count);
            }
        }
    }
}
