//! What the operating system counts of this process: processor time, memory, wake-ups.

use std::fs;
use std::time::Duration;

/// Processor time of all threads so far, but for the thread `but`. Threads that have ended do not count, so only
/// differences over a stretch in which none ends mean something.
pub fn cpu_time(but: u32) -> Duration {
    let nanos = threads().filter(|id| *id != but).filter_map(|id| {
        // "time spent on the cpu, in nanoseconds" comes first.
        let text = fs::read_to_string(format!("/proc/self/task/{id}/schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// How often threads of this process have gone to sleep of their own will: each was woken once.
pub fn wake_ups() -> u64 {
    threads()
        .filter_map(|id| fs::read_to_string(format!("/proc/self/task/{id}/status")).ok())
        .filter_map(|status| number(&status, "voluntary_ctxt_switches:"))
        .sum()
}

/// Resident memory, in KiB.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Memory {
    /// All of it ("VmRSS").
    pub resident: u64,
    /// Of that, what belongs to no file: heap and stacks ("RssAnon").
    pub anonymous: u64,
}

/// What this process holds now.
pub fn memory() -> Memory {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    Memory {
        resident: number(&status, "VmRSS:").unwrap_or(0),
        anonymous: number(&status, "RssAnon:").unwrap_or(0),
    }
}

fn threads() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn number(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_counts() {
        let (before, wake_ups_before) = (cpu_time(0), wake_ups());
        while cpu_time(0) - before < Duration::from_millis(20) {}
        std::thread::sleep(Duration::from_millis(5));
        assert!(wake_ups() > wake_ups_before);
        assert!(memory().resident >= memory().anonymous && memory().anonymous > 0);
    }
}
