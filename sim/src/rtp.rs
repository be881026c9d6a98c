//! RTP: cutting pictures into packets (RFC 6184, RFC 7798), framing them for RTSP over TCP
//! (RFC 2326 10.12), and RTCP sender reports.

use bytes::Bytes;

use crate::clip::AccessUnit;
use crate::media::Media;

/// Largest RTP payload, bytes: what MediaMTX may pass on as UDP without cutting it anew.
pub const MAX_PAYLOAD: usize = 1200;

/// One RTP payload, still pointing into the clip.
#[derive(Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A NAL unit as it is.
    Single(&'a [u8]),
    /// Several small ones: STAP-A, or an aggregation packet of H.265.
    Aggregate {
        /// Payload header.
        header: Vec<u8>,
        /// The NAL units.
        nals: &'a [Bytes],
    },
    /// A piece of a big one: FU-A, or a fragmentation unit of H.265.
    Fragment {
        /// Payload header.
        header: Vec<u8>,
        /// The piece.
        part: &'a [u8],
    },
}

impl Payload<'_> {
    /// Bytes on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Single(nal) => nal.len(),
            Self::Aggregate { header, nals } => {
                header.len() + nals.iter().map(|nal| 2 + nal.len()).sum::<usize>()
            }
            Self::Fragment { header, part } => header.len() + part.len(),
        }
    }

    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Single(nal) => out.extend_from_slice(nal),
            Self::Aggregate { header, nals } => {
                out.extend_from_slice(header);
                for nal in *nals {
                    // Fits: an aggregate is never larger than a packet.
                    out.extend_from_slice(&(nal.len() as u16).to_be_bytes());
                    out.extend_from_slice(nal);
                }
            }
            Self::Fragment { header, part } => {
                out.extend_from_slice(header);
                out.extend_from_slice(part);
            }
        }
    }
}

/// Cuts a picture into payloads of at most `limit` bytes (at least 16).
#[must_use]
pub fn packetize(media: Media, nals: &[Bytes], limit: usize) -> Vec<Payload<'_>> {
    let header = if media == Media::H265 { 2 } else { 1 };
    let mut payloads = Vec::new();
    let mut rest = nals;
    while let Some((first, after)) = rest.split_first() {
        let mut size = header;
        let fitting = rest.iter().take_while(|nal| {
            size += 2 + nal.len();
            size <= limit
        });
        let count = fitting.count();
        if count > 1 && media != Media::Pcmu {
            let (together, after) = rest.split_at(count);
            payloads.push(Payload::Aggregate {
                header: aggregate_header(media, together),
                nals: together,
            });
            rest = after;
            continue;
        }
        if first.len() <= limit || media == Media::Pcmu {
            payloads.push(Payload::Single(first));
        } else {
            fragment(media, first, limit, &mut payloads);
        }
        rest = after;
    }
    payloads
}

fn aggregate_header(media: Media, nals: &[Bytes]) -> Vec<u8> {
    let first = |nal: &Bytes| nal.first().copied().unwrap_or_default();
    if media == Media::H265 {
        // Type 48, the lowest layer and temporal id of those inside.
        let second = nals
            .iter()
            .filter_map(|nal| nal.get(1).copied())
            .min()
            .unwrap_or(1);
        return vec![48 << 1, second];
    }
    // Type 24, the highest nal_ref_idc of those inside.
    let reference = nals.iter().map(|nal| first(nal) & 0x60).max().unwrap_or(0);
    let forbidden = nals.iter().fold(0, |bits, nal| bits | (first(nal) & 0x80));
    vec![forbidden | reference | 24]
}

fn fragment<'a>(media: Media, nal: &'a [u8], limit: usize, payloads: &mut Vec<Payload<'a>>) {
    let (head, body) = nal.split_at(if media == Media::H265 {
        2.min(nal.len())
    } else {
        1.min(nal.len())
    });
    let first = head.first().copied().unwrap_or_default();
    let (mut prefix, unit_type) = if media == Media::H265 {
        let second = head.get(1).copied().unwrap_or_default();
        (vec![(first & 0x81) | (49 << 1), second], (first >> 1) & 0x3f)
    } else {
        (vec![(first & 0xe0) | 28], first & 0x1f)
    };
    prefix.push(unit_type);
    let pieces = body.chunks(limit.saturating_sub(prefix.len()).max(1));
    let last = pieces.len().saturating_sub(1);
    for (at, part) in pieces.enumerate() {
        let mut header = prefix.clone();
        if let Some(fu) = header.last_mut() {
            if at == 0 {
                *fu |= 0x80;
            }
            if at == last {
                *fu |= 0x40;
            }
        }
        payloads.push(Payload::Fragment { header, part });
    }
}

/// The sending end of one RTP stream on an interleaved channel.
#[derive(Debug)]
pub struct Sender {
    media: Media,
    channel: u8,
    control_channel: u8,
    ssrc: u32,
    sequence: u16,
    packets: u32,
    octets: u32,
}

impl Sender {
    /// A stream with a random SSRC and first sequence number, as RFC 3550 asks.
    #[must_use]
    pub fn new(media: Media, channel: u8, control_channel: u8) -> Self {
        Self {
            media,
            channel,
            control_channel,
            ssrc: rand::random(),
            sequence: rand::random(),
            packets: 0,
            octets: 0,
        }
    }

    /// The number of the next packet.
    #[must_use]
    pub fn next_sequence(&self) -> u16 {
        self.sequence
    }

    /// The synchronisation source.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Appends a picture's packets, each with its `$` framing, and returns how many.
    pub fn write(&mut self, unit: &AccessUnit, timestamp: u32, out: &mut Vec<u8>) -> u64 {
        let payloads = packetize(self.media, &unit.nals, MAX_PAYLOAD);
        let last = payloads.len().saturating_sub(1);
        for (at, payload) in payloads.iter().enumerate() {
            let marker = at == last && self.media != Media::Pcmu;
            self.header(payload.size(), marker, timestamp, out);
            payload.write(out);
        }
        payloads.len() as u64
    }

    fn header(&mut self, payload: usize, marker: bool, timestamp: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&[b'$', self.channel]);
        // Fits: payloads are at most MAX_PAYLOAD.
        out.extend_from_slice(&((12 + payload) as u16).to_be_bytes());
        out.extend_from_slice(&[0x80, u8::from(marker) << 7 | self.media.payload_type()]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload as u32);
    }

    /// Appends an RTCP sender report (RFC 3550 6.4.1): `timestamp` was the time `since_1970`.
    pub fn report(&self, timestamp: u32, since_1970: std::time::Duration, out: &mut Vec<u8>) {
        // Seconds from 1900, the era of NTP, to 1970.
        const EPOCH: u64 = 2_208_988_800;
        let seconds = since_1970.as_secs().wrapping_add(EPOCH) as u32;
        let fraction = ((u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000) as u32;
        out.extend_from_slice(&[b'$', self.control_channel, 0, 28, 0x80, 200, 0, 6]);
        for word in [self.ssrc, seconds, fraction, timestamp, self.packets, self.octets] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The NAL units in a picture's payloads, put together by the RFCs' own rules.
    fn depacketize(media: Media, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let head = if media == Media::H265 { 2 } else { 1 };
        let mut nals: Vec<Vec<u8>> = Vec::new();
        for payload in payloads {
            let unit_type = if media == Media::H265 {
                (payload[0] >> 1) & 0x3f
            } else {
                payload[0] & 0x1f
            };
            match (media, unit_type) {
                (Media::H264, 24) | (Media::H265, 48) => {
                    let mut rest = &payload[head..];
                    while !rest.is_empty() {
                        let size = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                        nals.push(rest[2..2 + size].to_vec());
                        rest = &rest[2 + size..];
                    }
                }
                (Media::H264, 28) | (Media::H265, 49) => {
                    let fu = payload[head];
                    assert_ne!(fu & 0xc0, 0xc0, "start and end in one: not allowed");
                    if fu & 0x80 != 0 {
                        nals.push(if media == Media::H265 {
                            vec![(payload[0] & 0x81) | ((fu & 0x3f) << 1), payload[1]]
                        } else {
                            vec![(payload[0] & 0xe0) | (fu & 0x1f)]
                        });
                    }
                    nals.last_mut()
                        .expect("a start before")
                        .extend_from_slice(&payload[head + 1..]);
                }
                _ => nals.push(payload.clone()),
            }
        }
        nals
    }

    fn nal(media: Media) -> impl Strategy<Value = Bytes> {
        let size = prop_oneof![3usize..40, 1100usize..1300, 1300usize..9000];
        (size, 0u8..=3, 1u8..24, any::<u8>()).prop_map(move |(size, reference, unit_type, filling)| {
            let mut bytes = vec![filling; size];
            bytes[0] = if media == Media::H265 {
                unit_type << 1
            } else {
                reference << 5 | unit_type
            };
            if media == Media::H265 {
                bytes[1] = 1;
            }
            Bytes::from(bytes)
        })
    }

    fn pictures() -> impl Strategy<Value = (Media, Vec<Bytes>)> {
        prop_oneof![Just(Media::H264), Just(Media::H265)]
            .prop_flat_map(|media| (Just(media), proptest::collection::vec(nal(media), 1..12)))
    }

    proptest! {
        #[test]
        fn what_is_cut_is_put_together_again((media, nals) in pictures(), limit in 64usize..=MAX_PAYLOAD) {
            let payloads = packetize(media, &nals, limit);
            let mut written = Vec::new();
            for payload in &payloads {
                let mut bytes = Vec::new();
                payload.write(&mut bytes);
                prop_assert_eq!(bytes.len(), payload.size());
                prop_assert!(bytes.len() <= limit);
                written.push(bytes);
            }
            prop_assert_eq!(depacketize(media, &written), nals);
        }
    }

    fn unit(nals: Vec<Bytes>) -> AccessUnit {
        AccessUnit {
            nals,
            key: true,
            delay: 0,
        }
    }

    /// Splits interleaved bytes into (channel, packet).
    fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
        let mut found = Vec::new();
        while let [b'$', channel, high, low, rest @ ..] = bytes {
            let (packet, after) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            found.push((*channel, packet));
            bytes = after;
        }
        assert!(bytes.is_empty());
        found
    }

    #[test]
    fn sequence_numbers_go_on_and_the_last_packet_of_a_picture_is_marked() {
        let mut sender = Sender::new(Media::H264, 4, 5);
        sender.sequence = u16::MAX;
        let big = unit(vec![Bytes::from(vec![0x65; 3000])]);
        let mut out = Vec::new();
        assert_eq!(sender.write(&big, 7, &mut out), 3);
        assert_eq!(sender.write(&big, 8, &mut out), 3);
        let packets = frames(&out);
        let numbers: Vec<_> = packets
            .iter()
            .map(|(_, packet)| u16::from_be_bytes([packet[2], packet[3]]))
            .collect();
        assert_eq!(numbers, [65535, 0, 1, 2, 3, 4]);
        let marked: Vec<_> = packets.iter().map(|(_, packet)| packet[1]).collect();
        assert_eq!(marked, [96, 96, 0x80 | 96, 96, 96, 0x80 | 96]);
        assert!(
            packets
                .iter()
                .all(|(channel, packet)| *channel == 4 && packet[0] == 0x80)
        );
        assert_eq!(packets[0].1[4..8], [0, 0, 0, 7]);
        assert_eq!(packets[3].1[4..8], [0, 0, 0, 8]);
    }

    #[test]
    fn a_report_tells_the_time_and_what_was_sent() {
        let mut sender = Sender::new(Media::H264, 0, 1);
        let mut out = Vec::new();
        sender.write(&unit(vec![Bytes::from_static(&[0x65, 1, 2, 3])]), 9, &mut out);
        out.clear();
        sender.report(9, std::time::Duration::from_millis(1500), &mut out);
        let packets = frames(&out);
        let (channel, report) = packets[0];
        assert_eq!((channel, &report[..4]), (1, &[0x80, 200, 0, 6][..]));
        assert_eq!(report[4..8], sender.ssrc.to_be_bytes());
        assert_eq!(report[8..12], 2_208_988_801u32.to_be_bytes());
        assert_eq!(report[12..16], 0x8000_0000u32.to_be_bytes());
        assert_eq!(report[16..28], [0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 4]);
    }
}
