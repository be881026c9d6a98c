//! An MP4 of one frame, made of a key frame without decoding it. Pure.

use marsad_rtsp::KeyFrame;
use mp4_atom::{
    Atom, Avc1, Avcc, Codec, Dinf, Dref, Encode, Error, Ftyp, Hdlr, Mdat, Mdhd, Mdia, Minf, Moov, Mvhd, Stbl,
    Stco, Stsc, StscEntry, Stsd, Stsz, StszSamples, Stts, SttsEntry, Tkhd, Trak, Url, Visual, Vmhd,
};

/// Units a second.
const TIMESCALE: u32 = 1_000;
/// The frame is shown for a second: a player wants a length, and stands on its last frame.
const DURATION: u32 = 1_000;
/// Size and kind, before the data.
const MDAT_HEADER: usize = 8;

/// The file.
///
/// # Errors
/// When a parameter set is too short to be one.
pub fn of(frame: &KeyFrame) -> Result<Vec<u8>, Error> {
    let mut file = Vec::with_capacity(frame.slices.len() + 1_024);
    Ftyp {
        major_brand: b"isom".into(),
        minor_version: 512,
        compatible_brands: vec![b"isom".into(), b"iso2".into(), b"avc1".into(), b"mp41".into()],
    }
    .encode(&mut file)?;
    // Where the data begins is known when what comes before is written; the number's length does not depend on it.
    let mut before = file.clone();
    moov(frame, 0)?.encode(&mut before)?;
    moov(frame, before.len() + MDAT_HEADER)?.encode(&mut file)?;
    Mdat {
        data: frame.slices.clone(),
    }
    .encode(&mut file)?;
    Ok(file)
}

fn moov(frame: &KeyFrame, data_at: usize) -> Result<Moov, Error> {
    let tkhd = Tkhd {
        track_id: 1,
        duration: DURATION.into(),
        enabled: true,
        in_movie: true,
        width: frame.width.into(),
        height: frame.height.into(),
        ..Tkhd::default()
    };
    let mdia = Mdia {
        mdhd: Mdhd {
            timescale: TIMESCALE,
            duration: DURATION.into(),
            language: "und".into(),
            ..Mdhd::default()
        },
        hdlr: Hdlr {
            handler: b"vide".into(),
            name: "marsad".to_owned(),
        },
        minf: Minf {
            vmhd: Some(Vmhd::default()),
            dinf: Dinf {
                dref: Dref {
                    entries: vec![Url::default().into()],
                },
            },
            stbl: stbl(frame, data_at)?,
            ..Minf::default()
        },
    };
    Ok(Moov {
        mvhd: Mvhd {
            timescale: TIMESCALE,
            duration: DURATION.into(),
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: 2,
            ..Mvhd::default()
        },
        trak: vec![Trak {
            tkhd,
            mdia,
            ..Trak::default()
        }],
        ..Moov::default()
    })
}

/// One sample in one chunk.
fn stbl(frame: &KeyFrame, data_at: usize) -> Result<Stbl, Error> {
    let size = |bytes: usize| u32::try_from(bytes).map_err(|_| Error::TooLarge(Mdat::KIND));
    let avc1 = Avc1 {
        visual: Visual {
            data_reference_index: 1,
            width: frame.width,
            height: frame.height,
            ..Visual::default()
        },
        avcc: Avcc::new(&frame.sps, &frame.pps)?,
        ..Avc1::default()
    };
    Ok(Stbl {
        stsd: Stsd {
            codecs: vec![Codec::from(avc1)],
        },
        stts: Stts {
            entries: vec![SttsEntry {
                sample_count: 1,
                sample_delta: DURATION,
            }],
        },
        stsc: Stsc {
            entries: vec![StscEntry {
                first_chunk: 1,
                samples_per_chunk: 1,
                sample_description_index: 1,
            }],
        },
        stsz: Stsz {
            samples: StszSamples::Different {
                sizes: vec![size(frame.slices.len())?],
            },
        },
        stco: Some(Stco {
            entries: vec![size(data_at)?],
        }),
        ..Stbl::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp4parse::{SampleEntry, TrackType, VideoCodecSpecific, read_mp4};

    fn frame(slices: usize) -> KeyFrame {
        KeyFrame {
            sps: vec![0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40],
            pps: vec![0x68, 0xce, 0x3c, 0x80],
            slices: (0..slices).map(|at| u8::try_from(at % 251).unwrap()).collect(),
            width: 1280,
            height: 720,
        }
    }

    /// Read with Firefox's parser, which is not ours.
    #[test]
    fn r1_1_11_what_is_written_is_one_frame_to_another_reader() {
        for slices in [1, 300, 190_000] {
            let frame = frame(slices);
            let file = of(&frame).unwrap();
            let context = read_mp4(&mut &file[..]).unwrap();
            assert_eq!(context.tracks.len(), 1);
            let track = &context.tracks[0];
            assert_eq!(track.track_type, TrackType::Video);
            let duration = track.duration.as_ref().unwrap().0;
            assert_eq!((duration, track.timescale.as_ref().unwrap().0), (1_000, 1_000));
            let header = track.tkhd.as_ref().unwrap();
            assert_eq!((header.width >> 16, header.height >> 16), (1280, 720));
            assert!(!header.disabled);

            let SampleEntry::Video(entry) = &track.stsd.as_ref().unwrap().descriptions[0] else {
                panic!("no video")
            };
            assert_eq!((entry.width, entry.height), (1280, 720));
            let VideoCodecSpecific::AVCConfig(config) = &entry.codec_specific else {
                panic!("no H.264")
            };
            assert_eq!(
                config[..6],
                [1, 0x42, 0xc0, 0x1f, 0xff, 0xe1],
                "lengths of four bytes"
            );
            let sets = [&[0, 7][..], &frame.sps, &[1, 0, 4], &frame.pps].concat();
            assert_eq!(config[6..], sets);

            let times = &track.stts.as_ref().unwrap().samples;
            assert_eq!((times.len(), times[0].sample_count), (1, 1));
            let chunks = &track.stsc.as_ref().unwrap().samples;
            assert_eq!((chunks.len(), chunks[0].samples_per_chunk), (1, 1));
            let sizes = &track.stsz.as_ref().unwrap().sample_sizes;
            assert_eq!(sizes[..], [u32::try_from(slices).unwrap()]);
            // Without a table of key frames, every frame is one.
            assert!(track.stss.is_none());
            let offsets = &track.stco.as_ref().unwrap().offsets;
            assert_eq!(offsets.len(), 1);
            let from = usize::try_from(offsets[0]).unwrap();
            assert_eq!(file[from..from + slices], frame.slices);
            assert_eq!(file.len(), from + slices, "and nothing after it");
        }
    }

    #[test]
    fn a_parameter_set_that_is_none_is_an_error() {
        let broken = KeyFrame {
            sps: vec![0x67],
            ..frame(10)
        };
        assert!(of(&broken).is_err());
    }
}
