//! Replacing a running configuration in one step.

use std::sync::Arc;

use super::Control;
use crate::assemble::{self, PreparedListeners};
use crate::config::{self, Config, Media};
use crate::shard::{self, Shard};
use crate::snapshot::Snapshot;

impl Control {
    /// Load the file again. All checks come first; then the new listeners are
    /// opened; only then does anything change.
    ///
    /// # Errors
    /// What is wrong; nothing has changed.
    pub(super) async fn reload(&mut self) -> anyhow::Result<String> {
        let loaded = config::load(&self.file)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let config = loaded.config;
        let number = self.number + 1;
        let now_ms = self.services.clock.now_ms();
        let roster = assemble::roster(&config, now_ms)?;
        let mut listeners = self.book.prepare(&config)?;
        let book = self.media.as_ref().map(|media| &media.book);
        let routing = assemble::routing(&config, &listeners.book, book)?;
        let (book, lookup_shelf) = self.lookup_shelf.book(&config, &roster.members)?;
        let book = Arc::new(book);
        let trial = self.lookups.trial(Arc::clone(&book));
        let (policy, shelf) =
            self.shelf
                .generation(number, &config, &self.engine, &self.services)?;
        drop(trial);
        let archive = self.archive.prepare(&config)?;
        self.open(&listeners).await?;
        // From here on nothing fails.
        listeners.renew_certificates();
        self.shared.set_config(assemble::transport_config(
            &config,
            listeners.book.outbound_tls(),
        ));
        self.accounts.replace(roster);
        self.accounts.warn(now_ms);
        self.lookups.replace(book);
        // What happened by itself until now counts.
        self.tend_candidates();
        self.decisions.install(&shelf, &config.plugins, now_ms);
        self.install(Snapshot::new(number, routing, policy));
        let records_off = self.archive.change(archive);
        let rules = self.archive.rules(&config);
        self.shards
            .each(|shard| shard.set_rules(Arc::clone(&rules)));
        if let Some(mut records) = records_off {
            records.stop();
        }
        for worker in &self.workers {
            for id in &listeners.removed {
                worker.transport.remove_listener(*id).await;
            }
        }
        self.retime_media(&config);
        let started = self.media.as_ref().map(|media| &media.started);
        let mut later = needs_restart(&self.config, &config);
        later.extend(media_needs_restart(started, config.media.as_ref()));
        self.number = number;
        self.shelf = shelf;
        self.lookup_shelf = lookup_shelf;
        self.book = listeners.book;
        self.config = config;
        Ok(match later.as_slice() {
            [] => format!("generation {number} is in use"),
            keys => format!(
                "generation {number} is in use; a restart is needed for {}",
                keys.join(", ")
            ),
        })
    }

    /// Calls from now on have these media timeouts. The rest of `[media]` stays until
    /// a restart.
    fn retime_media(&self, config: &Config) {
        let (Some(service), Some(media)) = (&self.media, &config.media) else {
            return;
        };
        for index in 0..self.shards.len() {
            let anchor = Arc::new(service.book.anchor(media, index));
            self.shards.with(index, |shard| shard.set_media(anchor));
        }
    }

    /// Open what is new on every worker, or nothing at all.
    async fn open(&self, listeners: &PreparedListeners) -> anyhow::Result<()> {
        let mut opened = Vec::new();
        for worker in &self.workers {
            for listener in &listeners.added {
                match worker.transport.add_listener(listener.clone()).await {
                    Ok(_) => opened.push((worker, listener.id)),
                    Err(error) => {
                        for (worker, id) in opened {
                            worker.transport.remove_listener(id).await;
                        }
                        return Err(error.into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Hand a generation to every shard. While one is held, calls wait: so what it needs is
    /// made before, and what it had is dropped afterwards.
    fn install(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        for index in 0..self.shards.len() {
            let before = self.shards.with(index, |shard| shard.policy());
            let provisions = shard::provisions(&snapshot.policy, before.as_deref());
            let snapshot = Arc::clone(&snapshot);
            let install = |shard: &mut Shard| shard.install(snapshot, provisions);
            drop(self.shards.with(index, install));
        }
    }
}

/// What a reload cannot change.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let (old_limits, new_limits) = (&old.limits, &new.limits);
    [
        ("server.workers", old.server.workers != new.server.workers),
        (
            "server.admin_socket",
            old.server.admin_socket != new.server.admin_socket,
        ),
        (
            "server.state_dir",
            old.server.state_dir != new.server.state_dir,
        ),
        (
            "server.cache_dir",
            old.server.cache_dir != new.server.cache_dir,
        ),
        (
            "server.log_format",
            old.server.log_format != new.server.log_format,
        ),
        (
            "server.log_level",
            old.server.log_level != new.server.log_level,
        ),
        (
            "server.nonce_seconds",
            old.server.nonce_seconds != new.server.nonce_seconds,
        ),
        (
            "timers",
            old.timers.of_transactions() != new.timers.of_transactions(),
        ),
        (
            "limits.server_transactions",
            old_limits.server_transactions != new_limits.server_transactions,
        ),
        (
            "limits.client_transactions",
            old_limits.client_transactions != new_limits.client_transactions,
        ),
        (
            "limits.message_bytes",
            old_limits.message_bytes != new_limits.message_bytes,
        ),
        (
            "limits.header_count",
            old_limits.header_count != new_limits.header_count,
        ),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
    .collect()
}

/// What a reload cannot change of the media relay, which was started with `old`.
fn media_needs_restart(old: Option<&Media>, new: Option<&Media>) -> Vec<&'static str> {
    match (old, new) {
        (None, Some(_)) => vec!["media"],
        // Calls that run keep their media, and later ones have none of ours.
        (_, None) => Vec::new(),
        (Some(old), Some(new)) => [
            ("media.workers", old.workers != new.workers),
            ("media.backend", old.backend != new.backend),
            ("media.interface", old.interfaces != new.interfaces),
            ("media.limits", old.limits != new.limits),
        ]
        .into_iter()
        .filter_map(|(key, changed)| changed.then_some(key))
        .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::media_needs_restart;
    use crate::config::{Backend, Media, MediaInterface};

    fn media() -> Media {
        Media::default()
    }

    #[test]
    fn times_change_at_once_and_the_rest_of_media_at_a_restart() {
        let mut new = media();
        new.timeouts.hold_seconds = Some(1);
        let none: [&str; 0] = [];
        assert_eq!(media_needs_restart(Some(&media()), Some(&new)), none);
        new.workers += 1;
        new.backend = Backend::Epoll;
        new.limits.sessions = Some(1);
        new.interfaces.push(MediaInterface {
            name: "lan".to_owned(),
            bind: std::net::IpAddr::from([10, 0, 0, 1]).into(),
            advertised: crate::config::Addresses::default(),
            ports: crate::config::Ports { first: 2, last: 3 },
        });
        assert_eq!(
            media_needs_restart(Some(&media()), Some(&new)),
            [
                "media.workers",
                "media.backend",
                "media.interface",
                "media.limits"
            ]
        );
        assert_eq!(media_needs_restart(None, Some(&new)), ["media"]);
        assert_eq!(media_needs_restart(Some(&new), None), none);
        assert_eq!(media_needs_restart(None, None), none);
    }
}
