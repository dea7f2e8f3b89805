//! Sipward policy `rate-limit`: how many requests a sender may make.
//!
//! See the README for threats, settings, examples and limits.

mod rule;
mod settings;

use sipward_plugin_sdk::NetworkMap;
use sipward_plugin_sdk::prelude::*;

use rule::{Rule, Sender, Verdict};
pub use settings::Settings;

/// Rules of one instance. 16: each is a host call on every request.
const RULES: usize = 16;

/// The configured policy.
pub struct RateLimit {
    rules: Vec<Rule>,
    exempt_networks: NetworkMap<()>,
    exempt_peers: Vec<String>,
    ipv4_prefix: u8,
    ipv6_prefix: u8,
}

#[policy]
impl Policy for RateLimit {
    type Settings = Settings;

    const CAPABILITIES: &'static [Capability] = &[Capability::Counters];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        check(&settings)?;
        let flood_factor = settings.flood_factor;
        let rules = settings
            .rules
            .into_iter()
            .map(|rule| Rule::new(rule, flood_factor));
        Ok(Self {
            rules: rules.collect(),
            exempt_networks: settings.exempt.networks.into_iter().collect(),
            exempt_peers: settings.exempt.peers,
            ipv4_prefix: settings.ipv4_prefix,
            ipv6_prefix: settings.ipv6_prefix,
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        let peer = request.peer();
        let name = peer.name();
        if self.exempt_networks.contains(peer.address())
            || self
                .exempt_peers
                .iter()
                .any(|exempt| Some(exempt.as_str()) == name)
        {
            return Outcome::next();
        }
        let sender = Sender::new(request, self.ipv4_prefix, self.ipv6_prefix);
        let limited = self
            .rules
            .iter()
            .filter(|rule| rule.concerns(request.method_name()));
        for rule in limited {
            match rule.judge(&sender) {
                Verdict::Within => {}
                Verdict::Excess { retry_after_s } => {
                    return Outcome::reject(503)
                        .retry_after(retry_after_s)
                        .because(format!(
                            "{} exceeds rule {}",
                            sender.describe(),
                            rule.name()
                        ));
                }
                Verdict::Flood => {
                    return Outcome::silence().because(format!(
                        "{} floods rule {}",
                        sender.describe(),
                        rule.name()
                    ));
                }
            }
        }
        Outcome::next()
    }
}

fn check(settings: &Settings) -> Result<(), SettingsError> {
    let wrong = |key: &str, message: String| Err(SettingsError::new(key, message));
    let count = settings.rules.len();
    if !(1..=RULES).contains(&count) {
        return wrong(
            "rules",
            format!("has {count} rules; 1 to {RULES} are possible"),
        );
    }
    for (key, value, most) in [
        ("ipv4_prefix", u32::from(settings.ipv4_prefix), 32),
        ("ipv6_prefix", u32::from(settings.ipv6_prefix), 128),
        ("flood_factor", settings.flood_factor, 1_000),
    ] {
        if !(1..=most).contains(&value) {
            return wrong(key, format!("is {value}; 1 to {most} is possible"));
        }
    }
    for (index, rule) in settings.rules.iter().enumerate() {
        let key = |field: &str| format!("rules[{index}].{field}");
        if settings
            .rules
            .iter()
            .take(index)
            .any(|earlier| earlier.name == rule.name)
        {
            return wrong(
                &key("name"),
                format!("`{}` is the name of an earlier rule", rule.name),
            );
        }
        rule::check(rule).or_else(|(field, message)| wrong(&key(field), message))?;
    }
    Ok(())
}
