//! One plugin in a host whose state is on disk: judged, reloaded, killed, and started
//! again with what it left behind.

use policy::{Conclusion, Decision, DigestAlgorithm, Permit, RaisedAlert};
use policy_wasm::{Clock, LoadError, PipelineSpec, Selection};
use serde_json::{Value, json};
use sipward_tests::guests::{Host, START_MS, Worker};
use state::State;
use state::digest::challenge_value;
use tempfile::TempDir;

use crate::asking::Ask;
use crate::calls::OpenCall;
use crate::door::{REALM, digest_header, hash_of};
use crate::props::Props;

/// What [`answer`] says of a request that hears nothing.
pub(crate) const SILENCE: u16 = 1;

/// A plugin on stage, with all that it asks the host for.
pub(crate) struct Scene {
    props: Props,
    guest: &'static str,
    settings: Value,
    /// What stands before it for all requests.
    first: Option<(&'static str, Value)>,
    /// Callers from inside prove who they are before that.
    proves: bool,
    folder: TempDir,
    live: Option<Live>,
    pub(crate) calls: Vec<OpenCall>,
    pub(crate) begun: u64,
    signed: u32,
}

/// What a crash takes with it.
pub(crate) struct Live {
    pub(crate) host: Host,
    pub(crate) worker: Worker,
    leases: state::Leases,
}

impl Scene {
    pub(crate) fn new(guest: &'static str, settings: Value) -> Self {
        Self::with(Props::default(), guest, settings)
    }

    pub(crate) fn with(props: Props, guest: &'static str, settings: Value) -> Self {
        Self::raise(props, None, guest, settings, false)
    }

    /// With another plugin before it.
    pub(crate) fn after(
        first: (&'static str, Value),
        guest: &'static str,
        settings: Value,
    ) -> Self {
        Self::raise(Props::default(), Some(first), guest, settings, false)
    }

    /// With `digest-auth` before it for callers from inside.
    pub(crate) fn proving(props: Props, guest: &'static str, settings: Value) -> Self {
        Self::raise(props, None, guest, settings, true)
    }

    fn raise(
        props: Props,
        first: Option<(&'static str, Value)>,
        guest: &'static str,
        settings: Value,
        proves: bool,
    ) -> Self {
        let mut scene = Self {
            props,
            guest,
            settings,
            first,
            proves,
            folder: tempfile::tempdir().expect("a folder"),
            live: None,
            calls: Vec::new(),
            begun: 0,
            signed: 0,
        };
        scene.start(START_MS);
        scene
    }

    fn start(&mut self, now_ms: u64) {
        let state = State::open(Some(self.folder.path()), state::Limits::default(), now_ms)
            .expect("the folder is free");
        let leases = state.leases().clone();
        let (accounts, codes) = (self.props.accounts(), self.props.codes());
        let host = Host::with_codes(state, accounts, codes, now_ms);
        host.lookups.replace(self.props.book().into());
        let mut live = Live {
            host,
            worker: Worker::of(Vec::new()),
            leases,
        };
        let pipelines = self.pipelines(&live.host, &self.settings);
        live.worker
            .reload(pipelines.expect("the settings are right"));
        self.live = Some(live);
    }

    fn pipelines(&self, host: &Host, settings: &Value) -> Result<Vec<PipelineSpec>, LoadError> {
        let plugin = host.load(host.source(self.guest, settings.clone()))?;
        let first = self.first.as_ref();
        let mut plugins: Vec<_> = first
            .map(|(guest, settings)| host.plugin(guest, settings.clone()))
            .into_iter()
            .collect();
        plugins.push(plugin);
        let mut pipelines = vec![PipelineSpec {
            name: "main".into(),
            select: Selection::default(),
            plugins: plugins.clone(),
        }];
        if self.proves {
            let digest = host.plugin("digest-auth", json!({ "realm": REALM }));
            pipelines.push(PipelineSpec {
                name: "proved".into(),
                select: Selection {
                    zone: Some(policy::Zone::Inside),
                    ..Selection::default()
                },
                plugins: [vec![digest], plugins].concat(),
            });
        }
        Ok(pipelines)
    }

    pub(crate) fn live(&mut self) -> &mut Live {
        self.live.as_mut().expect("it runs")
    }

    pub(crate) fn host(&self) -> &Host {
        &self.live.as_ref().expect("it runs").host
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.host().clock.now_ms()
    }

    /// Sets the clock.
    pub(crate) fn at(&self, now_ms: u64) {
        self.host().clock.set(now_ms);
    }

    /// The process is killed, and another one begins with what lies on the disk at that
    /// moment. All calls are gone, and nobody was told.
    pub(crate) fn restart(&mut self) {
        let now_ms = self.now_ms();
        let left = tempfile::tempdir().expect("a folder");
        for entry in std::fs::read_dir(self.folder.path()).expect("a folder") {
            let entry = entry.expect("a file");
            let copy = left.path().join(entry.file_name());
            std::fs::copy(entry.path(), copy).expect("a copy");
        }
        self.calls.clear();
        self.live = None;
        self.folder = left;
        self.start(now_ms);
    }

    /// Reloads with these settings while calls go on.
    #[track_caller]
    pub(crate) fn reload(&mut self, settings: Value) {
        let pipelines = self.pipelines(self.host(), &settings);
        let pipelines = pipelines.unwrap_or_else(|error| panic!("{settings}: {error}"));
        self.live().worker.reload(pipelines);
        self.settings = settings;
    }

    /// A reload that the plugin refuses by this key; what was in force stays.
    #[track_caller]
    pub(crate) fn keeps_settings(&mut self, settings: Value, key: &str) {
        match self.pipelines(self.host(), &settings) {
            Err(LoadError::Settings { key: named, .. }) => assert_eq!(named, key),
            Err(other) => panic!("{settings}: {other}"),
            Ok(_) => panic!("{settings} was taken"),
        }
    }

    /// The operator changes a file while the proxy runs.
    pub(crate) fn change(&mut self, change: impl FnOnce(Props) -> Props) {
        self.props = change(std::mem::take(&mut self.props));
        self.host().lookups.replace(self.props.book().into());
    }

    pub(crate) fn judge(&mut self, ask: &Ask) -> Conclusion {
        let facts = ask.facts();
        self.live().worker.judge(facts)
    }

    /// What the request hears: see [`answer`].
    #[track_caller]
    pub(crate) fn ask(&mut self, ask: &Ask) -> u16 {
        let conclusion = self.judge(ask);
        answer(&conclusion)
    }

    /// The request with credentials of a user, as a phone answers a challenge.
    pub(crate) fn signed(&mut self, ask: Ask, user: &str) -> Ask {
        let password = self.props.password(user).expect("a user of the scene");
        self.signed_with(ask, user, password)
    }

    /// The same with a password that may be wrong.
    pub(crate) fn signed_with(&mut self, ask: Ask, user: &str, password: &str) -> Ask {
        let source = ask.caller.peer.address;
        let nonce = self.host().nonces.issue(self.now_ms(), REALM, source);
        let algorithm = DigestAlgorithm::Sha256;
        let challenge = challenge_value(REALM, hash_of(algorithm), &nonce, false);
        self.signed += 1;
        let asked = [ask.method.as_str(), ask.uri.as_str()];
        let value = digest_header([user, password], asked, &challenge, algorithm, self.signed);
        ask.header("Proxy-Authorization", &value)
    }

    /// What all calls hold, keys and units; checked against what was granted.
    pub(crate) fn held(&self) -> (usize, u64) {
        let live = self.live.as_ref().expect("it runs");
        let figures = live.leases.figures();
        assert!(figures.conserved(), "{figures:?}");
        (figures.keys, figures.units)
    }
}

/// 0 if a request may go on, its status if it is refused or challenged, [`SILENCE`] if it
/// hears nothing. No plugin may fail on the way.
#[track_caller]
pub(crate) fn answer(conclusion: &Conclusion) -> u16 {
    for report in &conclusion.trace {
        assert_eq!(report.failure, None, "{} failed", report.plugin);
    }
    match &conclusion.decision {
        Decision::Admit(_) => 0,
        Decision::Refuse(refusal) => refusal.status,
        Decision::Challenge(spec) if spec.as_registrar => 401,
        Decision::Challenge(_) => 407,
        Decision::Redirect(_) => 302,
        Decision::Drop(_) => SILENCE,
    }
}

/// What the last plugin that was asked said to the operator.
pub(crate) fn said(conclusion: &Conclusion) -> &str {
    conclusion
        .trace
        .last()
        .map_or("", |report| report.reason.as_str())
}

#[track_caller]
pub(crate) fn permit(conclusion: &Conclusion) -> &Permit {
    match &conclusion.decision {
        Decision::Admit(permit) => permit,
        other => panic!("not admitted: {other:?}"),
    }
}

/// A note that the pipeline left.
#[track_caller]
pub(crate) fn note<'c>(conclusion: &'c Conclusion, key: &str) -> Option<&'c str> {
    let notes = permit(conclusion).annotations();
    let found = notes.iter().find(|(name, _)| name == key);
    found.map(|(_, value)| value.as_str())
}

/// What alerts are about.
pub(crate) fn alerted(alerts: &[RaisedAlert]) -> Vec<&str> {
    alerts
        .iter()
        .map(|raised| raised.alert.key.as_str())
        .collect()
}
