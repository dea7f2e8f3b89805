//! One call attempt, from the question to the policy to the end of the media.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::conceal::conceal_in;

/// A word of a small fixed set, such as a verdict.
pub type Word = Cow<'static, str>;

/// All that is kept of one call attempt. Times are milliseconds since 1970, UTC. Texts
/// that a peer wrote are shown as text: what is not UTF-8 has become U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Unique over all records of one host: a receiver that gets a record twice knows it
    /// by this. Given by [`Recorder::begin`](crate::Recorder::begin).
    pub id: String,
    /// When the request was judged.
    pub at_ms: u64,
    /// The call's number, as in log lines; none if it was not admitted.
    pub number: Option<u64>,
    /// Call-ID.
    pub call_id: String,
    /// Method of the request.
    pub method: String,
    /// Who the caller is, if a plugin said so.
    pub identity: Option<String>,
    /// URI of From.
    pub from: String,
    /// URI of To.
    pub to: String,
    /// Name of the peer that sent the request.
    pub peer: Option<String>,
    /// `inside` or `outside`.
    pub zone: Word,
    /// Address and port that the request came from.
    pub source: String,
    /// Transport that it came by.
    pub transport: String,
    /// Where to: the Request-URI as the caller wrote it.
    pub request_uri: String,
    /// The pipeline that judged it.
    pub pipeline: String,
    /// The configuration generation of that pipeline.
    pub generation: u64,
    /// `admit`, `reject`, `challenge`, `redirect` or `drop`.
    pub verdict: Word,
    /// The plugin that ended the pipeline; none for an admission.
    pub plugin: Option<String>,
    /// The version of that plugin, and of every candidate that was asked.
    #[serde(default)]
    pub versions: Vec<PluginVersion>,
    /// Why, for the operator.
    pub reason: String,
    /// The final status that the caller got: 200 if the call was answered, none if
    /// nothing was sent or if it is not known.
    pub status: Option<u16>,
    /// The score of the pipeline.
    pub score: i32,
    /// What the score is made of, in order.
    pub points: Vec<Points>,
    /// Every plugin that was asked, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageRecord>,
    /// Notes of plugins, in order.
    pub annotations: Vec<(String, String)>,
    /// Name of the peer that answered.
    pub callee: Option<String>,
    /// When the call was admitted and sent on.
    pub started_ms: Option<u64>,
    /// When it was answered.
    pub answered_ms: Option<u64>,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// Milliseconds from the answer to the end, by the monotonic clock.
    pub lasted_ms: Option<u64>,
    /// How it ended: `bye`, `cancelled`, `refused` and so on; `not-routed` for an
    /// admitted call that never left, `interrupted` for one that was under way when
    /// the process died. None for what was not admitted.
    pub end: Option<Word>,
    /// What each party sent on each stream.
    pub media: Vec<StreamRecord>,
}

impl CallRecord {
    /// Puts a `*` where a secret stands in what callers and plugins wrote.
    pub fn conceal<S: AsRef<str>>(&mut self, secrets: &[S]) {
        let texts = [
            &mut self.call_id,
            &mut self.from,
            &mut self.to,
            &mut self.request_uri,
            &mut self.reason,
        ];
        let points = self.points.iter_mut().map(|points| &mut points.reason);
        let stages = self.stages.iter_mut().map(|stage| &mut stage.reason);
        let points = points.chain(stages);
        let notes = self.annotations.iter_mut();
        let notes = notes.flat_map(|(key, value)| [key, value]);
        let texts = texts.into_iter().chain(self.identity.as_mut());
        for text in texts.chain(points).chain(notes) {
            conceal_in(text, secrets);
        }
    }
}

/// What one plugin answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// The plugin.
    pub plugin: String,
    /// Its verdict's name; `failed` if there was none.
    pub verdict: Word,
    /// Why, or why it failed.
    pub reason: String,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// Which version of a plugin it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// The plugin.
    pub plugin: String,
    /// Its version, as it says.
    pub version: String,
    /// It is a candidate, beside the version in use.
    pub candidate: bool,
}

/// Points and who gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Points {
    /// The plugin.
    pub plugin: String,
    /// How many; negative ones take away.
    pub amount: i32,
    /// Why.
    pub reason: String,
}

/// What one party sent on one stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// The stream, counted from 0.
    pub stream: u8,
    /// `caller` or `callee`.
    pub side: Word,
    /// Packets relayed.
    pub packets: u64,
    /// Their octets.
    pub octets: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came after a later one.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Interarrival jitter in milliseconds: RFC 3550 section 6.4.1.
    pub jitter_ms: f64,
    /// Packets turned away, by reason; reasons without packets are left out.
    pub rejected: BTreeMap<String, u64>,
    /// The cipher of what came in.
    pub cipher: String,
    /// Mean opinion score, 1 to 4.5, if it could be estimated.
    pub mos: Option<f64>,
}
