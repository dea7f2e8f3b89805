//! Watching the files that a configuration is made of.
//!
//! Editors and package managers replace files by renaming, so the folders are
//! watched and events are matched by path. A burst of events becomes one signal.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Quiet time after the last event before a change is reported: a writer may
/// write a file in several steps.
const SETTLE: Duration = Duration::from_millis(200);

/// Reports changes of a set of files.
pub(crate) struct FileWatch {
    watcher: RecommendedWatcher,
    files: Arc<Mutex<BTreeSet<PathBuf>>>,
    folders: BTreeSet<PathBuf>,
    settled: Arc<Notify>,
    settling: AbortHandle,
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        self.settling.abort();
    }
}

impl FileWatch {
    /// Start with no files, on a tokio runtime.
    ///
    /// # Errors
    /// The operating system offers no watch.
    pub(crate) fn new() -> notify::Result<Self> {
        let files: Arc<Mutex<BTreeSet<PathBuf>>> = Arc::default();
        let changed = Arc::new(Notify::new());
        let (watched, signal) = (Arc::clone(&files), Arc::clone(&changed));
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            let watched = watched.lock();
            if event.paths.iter().any(|path| watched.contains(path)) {
                signal.notify_one();
            }
        })?;
        // A task of its own, because whoever waits may stop waiting half-way.
        let settled = Arc::new(Notify::new());
        let tell = Arc::clone(&settled);
        let settling = tokio::spawn(async move {
            loop {
                changed.notified().await;
                while tokio::time::timeout(SETTLE, changed.notified())
                    .await
                    .is_ok()
                {}
                tell.notify_one();
            }
        });
        Ok(Self {
            watcher,
            files,
            folders: BTreeSet::new(),
            settled,
            settling: settling.abort_handle(),
        })
    }

    /// Watch exactly these files from now on.
    pub(crate) fn set(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let files: BTreeSet<PathBuf> = files.into_iter().map(|file| absolute(&file)).collect();
        let folders: BTreeSet<PathBuf> = files
            .iter()
            .filter_map(|file| file.parent().map(Path::to_owned))
            .collect();
        for gone in self.folders.difference(&folders) {
            // A folder that vanished is no longer watched anyway.
            let _vanished = self.watcher.unwatch(gone);
        }
        for added in folders.difference(&self.folders) {
            if let Err(error) = self.watcher.watch(added, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %added.display(), %error, "cannot watch for changes; reload by signal or command");
            }
        }
        self.folders = folders;
        *self.files.lock() = files;
    }

    /// Wait until a watched file has changed and writing has settled. Nothing is
    /// lost if this is dropped before it is done.
    pub(crate) async fn changed(&self) {
        self.settled.notified().await;
    }
}

fn absolute(path: &Path) -> PathBuf {
    // The folder is resolved, the name is not: events name the link itself.
    match (
        path.parent()
            .filter(|folder| !folder.as_os_str().is_empty()),
        path.file_name(),
    ) {
        (Some(folder), Some(name)) => folder
            .canonicalize()
            .unwrap_or_else(|_| folder.to_owned())
            .join(name),
        (None, Some(name)) => std::env::current_dir().unwrap_or_default().join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_told_even_to_one_who_looked_away() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("watched");
        std::fs::write(&file, "old").unwrap();
        let mut watch = FileWatch::new().unwrap();
        watch.set([file.clone()]);
        let quiet = tokio::time::timeout(SETTLE * 2, watch.changed()).await;
        assert!(quiet.is_err(), "nothing has changed");

        // Replaced by renaming, as editors do, beside a file that is not watched.
        std::fs::write(folder.path().join("other"), "x").unwrap();
        std::fs::write(folder.path().join("new"), "new").unwrap();
        std::fs::rename(folder.path().join("new"), &file).unwrap();
        for _ in 0..100 {
            if tokio::time::timeout(SETTLE / 4, watch.changed())
                .await
                .is_ok()
            {
                return;
            }
        }
        panic!("the change was never told");
    }
}
