//! How a member votes.

use super::Member;
use super::message::{Message, VoteReply, VoteRequest};
use super::role::Participation;
use crate::node::NodeId;
use quorate_core::Instant;

impl Member {
    /// Answers a candidate. A vote that counts is on disk before the answer leaves.
    pub(super) fn on_vote_request(&mut self, now: Instant, from: NodeId, request: &VoteRequest) {
        if request.set_name == self.set_name && self.disk.config.is_some() && !request.dry_run {
            self.see_term(now, request.term);
        }
        let refusal = self.why_not_vote(request);
        let granted = refusal.is_none();
        let reason = refusal.unwrap_or_default();
        if !request.dry_run && request.term == self.term {
            if granted {
                self.disk.vote = (request.term, Some(request.candidate));
            }
            let newest = self.peers.iter().map(|peer| peer.applied).max().unwrap_or_default();
            self.participation = Some(Participation {
                voted: granted,
                term: request.term,
                at: now,
                candidate: request.candidate,
                reason: reason.clone(),
                applied: self.last_applied(),
                newest: newest.max(self.last_applied()),
            });
        }
        self.send(from, Message::VoteReply(VoteReply { rpc: request.rpc, term: self.term, granted, reason }));
    }

    /// The rules in the server's order; `None` when the candidate may have the vote.
    fn why_not_vote(&self, request: &VoteRequest) -> Option<String> {
        let Some(config) = &self.disk.config else { return Some("no configuration yet".into()) };
        let Some(me) = self.member_config() else { return Some("not a member".into()) };
        if request.set_name != self.set_name {
            return Some(format!("the candidate's set is {}, mine is {}", request.set_name, self.set_name));
        }
        if request.term < self.term {
            return Some(format!("candidate's term ({}) is lower than mine ({})", request.term, self.term));
        }
        if config.number().is_newer_than(request.config) {
            return Some(format!(
                "candidate's config with {{version: {}, term: {}}} is older than mine with {{version: {}, term: {}}}",
                request.config.version, request.config.term, config.version, config.term
            ));
        }
        if request.applied < self.last_applied() {
            return Some(format!(
                "candidate's data is staler than mine: {:?} before {:?}",
                request.applied,
                self.last_applied()
            ));
        }
        if !request.dry_run && self.disk.vote.0 == request.term && self.disk.vote.1 != Some(request.candidate)
        {
            return Some(format!(
                "already voted for another candidate ({:?}) this term ({})",
                self.disk.vote.1, request.term
            ));
        }
        // An arbiter does not help to replace a primary that is well, except by one with a higher priority.
        let challenger = config.member(request.candidate)?;
        let healthy = self
            .peers
            .iter()
            .filter(|peer| me.arbiter_only && peer.up && peer.member != request.candidate)
            .filter(|peer| Some(peer.member) == self.primary && peer.term >= request.term)
            .find_map(|peer| config.member(peer.member));
        let outranked = healthy.filter(|primary| primary.priority >= challenger.priority)?;
        Some(format!("can see a healthy primary ({}) of equal or greater priority", outranked.host))
    }
}
