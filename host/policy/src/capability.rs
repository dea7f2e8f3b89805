//! What a plugin may be granted beyond looking at the facts.

use std::fmt;

/// One thing that a plugin asks for in its manifest and the operator grants in
/// the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// The host interface `counters`.
    Counters,
    /// The host interface `keyvalue`.
    Keyvalue,
    /// The host interface `credentials`.
    Credentials,
    /// The host interface `leases`.
    Leases,
    /// The host interface `geo`.
    Geo,
    /// The host interface `lists`.
    Lists,
    /// The effects that change headers and the addresses of the request.
    EditHeaders,
    /// The effect `route`.
    Route,
}

impl Capability {
    /// Every capability, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Counters,
        Self::Keyvalue,
        Self::Credentials,
        Self::Leases,
        Self::Geo,
        Self::Lists,
        Self::EditHeaders,
        Self::Route,
    ];

    /// The name in manifests and in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::Keyvalue => "keyvalue",
            Self::Credentials => "credentials",
            Self::Leases => "leases",
            Self::Geo => "geo",
            Self::Lists => "lists",
            Self::EditHeaders => "edit-headers",
            Self::Route => "route",
        }
    }

    /// The capability of that name.
    ///
    /// # Errors
    /// The name is none of [`Capability::ALL`].
    pub fn from_name(name: &str) -> Result<Self, UnknownCapability> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.name() == name)
            .ok_or_else(|| UnknownCapability {
                name: name.to_owned(),
            })
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A capability that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no capability `{name}`; known are counters, keyvalue, credentials, leases, geo, lists, edit-headers and route"
)]
pub struct UnknownCapability {
    /// The name as written.
    pub name: String,
}

/// A set of capabilities. Empty by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Grants(u8);

impl Grants {
    /// Nothing at all.
    pub const NONE: Self = Self(0);

    /// These and one more.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability.bit())
    }

    /// The set named by a config list or a manifest.
    ///
    /// # Errors
    /// A name is unknown.
    pub fn from_names<I>(names: I) -> Result<Self, UnknownCapability>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        names.into_iter().try_fold(Self::NONE, |grants, name| {
            Ok(grants.with(Capability::from_name(name.as_ref())?))
        })
    }

    /// Whether the capability is in the set.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is granted.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The capabilities in the set.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL
            .into_iter()
            .filter(move |capability| self.contains(*capability))
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for capability in self.iter() {
            write!(formatter, "{separator}{}", capability.name())?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_round() {
        let grants = Grants::from_names(["route", "counters"]).unwrap();
        assert!(grants.contains(Capability::Route));
        assert!(!grants.contains(Capability::EditHeaders));
        assert_eq!(grants.to_string(), "counters, route");
        assert_eq!(
            grants
                .without(Grants::NONE.with(Capability::Route))
                .to_string(),
            "counters"
        );
    }

    #[test]
    fn an_unknown_name_is_told() {
        let error = Grants::from_names(["sockets"]).unwrap_err();
        assert_eq!(error.name, "sockets");
    }
}
