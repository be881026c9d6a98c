//! What MediaMTX has recorded, by the names of its files: it opens none of them.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{Client, Error};

/// The recordings of a path, configured or not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Recording {
    /// The path's name.
    pub name: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Segment {
    start: Timestamp,
}

impl Recording {
    /// The beginning of the latest file; none when there is no file. MediaMTX counts the retention of a file from its beginning
    /// (1.20.1, internal/recordcleaner).
    pub fn latest(&self) -> Option<Timestamp> {
        self.segments.iter().map(|segment| segment.start).max()
    }
}

impl Client {
    /// All recordings. Walks the shard's whole volume, once for each path: not to be asked for at every poll.
    ///
    /// # Errors
    /// When they can't be had.
    pub async fn list_recordings(&self) -> Result<Vec<Recording>, Error> {
        self.all("v3/recordings/list", &[]).await
    }

    /// The recordings of one path.
    ///
    /// # Errors
    /// When they can't be had.
    pub async fn get_recording(&self, path: &str) -> Result<Recording, Error> {
        self.get(&format!("v3/recordings/get/{path}")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it was seen of 1.20.1, which tells times in the zone of its machine.
    #[test]
    fn the_latest_file_is_the_one_that_began_last() {
        let read = |text| serde_json::from_str::<Recording>(text).unwrap();
        let two = read(
            r#"{"name":"police/a/main","segments":[{"start":"2026-11-26T12:00:00.5Z"},{"start":"2026-11-26T15:30:00+04:00"}]}"#,
        );
        assert_eq!(two.latest(), Some("2026-11-26T12:00:00.5Z".parse().unwrap()));
        assert_eq!(read(r#"{"name":"police/b/main","segments":[]}"#).latest(), None);
    }
}
