//! What a group of processes costs, read from `/proc`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// Clock ticks of a second in `/proc/PID/stat`: fixed at 100 by Linux's interface.
const TICKS: u64 = 100;

/// How often memory is looked at. Reading it costs the subject a lock, so seldom.
const INTERVAL: Duration = Duration::from_secs(1);

/// User and system time of every process of the group, and of its children that
/// have ended.
pub(crate) fn cpu(group: u32) -> Result<Duration> {
    let ticks: u64 = processes(group)?.iter().map(|it| it.ticks).sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

struct Process {
    id: u32,
    ticks: u64,
}

fn processes(group: u32) -> Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")
        .context("failed to list processes")?
        .flatten()
    {
        let Some(id) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        // A process may end while the list is read.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if let Some((its_group, ticks)) = fields(&stat)
            && its_group == group
        {
            found.push(Process { id, ticks });
        }
    }
    Ok(found)
}

/// Process group, and the sum of utime, stime, cutime and cstime: fields 5 and 14 to
/// 17 of proc(5). The program's name, in parentheses, may hold spaces.
fn fields(stat: &str) -> Option<(u32, u64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let group = words.get(2)?.parse().ok()?;
    let times = words.get(11..15)?;
    let ticks = times
        .iter()
        .map(|it| it.parse::<u64>())
        .sum::<Result<u64, _>>()
        .ok()?;
    Some((group, ticks))
}

/// Memory of the group in KiB. Pages that processes share count once in all.
fn memory_kib(group: u32) -> u64 {
    let processes = processes(group).unwrap_or_default();
    processes
        .iter()
        .filter_map(|it| proportional_kib(it.id))
        .sum()
}

fn proportional_kib(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().split(' ').next()?.parse().ok()
}

/// Looks at the memory of a group until it is asked for the peak.
pub(crate) struct Watch {
    peak: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    /// Begin to look.
    pub(crate) fn start(group: u32) -> Self {
        let (peak, done) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (highest, stop) = (Arc::clone(&peak), Arc::clone(&done));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                highest.fetch_max(memory_kib(group), Ordering::Relaxed);
                thread::sleep(INTERVAL);
            }
            highest.fetch_max(memory_kib(group), Ordering::Relaxed);
        });
        Self {
            peak,
            done,
            thread: Some(thread),
        }
    }

    /// The highest figure seen.
    pub(crate) fn peak_kib(mut self) -> u64 {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A watch that panicked leaves the figures it had.
            let _ended = thread.join();
        }
        self.peak.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_and_parentheses_do_not_shift_the_fields() {
        let stat = "12 (a b) c) S 1 42 42 0 -1 4194560 1 0 0 0 7 3 2 1 20 0 1 0 5 6 7";
        assert_eq!(fields(stat), Some((42, 13)));
        assert_eq!(fields("12 (a"), None);
    }

    #[test]
    fn our_own_process_is_found() {
        let id = std::process::id();
        assert!(proportional_kib(id).is_some_and(|it| it > 0));
    }
}
