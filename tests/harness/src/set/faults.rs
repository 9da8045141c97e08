//! Faults, each with what undoes it.

use super::ReplicaSet;
use crate::admin::AdminError;
use bson::{Document, doc};
use std::sync::PoisonError;
use std::time::Duration;

impl ReplicaSet {
    /// Makes the primary step down and stay out of elections for `secs`; returns which one it was.
    ///
    /// # Errors
    /// When there is no primary or it refuses.
    pub fn step_down(&self, secs: u32) -> Result<usize, String> {
        let primary = self.primary().ok_or("there is no primary to step down")?;
        // While 4.4 waits for a secondary it takes writes and refuses them by turns: nothing that can be tested.
        let build =
            self.command(primary, "admin", doc! { "buildInfo": 1 }).map_err(|e| format!("buildInfo: {e}"))?;
        let waits = !build.get_str("version").unwrap_or_default().starts_with("4.");
        let catch_up = if waits { i64::from(secs.saturating_sub(1).min(10)) } else { 0 };
        let command = doc! {
            "replSetStepDown": i64::from(secs.max(1)), "secondaryCatchUpPeriodSecs": catch_up, "force": true,
        };
        self.command(primary, "admin", command).map_err(|e| format!("replSetStepDown: {e}"))?;
        Ok(primary)
    }

    /// Makes a member stand for election now.
    ///
    /// # Errors
    /// When it does not win.
    pub fn step_up(&self, i: usize) -> Result<(), AdminError> {
        self.command(i, "admin", doc! { "replSetStepUp": 1 }).map(drop)
    }

    /// SIGTERM: an orderly end, for which a primary hands over first. Returns at once; see [`ReplicaSet::wait_until_ended`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn terminate(&self, i: usize) -> Result<(), String> {
        self.member(i).server().terminate().map_err(|e| e.to_string())
    }

    /// Waits until a member's process has ended; `false` when it has not in time.
    pub fn wait_until_ended(&self, i: usize, timeout: Duration) -> bool {
        self.member(i).server().wait_until_ended(timeout)
    }

    /// SIGKILL. Gone when this returns; its data stays for [`ReplicaSet::restart`].
    pub fn kill(&self, i: usize) {
        self.member(i).server().kill();
        drop(self.member(i).take_idle());
        self.note_pid(i);
    }

    /// SIGSTOP: the process hangs, its sockets stay open. Undone by [`ReplicaSet::resume`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self, i: usize) -> Result<(), String> {
        self.member(i).server().pause().map_err(|e| e.to_string())
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self, i: usize) -> Result<(), String> {
        self.member(i).server().resume().map_err(|e| e.to_string())
    }

    /// Starts a member again on its data and address; one that runs is told to end first (SIGTERM). Answers hello when this
    /// returns, but may still be catching up: see [`ReplicaSet::wait_for_healthy`].
    ///
    /// # Errors
    /// When it does not come up; the text says why.
    pub fn restart(&self, i: usize) -> Result<(), String> {
        drop(self.member(i).take_idle());
        let result = self.member(i).server().restart();
        self.note_pid(i);
        result
    }

    /// Cuts a member off from the other members and from clients: everything to it and from it waits, without a reset or an
    /// end, on open connections and on new ones. [`ReplicaSet::command`] still reaches it.
    ///
    /// # Panics
    /// When the set was not started with `proxied(true)`.
    pub fn partition(&self, i: usize) {
        self.set_partitioned(i, true);
    }

    /// Ends a partition: what waited flows on, as TCP would send it again.
    ///
    /// # Panics
    /// When the set was not started with `proxied(true)`.
    pub fn heal(&self, i: usize) {
        self.set_partitioned(i, false);
    }

    fn set_partitioned(&self, i: usize, partitioned: bool) {
        *self.member(i).isolated.lock().unwrap_or_else(PoisonError::into_inner) = partitioned;
        for j in 0..self.members.len() {
            if i == j {
                self.proxy(i).set_isolated(partitioned);
            } else {
                self.proxy(j).set_blocked(i, partitioned);
            }
        }
    }

    /// Cuts two members off from each other, while clients and everybody else reach both.
    ///
    /// # Panics
    /// When the set was not started with `proxied(true)`.
    pub fn set_link_blocked(&self, a: usize, b: usize, blocked: bool) {
        self.proxy(a).set_blocked(b, blocked);
        self.proxy(b).set_blocked(a, blocked);
    }

    /// `configureFailPoint` on a member. `mode` is `"alwaysOn"`, `"off"`, `{times: n}` and the like.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn fail_point(
        &self,
        i: usize,
        name: &str,
        mode: impl Into<bson::Bson>,
        data: Document,
    ) -> Result<(), AdminError> {
        let command = doc! { "configureFailPoint": name, "mode": mode.into(), "data": data };
        self.command(i, "admin", command).map(drop)
    }

    /// Makes a member fail the named commands `times` times with an error code.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn fail_commands(
        &self,
        i: usize,
        commands: &[&str],
        code: i32,
        times: i32,
    ) -> Result<(), AdminError> {
        let commands: Vec<String> = commands.iter().map(ToString::to_string).collect();
        self.fail_point(
            i,
            "failCommand",
            doc! { "times": times },
            doc! {
                "failCommands": commands, "errorCode": code,
            },
        )
    }

    /// Makes a member close the connection on the named commands `times` times.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn fail_connections(&self, i: usize, commands: &[&str], times: i32) -> Result<(), AdminError> {
        let commands: Vec<String> = commands.iter().map(ToString::to_string).collect();
        self.fail_point(
            i,
            "failCommand",
            doc! { "times": times },
            doc! {
                "failCommands": commands, "closeConnection": true,
            },
        )
    }

    /// Turns a fail point off.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn fail_point_off(&self, i: usize, name: &str) -> Result<(), AdminError> {
        self.command(i, "admin", doc! { "configureFailPoint": name, "mode": "off" }).map(drop)
    }
}
