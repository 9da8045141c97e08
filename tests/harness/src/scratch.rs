//! Folders and ports of one run, shared with no other run of the machine.

use crate::fixtures::FolderLock;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Ports are taken from here: below the range the kernel hands to outgoing connections, so that a port keeps free
/// while its server is down for a restart.
const PORTS: std::ops::Range<u32> = 20_000..32_000;

/// Where everything of this user lies.
fn base() -> io::Result<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let base = std::env::temp_dir().join(format!("quorate-harness-{uid}"));
    fs::create_dir_all(&base)?;
    Ok(base)
}

/// A temporary folder, removed on drop. One whose owner was killed is removed by whoever makes the next.
///
/// With `QUORATE_KEEP` in the environment nothing is removed, for a look at the logs afterwards.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: FolderLock,
}

impl Scratch {
    pub(crate) fn new() -> io::Result<Self> {
        let base = base()?;
        let _making = FolderLock::wait(&base)?;
        sweep(&base);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("run-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path)?;
        let lock = FolderLock::wait(&path)?;
        Ok(Scratch { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("QUORATE_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes the folders nobody holds any more. The caller holds the lock of `base`.
fn sweep(base: &Path) {
    if std::env::var_os("QUORATE_KEEP").is_some() {
        return;
    }
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with("run-");
        if ours && matches!(FolderLock::try_take(&entry.path()), Ok(Some(_))) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A port of 127.0.0.1 that no other harness takes while this lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _lock: FolderLock,
}

impl Port {
    /// Finds one that is free right now.
    pub(crate) fn reserve() -> io::Result<Self> {
        Ok(Self::listen()?.0)
    }

    /// Finds one and listens on it.
    pub(crate) fn listen() -> io::Result<(Self, TcpListener)> {
        let ports = base()?.join("ports");
        let span = PORTS.end - PORTS.start;
        // Runs start at different places so that they seldom meet.
        let start = std::process::id().wrapping_mul(977);
        for _ in 0..span {
            let at = COUNTER.fetch_add(1, Ordering::Relaxed);
            let number = PORTS.start + start.wrapping_add(at) % span;
            let Ok(number) = u16::try_from(number) else { continue };
            let dir = ports.join(number.to_string());
            fs::create_dir_all(&dir)?;
            let Some(lock) = FolderLock::try_take(&dir)? else { continue };
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, number)) {
                return Ok((Port { number, _lock: lock }, listener));
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "every port of the range is taken"))
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
