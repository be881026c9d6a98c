//! The scripts as they are sent. The text of one is its first line, the prelude, and the rest of its file; the gateway's
//! plugins put it together in the same way, and `scripts/digests` says what has to come out.

use std::sync::LazyLock;

/// One script of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Script {
    /// `reserve_stream.lua`
    Reserve,
    /// `heartbeat_stream.lua`
    Heartbeat,
    /// `release_stream.lua`
    Release,
    /// `reclaim_stream.lua`
    Reclaim,
    /// `lease_block.lua`
    Block,
    /// `sweep.lua`
    Sweep,
    /// `set_limits.lua`
    SetLimits,
    /// `end_grace.lua`
    EndGrace,
    /// `stats.lua`
    Stats,
}

/// What a script is sent as.
#[derive(Debug)]
struct Loaded {
    text: String,
    digest: String,
}

impl Loaded {
    fn new(file: &str) -> Self {
        let (first, rest) = file.split_once('\n').unwrap_or((file, ""));
        let text = [first, "\n", include_str!("../scripts/prelude.lua"), rest].concat();
        let digest = redis::Script::new(&text).get_hash().to_owned();
        Self { text, digest }
    }
}

impl Script {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Reserve,
        Self::Heartbeat,
        Self::Release,
        Self::Reclaim,
        Self::Block,
        Self::Sweep,
        Self::SetLimits,
        Self::EndGrace,
        Self::Stats,
    ];

    /// The name of its file without `.lua`: the operation's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserve => "reserve_stream",
            Self::Heartbeat => "heartbeat_stream",
            Self::Release => "release_stream",
            Self::Reclaim => "reclaim_stream",
            Self::Block => "lease_block",
            Self::Sweep => "sweep",
            Self::SetLimits => "set_limits",
            Self::EndGrace => "end_grace",
            Self::Stats => "stats",
        }
    }

    /// The whole text.
    pub fn text(self) -> &'static str {
        &self.loaded().text
    }

    /// SHA-1 of the text in hexadecimal, by which the server knows it (EVALSHA).
    pub fn digest(self) -> &'static str {
        &self.loaded().digest
    }

    fn loaded(self) -> &'static Loaded {
        macro_rules! once {
            ($file:literal) => {{
                static LOADED: LazyLock<Loaded> =
                    LazyLock::new(|| Loaded::new(include_str!(concat!("../scripts/", $file))));
                &LOADED
            }};
        }
        match self {
            Self::Reserve => once!("reserve_stream.lua"),
            Self::Heartbeat => once!("heartbeat_stream.lua"),
            Self::Release => once!("release_stream.lua"),
            Self::Reclaim => once!("reclaim_stream.lua"),
            Self::Block => once!("lease_block.lua"),
            Self::Sweep => once!("sweep.lua"),
            Self::SetLimits => once!("set_limits.lua"),
            Self::EndGrace => once!("end_grace.lua"),
            Self::Stats => once!("stats.lua"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R1.3-43: whoever changes a script sees it here, and the plugins' build compares with the same file.
    #[test]
    fn r1_3_43_digests_are_those_that_are_committed() {
        let lines: String = Script::ALL
            .iter()
            .map(|script| format!("{}  {}\n", script.digest(), script.name()))
            .collect();
        assert_eq!(
            lines,
            include_str!("../scripts/digests"),
            "scripts/digests wants:\n{lines}"
        );
    }

    #[test]
    fn the_scripts_version_is_the_callers() {
        let line = format!("\nlocal VERSION = {}\n", crate::keys::VERSION);
        for script in Script::ALL {
            assert!(script.text().starts_with("#!lua"), "{}", script.name());
            assert!(script.text().contains(&line), "{}", script.name());
        }
    }
}
