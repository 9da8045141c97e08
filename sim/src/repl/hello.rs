//! The replica set's part of `hello`.

use super::config::{ConfigVersion, MemberConfig};
use super::log::NOTHING;
use super::state::MemberState;
use super::wall::{date_of, optime_doc};
use super::{Member, Output};
use bson::{Bson, Document, doc, oid::ObjectId};
use quorate_core::Instant;

type Belongs = fn(&MemberConfig) -> bool;

/// What of `hello` raises `topologyVersion` when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    state: MemberState,
    writable: bool,
    primary: Option<i32>,
    config: ConfigVersion,
    member: Option<i32>,
    term: Option<i64>,
    leaving: bool,
}

impl Member {
    pub(super) fn show_hello(&mut self) {
        let shown = Shown {
            state: self.state(),
            writable: self.is_writable_primary(),
            primary: self.primary,
            config: self.config_number(),
            member: self.me,
            term: self.is_primary().then_some(self.term),
            leaving: self.is_quiescing(),
        };
        if self.shown.as_ref() != Some(&shown) {
            self.shown = Some(shown);
            self.outputs.push_back(Output::HelloChanged);
        }
    }

    /// The fields of `hello` that a replica set adds, in the server's order: from `hosts` to `lastWrite`. The caller puts
    /// `topologyVersion` before and the rest after, and says `ismaster` for `isWritablePrimary` to those who asked so.
    pub fn hello_fields(&self, _now: Instant) -> Document {
        let (Some(config), Some(me)) = (&self.disk.config, self.member_config()) else {
            return doc! {
                "isWritablePrimary": false, "secondary": false,
                "info": "Does not have a valid replica set config", "isreplicaset": true,
            };
        };
        let mut hello = Document::new();
        let lists: [(&str, Belongs); 3] = [
            ("hosts", |of| !of.hidden && !of.arbiter_only && of.priority > 0.0),
            ("passives", |of| !of.hidden && !of.arbiter_only && of.priority <= 0.0),
            ("arbiters", |of| !of.hidden && of.arbiter_only),
        ];
        for (name, belongs) in lists {
            let hosts: Vec<Bson> =
                config.members.iter().filter(|of| belongs(of)).map(|of| of.host.to_string().into()).collect();
            if !hosts.is_empty() {
                hello.insert(name, hosts);
            }
        }
        hello.insert("setName", &config.name);
        hello.insert("setVersion", i32::try_from(config.version).unwrap_or(i32::MAX));
        hello.insert("isWritablePrimary", self.is_writable_primary());
        // Whoever catches up before it takes writes calls itself a secondary.
        hello.insert("secondary", self.is_catching_up() || self.state() == MemberState::Secondary);
        if let Some(primary) = self.primary() {
            hello.insert("primary", primary.to_string());
        }
        self.own_part(me, &mut hello);
        hello.insert("me", self.host.to_string());
        if let Some(id) = self.election_id() {
            hello.insert("electionId", ObjectId::from_bytes(id));
        }
        hello.insert("lastWrite", self.last_write());
        hello
    }

    fn own_part(&self, me: &MemberConfig, hello: &mut Document) {
        if me.arbiter_only {
            hello.insert("arbiterOnly", true);
        } else if me.priority <= 0.0 {
            hello.insert("passive", true);
        }
        if me.hidden {
            hello.insert("hidden", true);
        }
        if !me.secondary_delay.is_zero() {
            let secs = i32::try_from(me.secondary_delay.as_secs()).unwrap_or(i32::MAX);
            hello.insert("secondaryDelaySecs", secs);
        }
        if !me.tags.is_empty() {
            let tags: Document = me.tags.iter().map(|(k, v)| (k.clone(), Bson::from(v.as_str()))).collect();
            hello.insert("tags", tags);
        }
    }

    fn last_write(&self) -> Document {
        let applied = self.last_applied();
        let mut last = doc! { "opTime": optime_doc(applied), "lastWriteDate": date_of(applied) };
        if self.commit > NOTHING {
            last.insert("majorityOpTime", optime_doc(self.commit));
            last.insert("majorityWriteDate", date_of(self.commit));
        }
        last
    }
}
