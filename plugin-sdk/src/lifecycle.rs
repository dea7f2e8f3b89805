//! What an author implements, and how settings become a policy.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString as _};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Call, CallEvent, Outcome, Request, Response};

/// A SIP policy. Implement it under [`macro@crate::policy`].
///
/// One instance answers many calls, from several transactions in turn. State
/// that must last belongs into [`crate::counters`], [`crate::keyvalue`] or
/// [`crate::leases`]: the host recycles instances whenever it likes.
///
/// ```
/// use sipward_plugin_sdk::prelude::*;
///
/// struct NoFax;
///
/// #[policy]
/// impl Policy for NoFax {
///     type Settings = ();
///
///     fn configure((): ()) -> Result<Self, SettingsError> {
///         Ok(Self)
///     }
///
///     fn on_request(&self, request: &Request<'_>) -> Outcome {
///         match request.offer().any(|stream| stream.kind == b"image") {
///             true => Outcome::reject(488).because("offers a fax"),
///             false => Outcome::next(),
///         }
///     }
/// }
///
/// # fn main() {
/// use sipward_plugin_sdk::testing::{Harness, Request as Sent, json};
/// let fax = Sent::invite("sip:bob@example.com").offer("image", "udptl", false);
/// assert_eq!(Harness::<NoFax>::new(json!(null)).call(&fax).status(), Some(488));
/// # }
/// ```
pub trait Policy: Sized + 'static {
    /// The settings, as the operator writes them. Derive `Deserialize` with
    /// `deny_unknown_fields`, and `JsonSchema`: doc comments on fields become
    /// the descriptions that operators see.
    ///
    /// ```
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    /// use sipward_plugin_sdk::{Policy, SettingsError};
    ///
    /// struct OfficeHours(Settings);
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// #[serde(deny_unknown_fields)]
    /// struct Settings {
    ///     /// First hour with calls, 0 to 23.
    ///     open: u8,
    /// }
    ///
    /// #[sipward_plugin_sdk::policy]
    /// impl Policy for OfficeHours {
    ///     type Settings = Settings;
    /// #   fn configure(settings: Settings) -> Result<Self, SettingsError> { Ok(Self(settings)) }
    /// #   fn on_request(&self, _: &sipward_plugin_sdk::Request<'_>) -> sipward_plugin_sdk::Outcome {
    /// #       sipward_plugin_sdk::Outcome::reject(480 + u16::from(self.0.open))
    /// #   }
    /// }
    ///
    /// # fn main() {
    /// # use sipward_plugin_sdk::testing::Harness;
    /// let schema = Harness::<OfficeHours>::settings_schema();
    /// let open = &schema["properties"]["open"]["description"];
    /// assert_eq!(open, "First hour with calls, 0 to 23.");
    /// # }
    /// ```
    type Settings: DeserializeOwned + JsonSchema;

    /// Name for logs. The crate's name unless stated.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Policy, testing::Passing};
    /// assert_eq!(Passing::NAME, "passing");
    /// ```
    const NAME: &'static str;

    /// Version, SemVer. The crate's version unless stated.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Policy, testing::Passing};
    /// assert_eq!(Passing::VERSION.split('.').count(), 3);
    /// ```
    const VERSION: &'static str;

    /// One line on what it does. The crate's description unless stated.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Policy, testing::Passing};
    /// assert_eq!(Passing::DESCRIPTION, "Lets everything pass");
    /// ```
    const DESCRIPTION: &'static str;

    /// Methods the policy wants to see, upper case; empty for all.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Policy, testing::Passing};
    /// assert!(Passing::METHODS.is_empty(), "it wants to see all");
    /// ```
    const METHODS: &'static [&'static str] = &[];

    /// What it asks the host for. A call of a host interface that is not named
    /// here fails in the test harness, and in the host the component does not load.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Capability, Policy, testing::Passing};
    /// assert!(Passing::CAPABILITIES.contains(&Capability::Geo));
    /// ```
    const CAPABILITIES: &'static [Capability] = &[];

    /// Checks the settings and makes the policy. Called once for each instance:
    /// parse, sort and index here, so that the hooks need not.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Policy, SettingsError};
    ///
    /// struct SoMany(u32);
    ///
    /// #[sipward_plugin_sdk::policy]
    /// impl Policy for SoMany {
    ///     type Settings = u32;
    ///
    ///     fn configure(calls: u32) -> Result<Self, SettingsError> {
    ///         match calls {
    ///             0 => Err(SettingsError::new("", "is 0; at least 1 call has to be possible")),
    ///             calls => Ok(Self(calls)),
    ///         }
    ///     }
    /// #   fn on_request(&self, _: &sipward_plugin_sdk::Request<'_>) -> sipward_plugin_sdk::Outcome {
    /// #       sipward_plugin_sdk::Outcome::next().score(self.0 as i32, "")
    /// #   }
    /// }
    ///
    /// # fn main() {
    /// assert!(SoMany::configure(0).is_err());
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Says which key is wrong and what would be right.
    fn configure(settings: Self::Settings) -> Result<Self, SettingsError>;

    /// Decides on a request. Called once for each transaction.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Policy, testing::{Passing, Request}};
    /// let call = Request::invite("sip:bob@example.com");
    /// assert!(call.seen(|request| Passing.on_request(request)).is_next());
    /// ```
    fn on_request(&self, request: &Request<'_>) -> Outcome {
        let _ = request;
        Outcome::next()
    }

    /// Looks at a response before it is forwarded. Only [`Outcome::next`] with
    /// effects and [`Outcome::reject`] (which replaces a final response) mean
    /// anything here.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Policy, testing::{Passing, Response}};
    /// let busy = Response::new(486, "Busy Here");
    /// assert!(busy.seen(|response| Passing.on_response(response)).is_next());
    /// ```
    fn on_response(&self, response: &Response<'_>) -> Outcome {
        let _ = response;
        Outcome::next()
    }

    /// Follows a call that the pipeline admitted, from [`CallEvent::Started`] to
    /// [`CallEvent::Ended`]. [`Outcome::next`] lets it go on, [`Outcome::reject`]
    /// ends it. Of the effects [`alert`](Outcome::alert),
    /// [`tick_after`](Outcome::tick_after),
    /// [`limit_duration`](Outcome::limit_duration) (counted from the answer) and
    /// [`conceal`](Outcome::conceal) mean something here; any other is a failure of
    /// the policy. A failure is reported and the call goes on.
    ///
    /// Called only if [`Policy::METHODS`] is empty or names INVITE.
    ///
    /// ```
    /// # use sipward_plugin_sdk::prelude::*;
    /// # struct OneHour;
    /// # #[policy]
    /// # impl Policy for OneHour {
    /// #     type Settings = ();
    /// #     fn configure(_: ()) -> Result<Self, SettingsError> { Ok(Self) }
    /// fn on_call_event(&self, call: &Call<'_>, event: &CallEvent<'_>) -> Outcome {
    ///     match event {
    ///         CallEvent::Started => Outcome::next().tick_after(3600),
    ///         CallEvent::Tick(_) => Outcome::reject(480)
    ///             .because(format!("{:?} talks for an hour", call.identity())),
    ///         _ => Outcome::next(),
    ///     }
    /// }
    /// # }
    /// # fn main() {}
    /// ```
    fn on_call_event(&self, call: &Call<'_>, event: &CallEvent<'_>) -> Outcome {
        let _ = (call, event);
        Outcome::next()
    }
}

/// Something that an operator has to grant.
///
/// ```
/// use sipward_plugin_sdk::Capability;
///
/// /// As a policy names them: `const CAPABILITIES`.
/// const CAPABILITIES: &[Capability] = &[Capability::Counters, Capability::Geo];
/// assert_eq!(CAPABILITIES[1].name(), "geo");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// The interface [`crate::counters`].
    Counters,
    /// The interface [`crate::keyvalue`].
    KeyValue,
    /// The interface [`crate::credentials`].
    Credentials,
    /// The interface [`crate::leases`].
    Leases,
    /// The interface [`crate::geo`].
    Geo,
    /// The interface [`crate::lists`].
    Lists,
    /// The effects that set, add and remove headers, and those that set the
    /// Request-URI, From and To.
    EditHeaders,
    /// The effect that chooses a trunk or PBX.
    Route,
}

impl Capability {
    /// The name by which manifest and config call it.
    ///
    /// ```
    /// use sipward_plugin_sdk::Capability;
    /// assert_eq!(Capability::EditHeaders.name(), "edit-headers");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::KeyValue => "keyvalue",
            Self::Credentials => "credentials",
            Self::Leases => "leases",
            Self::Geo => "geo",
            Self::Lists => "lists",
            Self::EditHeaders => "edit-headers",
            Self::Route => "route",
        }
    }
}

/// What is wrong with the settings.
///
/// ```
/// use sipward_plugin_sdk::SettingsError;
/// let error = SettingsError::new("limits.burst", "is 0; at least 1 is needed");
/// assert_eq!(error.to_string(), "limits.burst: is 0; at least 1 is needed");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    key: String,
    message: String,
}

impl SettingsError {
    /// `key` is the dotted path of the wrong key, as in `rules[2].rate`; empty
    /// for the settings as a whole. `message` says what is wrong and what would
    /// be right.
    ///
    /// ```
    /// use sipward_plugin_sdk::SettingsError;
    /// let error = SettingsError::new("rules[2].rate", "is 0; at least 1 is needed");
    /// assert_eq!(error.key(), "rules[2].rate");
    /// ```
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }

    /// The dotted path of the wrong key.
    ///
    /// ```
    /// use sipward_plugin_sdk::SettingsError;
    /// assert_eq!(SettingsError::new("open", "is after `close`").key(), "open");
    /// ```
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong and what would be right.
    ///
    /// ```
    /// use sipward_plugin_sdk::SettingsError;
    /// assert_eq!(SettingsError::new("open", "is after `close`").message(), "is after `close`");
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Key and message, for the glue.
    #[doc(hidden)]
    #[must_use]
    pub fn into_parts(self) -> (String, String) {
        (self.key, self.message)
    }
}

impl core::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.key.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "{}: {}", self.key, self.message),
        }
    }
}

impl core::error::Error for SettingsError {}

/// Parses settings so that an error names its key, as the operator wrote it.
pub(crate) fn parse_settings<T: DeserializeOwned>(json: &str) -> Result<T, SettingsError> {
    let mut parser = serde_json::Deserializer::from_str(json);
    let settings = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        // Operators write TOML: a line of our JSON would mislead them.
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(head, _)| head);
        let key = match (path.as_str(), unknown_field(message)) {
            (".", Some(field)) => field.to_owned(),
            (".", None) => String::new(),
            // Depending on the format the unknown key is in the path or not.
            (path, Some(field)) if path != field && !path.ends_with(&format!(".{field}")) => {
                format!("{path}.{field}")
            }
            (path, _) => path.to_owned(),
        };
        SettingsError::new(key, message)
    })?;
    parser
        .end()
        .map_err(|_| SettingsError::new("", "more than one JSON value"))?;
    Ok(settings)
}

/// The field in serde's "unknown field `x`, expected ...".
fn unknown_field(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "list")]
        _list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "size")]
        _size: u8,
    }

    fn error(json: &str) -> SettingsError {
        parse_settings::<Outer>(json).unwrap_err()
    }

    #[test]
    fn errors_name_the_key() {
        assert!(parse_settings::<Outer>(r#"{"list":[{"size":255}]}"#).is_ok());
        let wrong = error(r#"{"list":[{"size":1},{"size":256}]}"#);
        assert_eq!(wrong.key(), "list[1].size");
        assert!(wrong.message().contains("256") && !wrong.message().contains("line"));
        assert_eq!(
            error(r#"{"list":[{"size":1,"sise":2}]}"#).key(),
            "list[0].sise"
        );
        assert_eq!(error(r#"{"lst":[]}"#).key(), "lst");
        let missing = error("{}");
        assert_eq!(
            (missing.key(), missing.message()),
            ("", "missing field `list`")
        );
        assert_eq!(
            error(r#"{"list":[]} {}"#).message(),
            "more than one JSON value"
        );
    }
}
