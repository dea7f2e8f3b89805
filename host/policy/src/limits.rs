//! Ceilings on what one plugin may answer and on what one pipeline may pile up.

/// Bounds of an outcome. Every text that leaves a plugin ends in memory, a log
/// line or a SIP message, so each has a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeLimits {
    /// Effects of one outcome. 32: the busiest shipped policy uses four; more
    /// than this on one request is a runaway loop. Config key `effects`.
    pub effects: usize,
    /// Bytes of the reason. 512: one log line. Config key `reason_bytes`.
    pub reason_bytes: usize,
    /// Bytes of all texts of one outcome together. 16 KiB: room for a PASSporT
    /// and a few headers, a quarter of the largest datagram. Config key
    /// `outcome_bytes`.
    pub outcome_bytes: usize,
}

impl Default for OutcomeLimits {
    fn default() -> Self {
        Self {
            effects: 32,
            reason_bytes: 512,
            outcome_bytes: 16 * 1024,
        }
    }
}

/// Bytes of one header value. 8192: what the parser accepts of one header.
pub(crate) const HEADER_VALUE_BYTES: usize = 8192;
/// Bytes of a header name. 64: the longest registered one has 27.
pub(crate) const HEADER_NAME_BYTES: usize = 64;
/// Bytes of a reason phrase sent to a peer. 128: one short sentence.
pub(crate) const PHRASE_BYTES: usize = 128;
/// Bytes of an annotation's key. 64: it becomes a field name in logs.
pub(crate) const ANNOTATION_KEY_BYTES: usize = 64;
/// Bytes of an annotation's value. 1024: it is copied to every later plugin.
pub(crate) const ANNOTATION_VALUE_BYTES: usize = 1024;
/// Bytes of an identity. 256: an address-of-record.
pub(crate) const IDENTITY_BYTES: usize = 256;
/// Bytes of an alert. 1024: a few sentences.
pub(crate) const ALERT_BYTES: usize = 1024;
/// Bytes of an alert's key. 128: a name and what it is about.
pub(crate) const ALERT_KEY_BYTES: usize = 128;
/// Bytes of a name-addr in `set-from` and `set-to`. 2048: what the parser accepts of
/// a URI.
pub(crate) const NAME_ADDR_BYTES: usize = 2048;
/// Bytes of a secret, from 4, so that no log becomes unreadable, to 64: a PIN or a
/// one-time code with some digits around.
pub(crate) const SECRET_BYTES: std::ops::RangeInclusive<usize> = 4..=64;
/// Seconds after which a tick may be asked for. 86,400: no call lasts longer.
pub(crate) const TICK_SECONDS: std::ops::RangeInclusive<u32> = 1..=86_400;
/// Bytes of the reason for points. 256: part of a log line.
pub(crate) const POINTS_REASON_BYTES: usize = 256;
/// Bytes of a peer's name in `route`. 64: the config's own bound on names.
pub(crate) const ROUTE_BYTES: usize = 64;
/// Contacts of one redirect. 10: more is a list, not a redirection.
pub(crate) const REDIRECT_CONTACTS: usize = 10;
/// Bytes of one contact. 2048: what the parser accepts of a URI.
pub(crate) const CONTACT_BYTES: usize = 2048;
/// Bytes of a realm. 128: it travels in every challenge.
pub(crate) const REALM_BYTES: usize = 128;
/// Algorithms of one challenge. 3: there are no more.
pub(crate) const CHALLENGE_ALGORITHMS: usize = 3;

/// Header edits of a whole pipeline. 64: two full outcomes.
pub(crate) const PIPELINE_HEADER_EDITS: usize = 64;
/// Bytes of all header edits of a pipeline. 32 KiB: half of a datagram, so that
/// what policies add cannot crowd out what the caller sent.
pub(crate) const PIPELINE_HEADER_BYTES: usize = 32 * 1024;
/// Annotations of a whole pipeline. 64: they are copied to each later plugin.
pub(crate) const PIPELINE_ANNOTATIONS: usize = 64;
/// Bytes of all annotations of a pipeline. 8 KiB, for the same reason.
pub(crate) const PIPELINE_ANNOTATION_BYTES: usize = 8 * 1024;
/// Ticks of a whole pipeline. 32: one plugin's thresholds, several times.
pub(crate) const PIPELINE_TICKS: usize = 32;
/// Secrets of a whole pipeline. 8: each is looked for in all that is written.
pub(crate) const PIPELINE_SECRETS: usize = 8;
/// Points of a whole pipeline that are told apart. 64: two full outcomes.
pub(crate) const PIPELINE_POINTS: usize = 64;
/// Alerts of a whole pipeline. 32: what an operator might read of one call.
pub(crate) const PIPELINE_ALERTS: usize = 32;
