use super::*;
use proptest::prelude::*;

const IDENTITY: &str = "00000000-0000-0000-0000-000000000007.17";

fn look(unproven_ms: u64) -> Look<'static> {
    Look {
        identity: IDENTITY,
        since_ensured: Duration::from_millis(unproven_ms),
        unproven_for: Duration::from_millis(unproven_ms),
        refreshes: 0,
    }
}

fn room(tracks: &[(&str, bool)]) -> Room {
    let tracks = tracks
        .iter()
        .map(|&(mime, muted)| Track {
            mime: mime.into(),
            muted,
        })
        .collect();
    Room::Participants(vec![Participant {
        identity: IDENTITY.into(),
        tracks,
    }])
}

fn empty() -> Room {
    Room::Participants(vec![Participant {
        identity: "amal.1".into(),
        tracks: vec![],
    }])
}

fn reason(judgement: &Judgement) -> Option<Reason> {
    match &judgement.verdict {
        Verdict::Trouble(trouble) => Some(trouble.reason),
        _ => None,
    }
}

#[test]
fn what_is_seen_and_what_is_said() {
    use Action::{Leave, Refresh, Withdraw};
    let failed = |text: &str| Source::Failed(text.into());
    let bframes = failed("WebRTC doesn't support H264 streams with B-frames");
    // (what, room, source, milliseconds without a picture, reason, action)
    let table = [
        (
            "hevc is told at once",
            room(&[("video/H265", false)]),
            Source::Forwarding,
            400,
            Some(Reason::UnsupportedCodec),
            Leave,
        ),
        (
            "b-frames are told at once",
            empty(),
            bframes.clone(),
            400,
            Some(Reason::BFrames),
            Withdraw,
        ),
        (
            "no track: patience",
            room(&[]),
            Source::Forwarding,
            400,
            None,
            Leave,
        ),
        (
            "no track: canPublish was false",
            room(&[]),
            Source::Forwarding,
            2400,
            Some(Reason::TrackMissing),
            Refresh,
        ),
        (
            "LiveKit restarted between looks",
            empty(),
            Source::Forwarding,
            2400,
            Some(Reason::TrackMissing),
            Refresh,
        ),
        (
            "and gets its token before it is told",
            empty(),
            Source::Forwarding,
            1400,
            None,
            Refresh,
        ),
        (
            "refused",
            Room::Refused,
            Source::Forwarding,
            0,
            Some(Reason::LiveKitUnavailable),
            Leave,
        ),
        (
            "no answer: patience",
            Room::NoAnswer,
            Source::Forwarding,
            1000,
            None,
            Leave,
        ),
        (
            "no answer",
            Room::NoAnswer,
            Source::Forwarding,
            2000,
            Some(Reason::LiveKitUnavailable),
            Leave,
        ),
        (
            "camera gone",
            empty(),
            Source::Idle,
            2400,
            Some(Reason::SourceUnreachable),
            Leave,
        ),
        (
            "token refused",
            empty(),
            failed("bad status code: 401"),
            2400,
            Some(Reason::PublishFailed),
            Refresh,
        ),
        (
            "forward gone",
            empty(),
            Source::Absent,
            2400,
            Some(Reason::PublishFailed),
            Refresh,
        ),
        (
            "shard silent",
            empty(),
            Source::Unknown,
            2400,
            Some(Reason::ShardLost),
            Leave,
        ),
        (
            "muted",
            room(&[("video/H264", true)]),
            Source::Forwarding,
            400,
            Some(Reason::TrackMissing),
            Leave,
        ),
        (
            "well",
            room(&[("video/h264", false)]),
            Source::Forwarding,
            9000,
            None,
            Leave,
        ),
    ];
    for (what, room, source, unproven, expected, action) in table {
        let judgement = judge(&room, &source, look(unproven));
        assert_eq!(reason(&judgement), expected, "{what}");
        assert_eq!(judgement.action, action, "{what}");
    }
    assert_eq!(
        judge(&room(&[("video/H264", false)]), &bframes, look(0)).verdict,
        Verdict::Publishing
    );
}

#[test]
fn r2_1_25_tokens_are_given_ever_more_slowly() {
    let at = |refreshes, seconds| {
        let look = Look {
            refreshes,
            since_ensured: Duration::from_secs(seconds),
            ..look(60_000)
        };
        judge(&empty(), &Source::Forwarding, look).action
    };
    assert_eq!(
        (at(0, 1), at(1, 1), at(1, 2), at(3, 7), at(3, 8)),
        (
            Action::Refresh,
            Action::Leave,
            Action::Refresh,
            Action::Leave,
            Action::Refresh
        )
    );
    assert_eq!(at(u32::MAX, 30), Action::Refresh);
}

#[test]
fn c10_publishers_of_former_epochs_are_found_and_viewers_are_not() {
    let camera = Uuid::from_u128(7);
    let all = [
        "00000000-0000-0000-0000-000000000007.9",
        IDENTITY,
        "amal.1",
        "00000000-0000-0000-0000-000000000008.9",
    ]
    .map(|identity| Participant {
        identity: identity.into(),
        tracks: vec![],
    });
    assert_eq!(
        former(&all, camera, IDENTITY),
        ["00000000-0000-0000-0000-000000000007.9"]
    );
}

#[test]
fn ephemeral_ports_are_not_part_of_the_message() {
    let one = stable("read tcp 10.1.0.4:51022->10.96.0.9:7880: connection reset by peer");
    assert_eq!(
        one,
        stable("read tcp 10.1.0.4:51999->10.96.0.9:7880: connection reset by peer")
    );
}

proptest! {
    /// No viewer waits longer than [`PATIENCE`] without a word, whatever was seen.
    #[test]
    fn silence_ends(kind in 0_u8..6, refused in any::<bool>(), joined in any::<bool>(), refreshes in 0_u32..50, ensured in 0_u64..100_000) {
        let source = [Source::Forwarding, Source::Idle, Source::Failed("x".into()), Source::Absent, Source::Unknown,
            Source::Failed("B-frames".into())][usize::from(kind)].clone();
        let room = if refused { Room::NoAnswer } else if joined { room(&[]) } else { empty() };
        let look = Look { refreshes, since_ensured: Duration::from_millis(ensured), ..look(2_000) };
        prop_assert!(reason(&judge(&room, &source, look)).is_some());
    }
}
