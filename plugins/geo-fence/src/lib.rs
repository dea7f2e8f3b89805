//! Sipward policy `geo-fence`: from where in the world somebody may call.
//!
//! See the README for threats, settings, examples and limits.

mod fence;
mod settings;
mod travel;

use std::collections::BTreeSet;

use sipward_plugin_sdk::geo::Place;
use sipward_plugin_sdk::prelude::*;
use sipward_plugin_sdk::{NetworkMap, geo, identity};

use fence::{Country, Fence, is_private};
pub use settings::Settings;
use settings::{Action, Answer, Unknown};
use travel::{Journey, Travel};

/// Rules of one instance. 256: one for each group of a large company.
const RULES: usize = 256;
/// Users of one rule. 1,024: more belong into a group.
const USERS: usize = 1_024;
/// Groups of one rule. 64: more deserve a group of their own.
const GROUPS: usize = 64;

/// The annotation that tells later plugins the country.
const COUNTRY: &str = "geo.country";

/// The configured policy.
pub struct GeoFence {
    everybody: Fence,
    rules: Vec<Rule>,
    /// Whether any rule asks for groups, which costs a host call.
    groups_matter: bool,
    inside: bool,
    outside: bool,
    exempt_networks: NetworkMap<()>,
    exempt_peers: Vec<String>,
    unknown: Unknown,
    private_exempt: bool,
    answer: Answer,
    travel: Travel,
    travel_action: Action,
    travel_points: i32,
}

/// A fence for some users.
struct Rule {
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
    fence: Fence,
    travel: bool,
}

#[policy]
impl Policy for GeoFence {
    type Settings = Settings;

    const CAPABILITIES: &'static [Capability] = &[Capability::Geo, Capability::KeyValue];

    fn configure(settings: Settings) -> Result<Self, SettingsError> {
        let count = settings.rules.len();
        if count > RULES {
            let message = format!("has {count} rules; at most {RULES} are possible");
            return Err(SettingsError::new("rules", message));
        }
        let rules = settings.rules.into_iter().enumerate();
        let rules: Vec<Rule> = rules
            .map(|(index, rule)| Rule::new(rule, &format!("rules[{index}]")))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            everybody: Fence::new(&settings.everybody, "everybody")?,
            groups_matter: rules.iter().any(|rule| !rule.groups.is_empty()),
            rules,
            inside: settings.zones.contains(&settings::Zone::Inside),
            outside: settings.zones.contains(&settings::Zone::Outside),
            exempt_networks: settings.exempt.networks.into_iter().collect(),
            exempt_peers: settings.exempt.peers,
            unknown: settings.unknown,
            private_exempt: settings.private_exempt,
            answer: settings.answer,
            travel: Travel::new(&settings.travel)?,
            travel_action: settings.travel.action,
            travel_points: settings.travel.points.into(),
        })
    }

    fn on_request(&self, request: &Request<'_>) -> Outcome {
        if !self.concerns(request) {
            return Outcome::next();
        }
        let address = request.peer().address();
        let located = geo::locate(address);
        let database = located.is_ok();
        let place = located.unwrap_or_else(|_| Place::unknown());
        let rule = request.identity().and_then(|user| self.rule_of(user));
        let fence = rule.map_or(&self.everybody, |rule| &rule.fence);
        let Some(country) = Country::new(&place.country) else {
            let allowed = fence.knows_network(&place);
            return match allowed.unwrap_or(self.unknown == Unknown::Allow) {
                true => self.follow(request, rule, &place, Outcome::next()),
                false if !database => {
                    self.refuse(format!("{address}: there is no database to look it up in"))
                }
                false => self.refuse(format!("{address}: its country is unknown")),
            };
        };
        if let Some(objection) = fence.objection(country, &place) {
            let user = request.identity().unwrap_or("nobody known");
            return self.refuse(format!("{address}, {user}: {objection}"));
        }
        let outcome = Outcome::next().annotate(COUNTRY, &*place.country);
        self.follow(request, rule, &place, outcome)
    }
}

impl GeoFence {
    /// Whether the sender is looked at.
    fn concerns(&self, request: &Request<'_>) -> bool {
        // Nobody gives a password again inside a call, so that the fence of everybody
        // would end the calls of those who have another one.
        if request.dialog() != Dialog::None && request.identity().is_none() {
            return false;
        }
        let peer = request.peer();
        let zone = match peer.zone() {
            Zone::Inside => self.inside,
            Zone::Outside => self.outside,
        };
        if !zone {
            return false;
        }
        let (address, name) = (peer.address(), peer.name());
        let mut exempt_peers = self.exempt_peers.iter();
        let exempt = (self.private_exempt && is_private(address))
            || self.exempt_networks.contains(address)
            || exempt_peers.any(|exempt| Some(exempt.as_str()) == name);
        !exempt
    }

    /// The first rule that names the user.
    fn rule_of(&self, user: &str) -> Option<&Rule> {
        if self.rules.is_empty() {
            return None;
        }
        let groups = match self.groups_matter {
            true => identity::groups(user),
            false => Vec::new(),
        };
        self.rules.iter().find(|rule| {
            rule.users.contains(user) || groups.iter().any(|group| rule.groups.contains(group))
        })
    }

    /// Looks at where the user was before.
    fn follow(
        &self,
        request: &Request<'_>,
        rule: Option<&Rule>,
        place: &Place,
        outcome: Outcome,
    ) -> Outcome {
        let Some(user) = request.identity() else {
            return outcome;
        };
        if self.travel_action == Action::Off || rule.is_some_and(|rule| !rule.travel) {
            return outcome;
        }
        let refuses = self.travel_action == Action::Refuse;
        match self.travel.judge(user, place) {
            Journey::Possible => outcome,
            Journey::Untold if refuses => self.refuse(format!(
                "{user}: the store cannot tell where they were before"
            )),
            Journey::Untold => outcome.alert_about(
                Severity::Warning,
                "geo-fence-store",
                "the key-value store fails or is full: journeys of users are not looked at",
            ),
            Journey::Impossible(why) => {
                let text = format!("{user} is at {}: {why}", request.peer().address());
                let key = format!("impossible-travel/{user}");
                let outcome = match refuses {
                    true => self.refuse(text.as_str()),
                    false if self.travel_points > 0 => outcome
                        .score(self.travel_points, "impossible travel")
                        .because(text.as_str()),
                    false => outcome.because(text.as_str()),
                };
                outcome.alert_about(Severity::Critical, key, text)
            }
        }
    }

    fn refuse(&self, reason: impl Into<String>) -> Outcome {
        match self.answer {
            Answer::Reject => Outcome::reject(403).because(reason),
            Answer::Silence => Outcome::silence().because(reason),
        }
    }
}

impl Rule {
    fn new(rule: settings::Rule, key: &str) -> Result<Self, SettingsError> {
        for (field, length, most) in [
            ("users", rule.users.len(), USERS),
            ("groups", rule.groups.len(), GROUPS),
        ] {
            if length > most {
                let message = format!("has {length} entries; at most {most} are possible");
                return Err(SettingsError::new(format!("{key}.{field}"), message));
            }
        }
        if rule.users.is_empty() && rule.groups.is_empty() {
            return Err(SettingsError::new(
                key,
                "names nobody; write `users` or `groups`",
            ));
        }
        Ok(Self {
            fence: Fence::new(&rule.fence, &format!("{key}.fence"))?,
            users: rule.users.into_iter().collect(),
            groups: rule.groups.into_iter().collect(),
            travel: rule.travel,
        })
    }
}
