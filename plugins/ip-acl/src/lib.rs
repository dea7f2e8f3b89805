//! Sipward policy `ip-acl`: who may talk to us at all, by source address.
//!
//! See the README for threats, settings, examples and limits.

mod settings;

use std::net::IpAddr;

use sipward_plugin_sdk::prelude::*;
use sipward_plugin_sdk::{Network, NetworkMap};

use settings::Answer;
pub use settings::Settings;

/// Networks in all lists together. 65,536: a national block list, about 4 MiB
/// of guest memory and a few milliseconds of `configure`.
const NETWORKS: usize = 65_536;

/// The configured policy.
pub struct IpAcl {
    inside: Rules,
    outside: Rules,
    answer: Answer,
}

/// The lists of one zone, indexed.
struct Rules {
    default_allows: bool,
    /// Whether a network is allowed.
    lists: NetworkMap<bool>,
    require_tls: NetworkMap<()>,
    require_digest: NetworkMap<()>,
}

impl Rules {
    fn new(zone: &str, settings: settings::Zone) -> Result<Self, SettingsError> {
        if let Some(both) = settings
            .allow
            .iter()
            .find(|allowed| settings.deny.contains(allowed))
        {
            return Err(SettingsError::new(
                format!("{zone}.allow"),
                format!("{both} stands in `deny` too; remove it from one of them"),
            ));
        }
        let allowed = settings.allow.into_iter().map(|network| (network, true));
        let denied = settings.deny.into_iter().map(|network| (network, false));
        Ok(Self {
            default_allows: settings.default == settings::Default::Allow,
            lists: allowed.chain(denied).collect(),
            require_tls: settings.require_tls.into_iter().collect(),
            require_digest: settings.require_digest.into_iter().collect(),
        })
    }

    /// Why a request is refused; `None` if it is not.
    fn objection(&self, request: &Request<'_>, address: IpAddr) -> Option<String> {
        match self.lists.longest(address) {
            Some((_, true)) => {}
            None if self.default_allows => {}
            Some((network, false)) => return Some(format!("{address} is in {network}, denied")),
            None => return Some(format!("{address} is in no list, default deny")),
        }
        if let Some((network, ())) = self.require_tls.longest(address)
            && !request.peer().is_encrypted()
        {
            return Some(format!("{network} has to use TLS"));
        }
        if let Some((network, ())) = self.require_digest.longest(address)
            && request.identity().is_none()
        {
            return Some(format!("{network} has to authenticate first"));
        }
        None
    }
}

#[policy]
impl Policy for IpAcl {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        let lists = |zone: &settings::Zone| -> [usize; 4] {
            [
                &zone.allow,
                &zone.deny,
                &zone.require_tls,
                &zone.require_digest,
            ]
            .map(Vec::<Network>::len)
        };
        let networks: usize = [lists(&settings.inside), lists(&settings.outside)]
            .iter()
            .flatten()
            .sum();
        if networks > NETWORKS {
            return Err(SettingsError::new(
                "",
                format!("{networks} networks in all lists; at most {NETWORKS} are possible"),
            ));
        }
        Ok(Self {
            inside: Rules::new("inside", settings.inside)?,
            outside: Rules::new("outside", settings.outside)?,
            answer: settings.answer,
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        let peer = request.peer();
        let rules = match peer.zone() {
            Zone::Inside => &self.inside,
            Zone::Outside => &self.outside,
        };
        match (rules.objection(request, peer.address()), self.answer) {
            (None, _) => Outcome::next(),
            (Some(reason), Answer::Reject) => Outcome::reject(403).because(reason),
            (Some(reason), Answer::Silence) => Outcome::silence().because(reason),
        }
    }
}
