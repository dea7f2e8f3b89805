//! The plugins that ship, as components in the real host with real state, leases,
//! places, lists and credentials: allowed, refused, the boundary between, settings that
//! are wrong, a reload while they are used, and a restart on the same state. What each
//! rule means is tested beside its plugin; here it is that the whole works.
//!
//! `scene` is the stage: `asking` writes requests, `props` is what the host knows,
//! `calls` follows calls as the proxy does, `door` has phones that prove who they are.

mod asking;
mod authenticator;
mod business_hours;
mod call_code;
mod call_limits;
mod caller_identity;
mod calls;
mod destination_limits;
mod digest_auth;
mod door;
mod encryption_required;
mod fraud_score;
mod geo_fence;
mod ip_acl;
mod media_guard;
#[expect(
    dead_code,
    reason = "the writer makes more kinds of values than are looked at here"
)]
#[path = "../../../host/geo/tests/suite/mmdb.rs"]
mod mmdb;
mod props;
mod rate_limit;
mod scanner_guard;
mod scene;
mod tls_identity;
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
