//! A call of a script, and what can be called.

use std::fmt::Display;

use super::Release;
use super::code::{Code, Numbers};
use crate::keys::{Keyspace, Opening, VERSION};
use crate::lease::{Details, LeaseId, Source};
use crate::script::Script;

/// One call of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub script: Script,
    /// KEYS.
    pub keys: Vec<String>,
    /// ARGV.
    pub args: Vec<String>,
}

impl Call {
    /// The place of the run id in ARGV, which a connection's task fills in.
    pub const RUN_ID: usize = 1;
}

/// Collects KEYS and ARGV.
#[derive(Debug)]
pub struct Writer<'a> {
    space: &'a Keyspace,
    call: Call,
}

impl Writer<'_> {
    pub(super) fn key(&mut self, name: impl Display) {
        self.call.keys.push(self.space.key(name));
    }

    pub(super) fn keys_of(&mut self, source: &Source, kinds: &[&str]) {
        for kind in kinds {
            self.key(format_args!("{kind}:{source}"));
            self.key(format_args!("{kind}:total"));
        }
    }

    pub(super) fn keys_of_lease(&mut self, id: LeaseId) {
        self.key(format_args!("reservation:{id}"));
        self.key(format_args!("heartbeat:{id}"));
    }

    pub(super) fn details(&mut self, details: &Details) {
        let Details {
            camera,
            user,
            client_ip,
            holder,
            identity,
        } = details;
        for text in [camera, user, client_ip, holder, identity] {
            self.arg(text);
        }
    }

    pub(super) fn arg(&mut self, value: impl Display) {
        self.call.args.push(value.to_string());
    }
}

/// Something to ask of a script.
pub trait Request {
    /// What it answers when it refuses nothing.
    type Answer;
    /// Which script it is.
    const SCRIPT: Script;

    /// Adds its keys and arguments to those that every call has.
    fn write(&self, writer: &mut Writer<'_>);

    /// Takes the answer from what follows the code; `None` when something is missing.
    fn answer(code: Code, numbers: &mut Numbers<'_>) -> Option<Self::Answer>;

    /// The lease that it is about, if it is about one.
    fn lease(&self) -> Option<LeaseId> {
        None
    }

    /// Whether it can be granted something at all.
    fn may_grant(&self) -> bool {
        false
    }

    /// What takes back what was granted, if anything was. What was there before is granted again and not taken back.
    fn granted(&self, _: &Self::Answer) -> Option<Vec<Release>> {
        None
    }

    /// The call as it is sent.
    fn call(&self, space: &Keyspace, opening: &Opening) -> Call {
        let mut writer = Writer {
            space,
            call: Call {
                script: Self::SCRIPT,
                keys: vec![space.key("clock")],
                args: vec![
                    VERSION.to_string(),
                    opening.run_id.clone(),
                    opening.grace_ms.to_string(),
                ],
            },
        };
        self.write(&mut writer);
        writer.call
    }
}
