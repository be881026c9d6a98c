//! Clips: a file in Annex B, parsed once and shared by every camera that shows it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use h264_reader::Context;
use h264_reader::nal::pps::PicParameterSet;
use h264_reader::nal::slice::{PicOrderCountLsb, SliceHeader};
use h264_reader::nal::sps::{PicOrderCntType, SeqParameterSet};
use h264_reader::nal::{Nal, RefNal};

use crate::annexb::{self, Kind, Picture};
use crate::media::Media;

/// One picture, ready to be cut into packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// NAL units in decoding order.
    pub nals: Vec<Bytes>,
    /// Decoding can start here.
    pub key: bool,
    /// How many frames after its decoding the picture is shown. RTP timestamps are of showing,
    /// packets go in the order of decoding: with B-frames the two differ.
    pub delay: u32,
}

/// A video that can be looped without re-encoding.
#[derive(Debug)]
pub struct Clip {
    media: Media,
    parameters: Vec<Bytes>,
    units: Vec<Arc<AccessUnit>>,
}

/// Why a clip can't be shown. It is a mistake in the file, so it is found at the start.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// The file can't be read.
    #[error("clip {path} can't be read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No picture in it.
    #[error("no picture found: is this an Annex B stream?")]
    Empty,
    /// It must start with a keyframe, or its loop would show garbage.
    #[error("the first picture is not a keyframe")]
    NoKeyframe,
    /// No SPS and PPS (H.265: VPS too).
    #[error("parameter sets are missing")]
    NoParameters,
    /// A slice header or parameter set that can't be read.
    #[error("picture {picture}: {reason}")]
    Unreadable {
        /// Which one, in decoding order.
        picture: usize,
        /// What the parser said.
        reason: String,
    },
}

impl Clip {
    /// Reads a clip from a file.
    ///
    /// # Errors
    /// See [`ClipError`].
    pub fn read(path: &Path, media: Media) -> Result<Self, ClipError> {
        let bytes = std::fs::read(path).map_err(|source| ClipError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&Bytes::from(bytes), media)
    }

    /// Reads a clip from memory. H.265 is taken to have no reordered pictures.
    ///
    /// # Errors
    /// See [`ClipError`].
    pub fn parse(stream: &Bytes, media: Media) -> Result<Self, ClipError> {
        let pictures = annexb::pictures(media, annexb::nal_units(stream));
        let first = pictures.first().ok_or(ClipError::Empty)?;
        if !first.key {
            return Err(ClipError::NoKeyframe);
        }
        let parameters = parameter_sets(media, first);
        let needed = if media == Media::H265 { 3 } else { 2 };
        if parameters.len() < needed {
            return Err(ClipError::NoParameters);
        }
        let delays = match media {
            Media::H264 => delays(&pictures)?,
            Media::H265 | Media::Pcmu => vec![0; pictures.len()],
        };
        let units = pictures.into_iter().zip(delays).map(|(picture, delay)| {
            Arc::new(AccessUnit {
                nals: picture.nals,
                key: picture.key,
                delay,
            })
        });
        Ok(Self {
            media,
            parameters,
            units: units.collect(),
        })
    }

    /// The codec.
    #[must_use]
    pub fn media(&self) -> Media {
        self.media
    }

    /// VPS (H.265 only), SPS and PPS, for the SDP.
    #[must_use]
    pub fn parameters(&self) -> &[Bytes] {
        &self.parameters
    }

    /// Number of pictures, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Never: a clip without pictures is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The picture at an index that counts on for ever: the clip loops.
    #[must_use]
    pub fn unit(&self, index: u64) -> Option<&Arc<AccessUnit>> {
        let place = index.checked_rem(self.units.len() as u64)?;
        self.units.get(usize::try_from(place).ok()?)
    }

    /// The first index from `from` on that has a keyframe.
    #[must_use]
    pub fn next_key(&self, from: u64) -> u64 {
        let within = (from..).take(self.units.len());
        within
            .into_iter()
            .find(|&index| self.unit(index).is_some_and(|unit| unit.key))
            .unwrap_or(from)
    }
}

/// The parameter sets of a picture, each once.
#[must_use]
pub fn parameter_sets(media: Media, picture: &Picture) -> Vec<Bytes> {
    let mut found: Vec<Bytes> = Vec::new();
    for nal in &picture.nals {
        if annexb::kind(media, nal) == Kind::Parameters && !found.contains(nal) {
            found.push(nal.clone());
        }
    }
    found
}

/// How long after its decoding each picture is shown, in frames.
fn delays(pictures: &[Picture]) -> Result<Vec<u32>, ClipError> {
    let orders = order_counts(pictures)?;
    let keys: Vec<bool> = pictures.iter().map(|picture| picture.key).collect();
    Ok(delays_of(&orders, &keys))
}

/// Between two IDR pictures the order of showing is that of the picture order counts
/// (H.264 8.2.1); the whole clip is put off by the most that a picture comes late, as an encoder
/// does, so that none is shown before it was decoded.
fn delays_of(orders: &[i64], keys: &[bool]) -> Vec<u32> {
    let mut shown: Vec<i64> = vec![0; orders.len()];
    let starts: Vec<usize> = keys
        .iter()
        .enumerate()
        .filter(|(_, key)| **key)
        .map(|(at, _)| at)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([orders.len()]);
    for (&start, end) in starts.iter().zip(ends) {
        let mut gop: Vec<usize> = (start..end).collect();
        gop.sort_by_key(|&at| orders.get(at).copied());
        for (rank, at) in gop.into_iter().enumerate() {
            if let Some(place) = shown.get_mut(at) {
                *place = (start + rank) as i64;
            }
        }
    }
    let late = shown
        .iter()
        .zip(0i64..)
        .map(|(shown, decoded)| decoded - shown)
        .max()
        .unwrap_or(0);
    let delays = shown
        .iter()
        .zip(0i64..)
        .map(|(shown, decoded)| shown - decoded + late);
    delays.map(|delay| u32::try_from(delay).unwrap_or(0)).collect()
}

/// The picture order count of every picture, counted from its IDR picture.
fn order_counts(pictures: &[Picture]) -> Result<Vec<i64>, ClipError> {
    let mut context = Context::new();
    let mut counts = Vec::with_capacity(pictures.len());
    // prevPicOrderCntMsb and prevPicOrderCntLsb of H.264 8.2.1.1.
    let (mut high, mut low) = (0i64, 0i64);
    let mut since_key = 0i64;
    for (at, picture) in pictures.iter().enumerate() {
        if picture.key {
            (high, low, since_key) = (0, 0, 0);
        }
        let slice = read_picture(&mut context, picture)
            .map_err(|reason| ClipError::Unreadable { picture: at, reason })?;
        counts.push(match slice {
            // Type 2: shown in the order of decoding.
            Slice { order: None, .. } => since_key,
            Slice {
                order: Some((lsb, range)),
                reference,
            } => {
                let turn = if lsb < low && low - lsb >= range / 2 {
                    high + range
                } else if lsb > low && lsb - low > range / 2 {
                    high - range
                } else {
                    high
                };
                if reference {
                    (high, low) = (turn, lsb);
                }
                turn + lsb
            }
        });
        since_key += 1;
    }
    Ok(counts)
}

struct Slice {
    /// Low bits of the picture order count, and how many values these can take.
    order: Option<(i64, i64)>,
    reference: bool,
}

fn read_picture(context: &mut Context, picture: &Picture) -> Result<Slice, String> {
    for bytes in &picture.nals {
        let nal = RefNal::new(bytes, &[], true);
        let header = nal.header().map_err(|error| format!("{error:?}"))?;
        match header.nal_unit_type().id() {
            7 => {
                let sps =
                    SeqParameterSet::from_bits(nal.rbsp_bits()).map_err(|error| format!("SPS: {error:?}"))?;
                context.put_seq_param_set(sps);
            }
            8 => {
                let pps = PicParameterSet::from_bits(context, nal.rbsp_bits())
                    .map_err(|error| format!("PPS: {error:?}"))?;
                context.put_pic_param_set(pps);
            }
            1 | 5 => {
                let (slice, sps, _) = SliceHeader::from_bits(context, &mut nal.rbsp_bits(), header, None)
                    .map_err(|error| format!("slice header: {error:?}"))?;
                let order = match (&sps.pic_order_cnt, slice.pic_order_cnt_lsb) {
                    (
                        PicOrderCntType::TypeZero {
                            log2_max_pic_order_cnt_lsb_minus4: bits,
                        },
                        Some(PicOrderCountLsb::Frame(lsb)),
                    ) => Some((i64::from(lsb), 1i64 << (bits + 4))),
                    (PicOrderCntType::TypeTwo, _) => None,
                    other => {
                        return Err(format!(
                            "picture order {other:?} is not supported: progressive video only"
                        ));
                    }
                };
                return Ok(Slice {
                    order,
                    reference: header.nal_ref_idc() != 0,
                });
            }
            _ => {}
        }
    }
    Err("has no slice".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn b_frames_are_shown_in_their_order_and_never_before_they_are_decoded() {
        // I P B B B | I P B: decoded in this order, shown by the counts.
        let orders = [0, 8, 4, 2, 6, 0, 4, 2];
        let keys = [true, false, false, false, false, true, false, false];
        let delays = delays_of(&orders, &keys);
        assert_eq!(delays, [2, 5, 2, 0, 1, 2, 3, 1]);
        let mut shown: Vec<_> = delays
            .iter()
            .zip(0..)
            .map(|(delay, decoded)| decoded + delay)
            .collect();
        shown.sort_unstable();
        assert_eq!(shown, (2..10).collect::<Vec<_>>(), "one picture at each time");
    }

    #[test]
    fn a_clip_without_b_frames_has_no_delay_and_loops_for_ever() {
        let stream = clock::recorded("cam-0", 50).unwrap();
        let clip = Clip::parse(&stream, Media::H264).unwrap();
        assert_eq!(clip.len(), 50);
        assert_eq!(clip.parameters().len(), 2);
        assert!((0..50).all(|index| clip.unit(index).unwrap().delay == 0));
        let keys: Vec<_> = (0..50).filter(|&index| clip.unit(index).unwrap().key).collect();
        assert_eq!(keys, [0, 25]);
        assert_eq!(clip.unit(50), clip.unit(0));
        assert_eq!(clip.unit(u64::MAX), clip.unit(u64::MAX % 50));
        assert_eq!(clip.next_key(26), 50);
        assert_eq!(clip.next_key(75), 75);
    }

    #[test]
    fn a_file_that_is_no_clip_is_refused_with_the_reason() {
        let parse = |bytes: &[u8]| Clip::parse(&Bytes::copy_from_slice(bytes), Media::H264).unwrap_err();
        assert!(matches!(parse(b"not video"), ClipError::Empty));
        assert!(matches!(parse(&[0, 0, 1, 0x41, 0x9a, 1]), ClipError::NoKeyframe));
        assert!(matches!(
            parse(&[0, 0, 1, 0x65, 0x88, 1]),
            ClipError::NoParameters
        ));
        let broken = [0, 0, 1, 0x67, 0xff, 0, 0, 1, 0x68, 0xff, 0, 0, 1, 0x65, 0x88, 1];
        assert!(matches!(parse(&broken), ClipError::Unreadable { picture: 0, .. }));
    }
}
