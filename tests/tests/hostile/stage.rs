//! One worker with well-behaved plugins around a hostile one, and what is expected of
//! them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::RequestFacts;
use policy_wasm::{Isolation, Plugin, PluginLimits, PluginSource};
use serde_json::{Value, json};
use sipward_tests::guests::{Caller, Host, Worker, admitted, pipeline, refusal, report};

pub(crate) const HOSTILE: &str = "hostile-plugins";

/// What any call may take at most, whatever it does: a loop gets 50 ms, a new
/// instance takes a little, and the machine may do many other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// The peer whose requests meet the hostile plugin, and one whose do not.
pub(crate) fn victim() -> RequestFacts {
    Caller::at("192.0.2.7")
        .named("victim")
        .invite("sip:bob@pbx.example")
}

pub(crate) fn neighbour() -> RequestFacts {
    Caller::at("192.0.2.8")
        .named("neighbour")
        .invite("sip:bob@pbx.example")
}

pub(crate) fn acl(host: &Host, name: &str) -> Arc<Plugin> {
    host.load(acl_source(host, name))
        .expect("the well-behaved plugin loads")
}

fn acl_source(host: &Host, name: &str) -> PluginSource {
    let mut source = host.source(
        "ip-acl",
        json!({ "inside": { "default": "allow" }, "outside": { "default": "deny", "allow": ["192.0.2.0/24"] } }),
    );
    source.name = name.into();
    source
}

/// The hostile plugin under its default limits, except that those which are not
/// about time are met in time on a slow machine too.
pub(crate) fn source(host: &Host, settings: Value) -> PluginSource {
    let endless = [json!("endless-loop"), json!("slow")].contains(&settings["behaviour"]);
    let mut source = host.source(HOSTILE, settings);
    source.name = "wild".into();
    if endless {
        source.limits = PluginLimits::default();
    }
    source
}

pub(crate) fn wild(host: &Host, settings: Value) -> Arc<Plugin> {
    host.load(source(host, settings))
        .expect("the hostile plugin loads")
}

/// One worker on which a victim's requests go by calm, wild, calm, and a neighbour's
/// by the same calm plugins alone.
pub(crate) struct Scene {
    pub(crate) host: Host,
    pub(crate) calm: [Arc<Plugin>; 2],
    pub(crate) worker: Worker,
    isolation: Isolation,
    /// Everything is shown once more with instances that are reused.
    again: Option<Value>,
}

impl Scene {
    /// As plugins are by default: each instance is used once.
    pub(crate) fn new(settings: Value) -> Self {
        let mut scene = Self::isolated(settings.clone(), Isolation::default());
        scene.again = Some(settings);
        scene
    }

    pub(crate) fn isolated(settings: Value, isolation: Isolation) -> Self {
        let host = Host::new();
        let mut source = source(&host, settings);
        source.isolation = isolation;
        let wild = host.load(source).expect("the hostile plugin loads");
        Self::around(host, &wild)
    }

    pub(crate) fn around(host: Host, wild: &Arc<Plugin>) -> Self {
        let isolation = wild.isolation();
        let calm = ["first", "last"].map(|name| {
            let mut source = acl_source(&host, name);
            source.isolation = isolation;
            host.load(source).expect("the well-behaved plugin loads")
        });
        let worker = Worker::of(vec![
            pipeline("attacked", Some("victim"), &[&calm[0], wild, &calm[1]]),
            pipeline("quiet", None, &[&calm[0], &calm[1]]),
        ]);
        Self {
            host,
            calm,
            worker,
            isolation,
            again: None,
        }
    }

    /// The victim's request is refused because of the plugin, three times over, with
    /// a reason that holds one of the texts; nobody else notices.
    #[track_caller]
    pub(crate) fn refuses(&mut self, texts: &[&str]) {
        self.refuses_here(texts);
        if let Some(settings) = self.again.take() {
            Self::isolated(settings, Isolation::REUSE).refuses_here(texts);
        }
    }

    #[track_caller]
    fn refuses_here(&mut self, texts: &[&str]) {
        const ROUNDS: u64 = 3;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let conclusion = self.worker.judge(victim());
            assert!(
                started.elapsed() < PATIENCE,
                "it took {:?}",
                started.elapsed()
            );
            let (status, plugin, reason) = refusal(&conclusion);
            assert_eq!((status, plugin), (500, "wild"));
            assert!(texts.iter().any(|text| reason.contains(text)), "{reason}");
            assert_eq!(conclusion.trace.len(), 2, "the last plugin is not asked");
            assert_eq!(report(&conclusion.trace, "first").verdict, "next");
            let failed = report(&conclusion.trace, "wild");
            assert_eq!(
                (failed.verdict, failed.failure.as_deref()),
                ("failed", Some(reason))
            );
            let conclusion = self.worker.judge(neighbour());
            assert!(admitted(&conclusion), "{:?}", conclusion.decision);
        }
        self.has_instances(3, ROUNDS);
        self.without_it();
    }

    /// The outcome is refused, the instance did nothing wrong.
    #[track_caller]
    pub(crate) fn refuses_outcome(&mut self, text: &str) {
        self.refuses_outcome_here(text);
        if let Some(settings) = self.again.take() {
            Self::isolated(settings, Isolation::REUSE).refuses_outcome_here(text);
        }
    }

    #[track_caller]
    fn refuses_outcome_here(&mut self, text: &str) {
        for _ in 0..2 {
            let conclusion = self.worker.judge(victim());
            let (status, plugin, reason) = refusal(&conclusion);
            assert_eq!((status, plugin), (500, "wild"));
            assert!(reason.contains(text), "{reason}");
            assert!(admitted(&self.worker.judge(neighbour())));
        }
        self.has_instances(3, 0);
        self.without_it();
    }

    /// As many plugins have their instances, and none was used that had failed or, if it
    /// is for one call, had been used before.
    #[track_caller]
    fn has_instances(&self, plugins: usize, failures: u64) {
        let figures = self.worker.executor.figures();
        assert_eq!(figures.failures, failures);
        let (ready, replaced) = match self.isolation {
            Isolation::SingleUse { ready } => (ready as usize, figures.calls),
            _ => (1, failures),
        };
        assert_eq!(figures.instances, plugins * ready, "all are ready again");
        let made = figures.instances as u64 + replaced;
        assert_eq!(figures.instances_made, made, "replaced as they should be");
    }

    /// After a reload that leaves the plugin out, the victim is served.
    pub(crate) fn without_it(&mut self) {
        let before = self.worker.executor.figures();
        self.worker.reload(vec![pipeline(
            "main",
            None,
            &[&self.calm[0], &self.calm[1]],
        )]);
        assert!(admitted(&self.worker.judge(victim())));
        let figures = self.worker.executor.figures();
        let (ready, used) = match self.isolation {
            Isolation::SingleUse { ready } => (ready as usize, 2),
            _ => (1, 0),
        };
        assert_eq!(
            figures.instances_made,
            before.instances_made + used,
            "the calm plugins' instances went on"
        );
        assert_eq!(figures.instances, 2 * ready);
    }

    #[track_caller]
    pub(crate) fn admits(&mut self) {
        let conclusion = self.worker.judge(victim());
        assert!(admitted(&conclusion), "{:?}", conclusion.decision);
    }
}
