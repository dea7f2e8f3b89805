//! Services that write down what they are asked and what they answer.

use std::net::IpAddr;
use std::sync::Arc;

use geo::Place;
use numbers::{Number, NumberError};
use policy::{DigestAlgorithm, Holding, Holdings, LeaseError, LeaseWish};
use policy_wasm::{
    Addition, Asking, Clock, CodeVerification, CounterError, Counters, Credentials, Geo, Groups,
    HostServices, Keyvalue, KeyvalueError, Leases, Lists, LogLevel, LogSink, NoSuchList, Numbers,
    Randomness, TokenGrant, TokenRequest, Verification,
};
use sip_message::Message;

use crate::host_call::{CONCEALED, HostCall, shown};
use crate::trace::Trace;

/// The same services, watched: what plugins ask and read gets into the trace.
///
/// Passwords never pass here. A dialled code is shown as `*`.
#[must_use]
pub fn traced(services: HostServices, trace: &Trace) -> HostServices {
    fn watch<T: ?Sized>(inner: Arc<T>, trace: &Trace) -> Arc<Traced<T>> {
        let trace = trace.clone();
        Arc::new(Traced { inner, trace })
    }
    HostServices {
        clock: watch(services.clock, trace),
        counters: watch(services.counters, trace),
        keyvalue: watch(services.keyvalue, trace),
        leases: watch(services.leases, trace),
        credentials: watch(services.credentials, trace),
        geo: watch(services.geo, trace),
        numbers: watch(services.numbers, trace),
        lists: watch(services.lists, trace),
        groups: watch(services.groups, trace),
        random: watch(services.random, trace),
        log: watch(services.log, trace),
        observer: Some(Arc::new(trace.clone())),
    }
}

/// A service and who watches it.
#[derive(Debug)]
struct Traced<T: ?Sized> {
    trace: Trace,
    inner: Arc<T>,
}

impl Clock for Traced<dyn Clock> {
    // Most calls of the other interfaces look at the clock too, so this is not written
    // down here.
    fn now_ms(&self) -> u64 {
        self.inner.now_ms()
    }
}

impl Counters for Traced<dyn Counters> {
    fn add(&self, addition: Addition<'_>) -> Result<u64, CounterError> {
        let answer = self.inner.add(addition);
        let call = HostCall::new("counters.add")
            .with("name", addition.name)
            .with_bytes("key", addition.key)
            .with("amount", addition.amount)
            .with("window-ms", addition.window_ms);
        self.trace
            .note(call.answered(worded(&answer, u64::to_string)));
        answer
    }

    fn reset(&self, scope: &str, name: &str, key: &[u8], now_ms: u64) -> Result<(), CounterError> {
        let answer = self.inner.reset(scope, name, key, now_ms);
        let call = HostCall::new("counters.reset")
            .with("name", name)
            .with_bytes("key", key);
        self.trace
            .note(call.answered(worded(&answer, |()| "done".to_owned())));
        answer
    }

    fn take(&self, request: TokenRequest<'_>) -> Result<TokenGrant, CounterError> {
        let answer = self.inner.take(request);
        let call = HostCall::new("counters.take")
            .with("name", request.name)
            .with_bytes("key", request.key)
            .with("tokens", request.tokens)
            .with("capacity", request.capacity)
            .with("refill-per-second", request.refill_per_second_milli);
        let words = |grant: &TokenGrant| match grant.taken {
            true => format!("taken, {} left", grant.remaining),
            false => format!(
                "not taken, {} left, again in {} ms",
                grant.remaining, grant.retry_after_ms
            ),
        };
        self.trace.note(call.answered(worded(&answer, words)));
        answer
    }
}

impl Keyvalue for Traced<dyn Keyvalue> {
    fn get(&self, scope: &str, key: &str, now_ms: u64) -> Result<Option<Vec<u8>>, KeyvalueError> {
        let answer = self.inner.get(scope, key, now_ms);
        let call = HostCall::new("keyvalue.get").with("key", key);
        let words = |value: &Option<Vec<u8>>| optional(value.as_deref().map(shown));
        self.trace.note(call.answered(worded(&answer, words)));
        answer
    }

    fn set(
        &self,
        scope: &str,
        key: &str,
        value: &[u8],
        ttl_ms: u64,
        now_ms: u64,
    ) -> Result<(), KeyvalueError> {
        let answer = self.inner.set(scope, key, value, ttl_ms, now_ms);
        let call = HostCall::new("keyvalue.set")
            .with("key", key)
            .with_bytes("value", value)
            .with("ttl-ms", ttl_ms);
        self.trace
            .note(call.answered(worded(&answer, |()| "done".to_owned())));
        answer
    }

    fn delete(&self, scope: &str, key: &str, now_ms: u64) -> Result<bool, KeyvalueError> {
        let answer = self.inner.delete(scope, key, now_ms);
        let call = HostCall::new("keyvalue.delete").with("key", key);
        self.trace
            .note(call.answered(worded(&answer, bool::to_string)));
        answer
    }
}

impl Leases for Traced<dyn Leases> {
    fn open(&self) -> Arc<dyn Holdings> {
        Arc::new(Traced {
            trace: self.trace.clone(),
            inner: self.inner.open(),
        })
    }

    fn held(&self, scope: &str, name: &str, key: &[u8]) -> Result<u64, LeaseError> {
        let answer = self.inner.held(scope, name, key);
        let call = HostCall::new("leases.held")
            .with("name", name)
            .with_bytes("key", key);
        self.trace
            .note(call.answered(worded(&answer, u64::to_string)));
        answer
    }
}

impl Holdings for Traced<dyn Holdings> {
    fn hold(&self, wish: LeaseWish<'_>) -> Result<Holding, LeaseError> {
        let answer = self.inner.hold(wish);
        let call = HostCall::new("leases.hold")
            .with("name", wish.name)
            .with_bytes("key", wish.key)
            .with("amount", wish.amount)
            .with("limit", wish.limit);
        let words = |holding: &Holding| match holding.granted {
            true => format!("granted, {} held", holding.held),
            false => format!("not granted, {} held", holding.held),
        };
        self.trace.note(call.answered(worded(&answer, words)));
        answer
    }

    fn release(&self) {
        self.inner.release();
    }
}

impl Credentials for Traced<dyn Credentials> {
    fn verify(
        &self,
        request: &Message,
        source: IpAddr,
        realm: &str,
        allowed: &[DigestAlgorithm],
        now_ms: u64,
    ) -> Verification {
        let answer = self.inner.verify(request, source, realm, allowed, now_ms);
        let call = HostCall::new("credentials.verify")
            .with("realm", realm)
            .with("algorithms", format!("{allowed:?}"));
        self.trace.note(call.answered(match &answer {
            Verification::Missing => "missing".to_owned(),
            Verification::Ok(user) => format!("ok, {user}"),
            Verification::Stale(user) => format!("stale, {user}"),
            Verification::Replayed(user) => format!("replayed, {user}"),
            Verification::Wrong(user) => format!("wrong, {user}"),
            Verification::Malformed => "malformed".to_owned(),
            Verification::AlgorithmRefused => "algorithm-refused".to_owned(),
        }));
        answer
    }

    fn check_code(&self, account: &str, code: &str, now_ms: u64) -> CodeVerification {
        let answer = self.inner.check_code(account, code, now_ms);
        let call = HostCall::new("credentials.check-code")
            .with("account", account)
            .with("code", CONCEALED);
        self.trace.note(call.answered(match answer {
            CodeVerification::Ok => "ok",
            CodeVerification::Wrong => "wrong",
            CodeVerification::Replayed => "replayed",
        }));
        answer
    }
}

impl Geo for Traced<dyn Geo> {
    fn locate(&self, address: IpAddr, asking: Asking) -> Option<Place> {
        let answer = self.inner.locate(address, asking);
        let call = HostCall::new("geo.locate").with("address", address);
        let words = |place: &Place| {
            let country = match place.country.as_str() {
                "" => "country unknown",
                country => country,
            };
            format!("{country}, AS{} {}", place.asn, place.organisation)
                .trim_end()
                .to_owned()
        };
        self.trace
            .note(call.answered(answer.as_ref().map_or("no database".to_owned(), words)));
        answer
    }
}

impl Numbers for Traced<dyn Numbers> {
    fn parse(&self, dialled: &str, region: &str) -> Result<Number, NumberError> {
        let answer = self.inner.parse(dialled, region);
        let call = HostCall::new("numbers.parse")
            .with("dialled", dialled)
            .with("region", region);
        self.trace.note(call.answered(match &answer {
            Ok(number) => format!(
                "{}, {}, {:?}{}",
                number.e164,
                number.region,
                number.class,
                if number.valid { "" } else { ", in no plan" }
            ),
            Err(error) => error.to_string(),
        }));
        answer
    }
}

impl Lists for Traced<dyn Lists> {
    fn find(&self, list: &str, key: &str, asking: Asking) -> Result<Option<String>, NoSuchList> {
        let answer = self.inner.find(list, key, asking);
        let call = HostCall::new("lists.find")
            .with("list", list)
            .with("key", key);
        let words = |value: &Option<String>| optional(value.clone());
        self.trace.note(call.answered(worded(&answer, words)));
        answer
    }

    fn longest_prefix(
        &self,
        list: &str,
        text: &str,
        asking: Asking,
    ) -> Result<Option<(String, String)>, NoSuchList> {
        let answer = self.inner.longest_prefix(list, text, asking);
        let call = HostCall::new("lists.longest-prefix")
            .with("list", list)
            .with("text", text);
        let words = |entry: &Option<(String, String)>| {
            optional(
                entry
                    .as_ref()
                    .map(|(key, value)| format!("{key} = {value}")),
            )
        };
        self.trace.note(call.answered(worded(&answer, words)));
        answer
    }
}

impl Groups for Traced<dyn Groups> {
    fn groups(&self, identity: &str) -> Vec<String> {
        let answer = self.inner.groups(identity);
        let call = HostCall::new("identity.groups").with("identity", identity);
        self.trace
            .note(call.answered(format!("[{}]", answer.join(", "))));
        answer
    }
}

impl Randomness for Traced<dyn Randomness> {
    fn next_u64(&self) -> u64 {
        let answer = self.inner.next_u64();
        self.trace
            .note(HostCall::new("random.next-u64").answered(format!("{answer:#018x}")));
        answer
    }
}

impl LogSink for Traced<dyn LogSink> {
    fn write(&self, plugin: &str, level: LogLevel, text: &str) {
        self.inner.write(plugin, level, text);
        let level = match level {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        let call = HostCall::new("log.write").with("level", level);
        self.trace.note(call.with("text", text).answered("written"));
    }
}

/// An answer in words, or the error's name.
fn worded<T, E: std::fmt::Debug>(
    answer: &Result<T, E>,
    words: impl FnOnce(&T) -> String,
) -> String {
    match answer {
        Ok(value) => words(value),
        Err(error) => format!("error: {error:?}"),
    }
}

fn optional(value: Option<String>) -> String {
    value.unwrap_or_else(|| "none".to_owned())
}
