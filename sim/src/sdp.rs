//! What DESCRIBE answers (RFC 8866).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::media::{FRAME_RATE, Media};

/// Name of the one track, relative to the camera's URL.
pub(crate) const TRACK: &str = "trackID=0";

/// The session description of a camera with these parameter sets (VPS, SPS, PPS).
#[must_use]
pub(crate) fn describe(name: &str, media: Media, parameters: &[Bytes]) -> String {
    let payload_type = media.payload_type();
    let track = match media {
        Media::H264 => format!(
            "m=video 0 RTP/AVP {payload_type}\r\n\
             a=rtpmap:{payload_type} H264/90000\r\n\
             a=fmtp:{payload_type} packetization-mode=1;{}sprop-parameter-sets={}\r\n\
             a=framerate:{FRAME_RATE}\r\n",
            profile_level_id(parameters),
            join(parameters),
        ),
        Media::H265 => {
            let named = ["sprop-vps", "sprop-sps", "sprop-pps"]
                .into_iter()
                .zip(parameters);
            let sets: Vec<_> = named
                .map(|(name, nal)| format!("{name}={}", STANDARD.encode(nal)))
                .collect();
            format!(
                "m=video 0 RTP/AVP {payload_type}\r\n\
                 a=rtpmap:{payload_type} H265/90000\r\n\
                 a=fmtp:{payload_type} {}\r\n\
                 a=framerate:{FRAME_RATE}\r\n",
                sets.join(";"),
            )
        }
        Media::Pcmu => format!("m=audio 0 RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} PCMU/8000\r\n"),
    };
    format!(
        "v=0\r\n\
         o=- 0 0 IN IP4 127.0.0.1\r\n\
         s={name}\r\n\
         c=IN IP4 0.0.0.0\r\n\
         t=0 0\r\n\
         a=tool:marsad-sim\r\n\
         a=control:*\r\n\
         {track}\
         a=control:{TRACK}\r\n"
    )
}

/// The three bytes after the SPS's header: profile, constraints, level (RFC 6184 8.1).
fn profile_level_id(parameters: &[Bytes]) -> String {
    let sps = parameters
        .iter()
        .find(|nal| nal.first().is_some_and(|byte| byte & 0x1f == 7));
    match sps.map(|nal| nal.as_ref()) {
        Some([_, profile, constraints, level, ..]) => {
            format!("profile-level-id={profile:02X}{constraints:02X}{level:02X};")
        }
        _ => String::new(),
    }
}

fn join(parameters: &[Bytes]) -> String {
    let encoded: Vec<_> = parameters.iter().map(|nal| STANDARD.encode(nal)).collect();
    encoded.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h264_has_profile_and_parameter_sets() {
        let parameters = [
            Bytes::from_static(&[0x67, 0x42, 0xc0, 0x1e, 9]),
            Bytes::from_static(&[0x68, 1]),
        ];
        let sdp = describe("cam-0", Media::H264, &parameters);
        let line =
            "a=fmtp:96 packetization-mode=1;profile-level-id=42C01E;sprop-parameter-sets=Z0LAHgk=,aAE=\r\n";
        assert!(sdp.contains(line), "{sdp}");
        assert!(sdp.ends_with("a=control:trackID=0\r\n"));
    }

    #[test]
    fn a_camera_without_video_offers_audio_only() {
        let sdp = describe("cam-0", Media::Pcmu, &[]);
        assert!(sdp.contains("m=audio 0 RTP/AVP 0\r\n"));
        assert!(!sdp.contains("m=video"));
    }
}
