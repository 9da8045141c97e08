//! One `mongod` process: its folder, its port, its life and death.

use crate::access::Access;
use crate::fixtures::MongodBinary;
use crate::process::Process;
use crate::scratch::Port;
use rustix::process::Signal;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a server may take from start to its first hello.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to end after SIGTERM (a primary waits 15 s of its own accord).
const STOP_LIMIT: Duration = Duration::from_secs(40);
const LOG: &str = "mongod.log";
const OUTPUT: &str = "mongod.out";

/// What a server process is doing, as far as signals go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// Not started, or ended.
    Stopped,
    /// Running, or about to end after a SIGTERM.
    Running,
    /// Stopped by SIGSTOP: its sockets stay open and nobody answers.
    Paused,
}

#[derive(Debug)]
pub(crate) struct Server {
    binary: MongodBinary,
    args: Vec<String>,
    dir: PathBuf,
    port: Port,
    access: Access,
    process: Option<Process>,
    paused: bool,
}

impl Server {
    /// Prepares a server; nothing is started yet.
    pub(crate) fn new(
        binary: MongodBinary,
        dir: PathBuf,
        args: Vec<String>,
        access: Access,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        Ok(Server { binary, args, dir, port: Port::reserve()?, access, process: None, paused: false })
    }

    /// Where it listens itself, whatever stands before it.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    pub(crate) fn state(&mut self) -> ProcessState {
        if self.process.as_mut().is_none_or(Process::ended) {
            ProcessState::Stopped
        } else if self.paused {
            ProcessState::Paused
        } else {
            ProcessState::Running
        }
    }

    /// Starts the process without waiting for it.
    pub(crate) fn spawn(&mut self) -> Result<(), String> {
        let mut command = Command::new(&self.binary.path);
        command.envs(self.binary.env.iter().map(|(k, v)| (k, v)));
        command.args(["--bind_ip", "127.0.0.1", "--port"]).arg(self.port.number().to_string());
        command.arg("--dbpath").arg(&self.dir).arg("--logpath").arg(self.log()).arg("--logappend");
        command.args(["--quiet", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]);
        command.args(["--setParameter", "enableTestCommands=1"]);
        command.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
        command.args(&self.args);
        let process = File::create(self.dir.join(OUTPUT))
            .and_then(|output| Process::spawn(&command, &output))
            .map_err(|e| format!("{} cannot be started: {e}", self.binary.path.display()))?;
        self.paused = false;
        self.process = Some(process);
        Ok(())
    }

    /// Waits until it answers hello. One that died because its port was taken meanwhile gets another port, unless it
    /// must `keep_port` because others know it by that.
    pub(crate) fn wait_until_up(&mut self, keep_port: bool) -> Result<(), String> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Ok(mut admin) = self.access.dial(&self.address(), Duration::from_secs(10))
                && admin.hello().is_ok()
            {
                return Ok(());
            }
            if self.process.as_mut().is_none_or(Process::ended) {
                if keep_port || !self.log_tail().contains("ddress already in use") {
                    return Err(format!("mongod ended at its start:\n{}", self.log_tail()));
                }
                self.port = Port::reserve().map_err(|e| e.to_string())?;
                let _ = std::fs::remove_file(self.log());
                self.spawn()?;
            }
            if Instant::now() > deadline {
                return Err(format!("mongod does not answer after {START_LIMIT:?}:\n{}", self.log_tail()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn terminate(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGKILL, and gone when this returns.
    pub(crate) fn kill(&mut self) {
        self.paused = false;
        self.process = None;
    }

    pub(crate) fn pause(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        self.paused = true;
        Ok(())
    }

    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)?;
        self.paused = false;
        Ok(())
    }

    /// Waits until the process has ended.
    pub(crate) fn wait_until_ended(&mut self, timeout: Duration) -> bool {
        self.process.as_mut().is_none_or(|p| p.wait(timeout))
    }

    /// Starts it again on its data and port: after its own end when it is ending, else after a SIGTERM.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        if self.paused {
            self.resume().map_err(|e| e.to_string())?;
        }
        if self.state() != ProcessState::Stopped {
            self.terminate().map_err(|e| e.to_string())?;
            self.wait_until_ended(STOP_LIMIT);
        }
        self.kill();
        self.spawn()?;
        self.wait_until_up(true)
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if let Some(process) = &mut self.process
            && !process.ended()
        {
            return process.signal(signal);
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "the server is not running"))
    }

    fn log(&self) -> PathBuf {
        self.dir.join(LOG)
    }

    /// The end of what the server said: on its outputs before it opened its log, then there.
    pub(crate) fn log_tail(&self) -> String {
        [OUTPUT, LOG].iter().filter_map(|name| tail(&self.dir.join(name)).ok()).collect()
    }
}

/// The last few kilobytes of a file.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}
