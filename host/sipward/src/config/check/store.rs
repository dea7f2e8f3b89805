//! The store of accounts.

use std::os::unix::fs::MetadataExt;

use super::{Checks, Part};
use crate::config::CredentialStore;
use crate::config::place::KeyPath;

impl Checks<'_, '_, '_> {
    pub(super) fn credential_store(&mut self) {
        let Some(store) = &self.config.credential_store else {
            return;
        };
        match std::fs::metadata(&store.file) {
            Ok(about) if about.is_file() => {}
            Ok(_) => self.wrong(
                &key("file"),
                format!("{} is no file", store.file.display()),
                "name the file that `sipward credential init` makes",
            ),
            Err(error) => self.wrong(
                &key("file"),
                format!("failed to read {}: {error}", store.file.display()),
                "make the store by `sipward credential init`, or name the one that there is",
            ),
        }
        self.store_key(store);
        if !(1..=accounts::MAX_AGE_DAYS).contains(&store.max_age_days) {
            self.wrong(
                &key("max_age_days"),
                format!("is {}", store.max_age_days),
                format!("write 1 to {} days", accounts::MAX_AGE_DAYS),
            );
        } else if store.warn_days > store.max_age_days {
            self.wrong(
                &key("warn_days"),
                format!("is above max_age_days, which is {}", store.max_age_days),
                "write less, or 0 for no warnings",
            );
        }
    }
    fn store_key(&mut self, store: &CredentialStore) {
        if store.key_file.is_some() && store.key_env.is_some() {
            self.wrong_at(
                &key("key_env"),
                Part::Key,
                "is one key too many",
                "write `key_file` or `key_env`, not both",
            );
        }
        if let Some(file) = &store.key_file {
            self.readable(&key("key_file"), file);
            let mode = std::fs::metadata(file).map_or(0, |about| about.mode());
            if mode & 0o077 != 0 {
                self.wrong(
                    &key("key_file"),
                    format!(
                        "{} has mode {:03o}: others than its owner can reach it",
                        file.display(),
                        mode & 0o777
                    ),
                    "run `chmod 600` on it",
                );
            }
        }
        if let Some(name) = store.key_variable()
            && !self
                .environment
                .iter()
                .any(|(set, text)| set == name && !text.is_empty())
        {
            let key = match store.key_env {
                Some(_) => key("key_env"),
                None => vec!["credentials".to_owned()],
            };
            self.wrong_at(
                &key,
                Part::Key,
                format!("the environment variable {name} is not set"),
                "set it to the key, or write `key_file`",
            );
        }
    }
}

fn key(name: &str) -> KeyPath {
    vec!["credentials".to_owned(), name.to_owned()]
}
