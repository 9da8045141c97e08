//! Which process opened a loopback connection, as `/proc` tells.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The process ids of a set's members, by index; `None` for one that does not run.
pub(crate) type Pids = Arc<Mutex<Vec<Option<u32>>>>;

/// The index in `pids` of the process that owns the socket bound to `peer` and connected to `local`.
pub(crate) fn origin_by_pid(pids: &Pids, peer: SocketAddr, local: SocketAddr) -> Option<usize> {
    let inode = socket_inode(peer, local)?;
    let wanted = format!("socket:[{inode}]");
    let pids = pids.lock().unwrap_or_else(PoisonError::into_inner).clone();
    pids.iter().position(|pid| pid.is_some_and(|pid| owns(pid, &wanted)))
}

fn owns(pid: u32, socket: &str) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|f| std::fs::read_link(f.path()).is_ok_and(|to| to.as_os_str() == socket))
}

/// The inode of the connection's socket at its opener's end.
fn socket_inode(peer: SocketAddr, local: SocketAddr) -> Option<u64> {
    let (SocketAddr::V4(peer), SocketAddr::V4(local)) = (peer, local) else { return None };
    let hex =
        |a: std::net::SocketAddrV4| format!("{:08X}:{:04X}", u32::from_ne_bytes(a.ip().octets()), a.port());
    let (from, to) = (hex(peer), hex(local));
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let opener = fields.nth(1)? == from && fields.next()? == to;
        opener.then(|| fields.nth(6)?.parse().ok()).flatten()
    })
}
