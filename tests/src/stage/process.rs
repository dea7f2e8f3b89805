//! What the system says about a process.

use std::fs;

/// Its memory: pages that it has now, KiB.
///
/// # Panics
/// It is gone.
#[must_use]
pub fn rss_kib(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.trim().split(' ').next());
    number.and_then(|it| it.parse().ok()).expect("its memory")
}

/// Its open file descriptors.
///
/// # Panics
/// It is gone.
#[must_use]
pub fn descriptors(process: u32) -> u64 {
    let folder = fs::read_dir(format!("/proc/{process}/fd")).expect("its descriptors");
    folder.count() as u64
}

/// Its threads.
///
/// # Panics
/// It is gone.
#[must_use]
pub fn threads(process: u32) -> u64 {
    let folder = fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    folder.count() as u64
}

/// Parts that its addresses are mapped in; the system allows 65,530.
///
/// # Panics
/// It is gone.
#[must_use]
pub fn mappings(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/maps")).expect("its mappings");
    text.lines().count() as u64
}
