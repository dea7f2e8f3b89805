//! The plugins that ship, as components in the real host with real state and
//! credentials: allowed, refused, the boundary between, and settings that are wrong.
//! What each rule means is tested beside its plugin; here it is that the whole works.

mod destination_limits;
mod digest_auth;
mod door;
mod ip_acl;
mod rate_limit;
mod together;

use policy::{Conclusion, Decision};
use policy_wasm::LoadError;
use serde_json::Value;
use sipward_tests::guests::Host;

/// The loader refuses each of the settings by this key.
#[track_caller]
pub(crate) fn refuses_settings(guest: &str, cases: &[(Value, &str)]) {
    let host = Host::new();
    for (settings, key) in cases {
        match host.load(host.source(guest, settings.clone())) {
            Err(LoadError::Settings {
                key: named,
                message,
            }) => {
                assert_eq!(&named, key, "{settings}: {message}");
                assert!(!message.is_empty());
            }
            Err(other) => panic!("{settings}: {other}"),
            Ok(_) => panic!("{settings} was taken"),
        }
    }
}

pub(crate) fn dropped(conclusion: &Conclusion) -> bool {
    matches!(conclusion.decision, Decision::Drop(_))
}
