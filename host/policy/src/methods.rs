//! A set of SIP methods: what a plugin wants to see.

use sip_message::Method;

/// A set of methods. All methods without a name of their own share one place,
/// so whoever wants one extension method sees every unknown one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MethodSet(u16);

impl MethodSet {
    /// Every method.
    pub const ALL: Self = Self(u16::MAX);
    /// No method.
    pub const NONE: Self = Self(0);

    /// The set named by a manifest's or a rule's `methods`: an empty list means
    /// all. Names are case-sensitive, as methods are (RFC 3261 section 7.1).
    pub fn from_names<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut names = names.into_iter().peekable();
        if names.peek().is_none() {
            return Self::ALL;
        }
        names.fold(Self::NONE, |set, name| set.with(method(name.as_ref())))
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | bit(method))
    }

    /// Whether the method is in the set.
    pub const fn contains(self, method: Method) -> bool {
        self.0 & bit(method) != 0
    }

    /// How many methods are in the set; 16 for all.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether no method is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Default for MethodSet {
    fn default() -> Self {
        Self::ALL
    }
}

fn method(name: &str) -> Method {
    match name {
        "INVITE" => Method::Invite,
        "ACK" => Method::Ack,
        "BYE" => Method::Bye,
        "CANCEL" => Method::Cancel,
        "REGISTER" => Method::Register,
        "OPTIONS" => Method::Options,
        "PRACK" => Method::Prack,
        "SUBSCRIBE" => Method::Subscribe,
        "NOTIFY" => Method::Notify,
        "PUBLISH" => Method::Publish,
        "INFO" => Method::Info,
        "REFER" => Method::Refer,
        "MESSAGE" => Method::Message,
        "UPDATE" => Method::Update,
        _ => Method::Other,
    }
}

const fn bit(method: Method) -> u16 {
    let place = match method {
        Method::Invite => 0,
        Method::Ack => 1,
        Method::Bye => 2,
        Method::Cancel => 3,
        Method::Register => 4,
        Method::Options => 5,
        Method::Prack => 6,
        Method::Subscribe => 7,
        Method::Notify => 8,
        Method::Publish => 9,
        Method::Info => 10,
        Method::Refer => 11,
        Method::Message => 12,
        Method::Update => 13,
        Method::Other => 14,
    };
    1 << place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_means_all() {
        let set = MethodSet::from_names(Vec::<String>::new());
        assert!(set.contains(Method::Invite) && set.contains(Method::Other));
    }

    #[test]
    fn a_list_means_what_it_names() {
        let set = MethodSet::from_names(["INVITE", "REGISTER"]);
        assert!(set.contains(Method::Register));
        assert!(!set.contains(Method::Options));
        assert!(!set.contains(Method::Other));
        assert_eq!(set.len(), 2);
        assert!(MethodSet::from_names(["invite"]).contains(Method::Other));
    }
}
