//! What a description offers. Pure.
//!
//! Only the lines `m=` and `a=rtpmap` are read, and what else is in the text is let pass: cameras write much that is not SDP, and MediaMTX
//! takes it; a probe that is stricter than the puller would blame the wrong thing.

/// The codec of the first video that the description offers, in capitals: `H264`, `H265`, `JPEG` …; the payload's
/// number when it is not named.
pub(crate) fn video_codec(description: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(description);
    let mut payload = None;
    for line in text.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            if payload.is_some() {
                break;
            }
            let mut words = media.split_ascii_whitespace();
            if words
                .next()
                .is_some_and(|kind| kind.eq_ignore_ascii_case("video"))
            {
                payload = Some(words.nth(2).unwrap_or_default().to_owned());
            }
        } else if let (Some(payload), Some(map)) = (payload.as_deref(), line.strip_prefix("a=rtpmap:")) {
            // Some cameras put blanks before the payload.
            let mut words = map.split_ascii_whitespace();
            if words.next() == Some(payload)
                && let Some(name) = words.next().and_then(|codec| codec.split('/').next())
            {
                return Some(name.to_ascii_uppercase());
            }
        }
    }
    payload.map(|payload| match payload.as_str() {
        "26" => "JPEG".to_owned(),
        "32" => "MPV".to_owned(),
        "33" => "MP2T".to_owned(),
        _ => format!("RTP payload {payload}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_video_is_found() {
        let sound = "m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";
        for (description, codec) in [
            (
                "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
                Some("H264"),
            ),
            (
                "v=0\nm=video 0 RTP/AVP 96\na=rtpmap: 96 h265/90000\n",
                Some("H265"),
            ),
            ("v=0\r\nm=video 0 RTP/AVP 26\r\n", Some("JPEG")),
            ("v=0\r\nm=video 0 RTP/AVP 97\r\n", Some("RTP payload 97")),
            (
                "v=0\r\nm=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(
                video_codec(description.as_bytes()).as_deref(),
                codec,
                "{description}"
            );
            // Sound before or after it changes nothing.
            assert_eq!(
                video_codec(format!("{sound}{description}").as_bytes()).as_deref(),
                codec
            );
            assert_eq!(
                video_codec(format!("{description}{sound}").as_bytes()).as_deref(),
                codec
            );
        }
        assert_eq!(video_codec(b"\xff\xfe m=video").as_deref(), None);
        let two =
            b"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\nm=video 0 RTP/AVP 97\na=rtpmap:97 H265/90000\n";
        assert_eq!(video_codec(two).as_deref(), Some("H264"));
    }
}
