//! A file of golden messages: `@` lines say how the messages below them came, lines of
//! `---` stand between messages, and `#` begins a comment before one.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use policy::{Certificate, DialogState, TlsSession, Zone};
use rehearsal::{Circumstances, paste};
use sip_message::{Limits, Message};
use sip_proxy::Proof;
use sip_transaction::Transport;

use super::FILE_BYTES;
use crate::error::{KitError, read};
use crate::stage::START_MS;

/// Messages of one file. 1,000.
const MESSAGES: usize = 1_000;
/// How often one message may be sent. 10,000: enough to fill any window of a test.
const TIMES: u32 = 10_000;
/// How long time may pass between two messages. A hundred years of days.
const PAUSE: Duration = Duration::from_secs(36_500 * 86_400);

/// One file.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name without `.sip`.
    pub name: String,
    /// Its messages.
    pub steps: Vec<Step>,
}

/// One message and how it came.
#[derive(Clone, Debug)]
pub struct Step {
    /// Line of its request line.
    pub line: usize,
    /// When it comes, in milliseconds since 1970.
    pub now_ms: u64,
    /// How often it comes.
    pub times: u32,
    /// How it comes.
    pub how: Circumstances,
    /// It.
    pub message: Arc<Message>,
}

impl Case {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or a line of it cannot be understood.
    pub fn read(path: &Path) -> Result<Self, KitError> {
        let bytes = read(path, FILE_BYTES)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let steps = Reader::new(path).steps(&bytes)?;
        Ok(Self {
            name: name.into_owned(),
            steps,
        })
    }
}

/// What was said so far.
struct Reader {
    path: PathBuf,
    now_ms: u64,
    times: u32,
    how: Circumstances,
}

impl Reader {
    fn new(path: &Path) -> Self {
        let source = SocketAddr::from(([192, 0, 2, 1], 5060));
        Self {
            path: path.to_owned(),
            now_ms: START_MS,
            times: 1,
            how: Circumstances::new(source, Transport::Udp),
        }
    }

    fn wrong(&self, line: usize, problem: impl Into<String>) -> KitError {
        KitError::Golden {
            path: self.path.clone(),
            line,
            problem: problem.into(),
        }
    }

    fn steps(mut self, bytes: &[u8]) -> Result<Vec<Step>, KitError> {
        let mut steps = Vec::new();
        let mut lines = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .zip(1..)
            .peekable();
        while let Some((raw, line)) = lines.next() {
            let text = raw.trim_ascii();
            if text.is_empty() || text.starts_with(b"#") || text == b"---" {
                continue;
            }
            if let Some(said) = text.strip_prefix(b"@") {
                let said = String::from_utf8_lossy(said);
                self.take(&said)
                    .map_err(|problem| self.wrong(line, problem))?;
                continue;
            }
            let mut message = raw.to_vec();
            while let Some((raw, _)) = lines.next_if(|(raw, _)| raw.trim_ascii() != b"---") {
                message.extend_from_slice(raw);
            }
            let message = paste::read(&message, &Limits::default())
                .map_err(|error| self.wrong(line, error.to_string()))?;
            steps.push(Step {
                line,
                now_ms: self.now_ms,
                times: std::mem::replace(&mut self.times, 1),
                how: self.how.clone(),
                message: Arc::new(message.message),
            });
            if steps.len() > MESSAGES {
                return Err(self.wrong(line, format!("more than {MESSAGES} messages; use @times")));
            }
        }
        match steps.is_empty() {
            true => Err(self.wrong(1, "there is no message in it")),
            false => Ok(steps),
        }
    }

    /// Takes one `@` line, without the sign.
    fn take(&mut self, said: &str) -> Result<(), String> {
        let (key, value) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
        let value = value.trim();
        match key {
            "from" => self.how.source = source(value)?,
            "transport" => {
                self.how.transport = transport(value)?;
                let proof = self.how.proof.take().unwrap_or_default();
                self.how.proof = Some(Proof {
                    tls: session(self.how.transport),
                    ..proof
                });
            }
            "zone" => {
                self.how.zone = Some(match value {
                    "inside" => Zone::Inside,
                    "outside" => Zone::Outside,
                    _ => return Err(format!("`{value}` is no zone; write inside or outside")),
                });
            }
            "dialog" => {
                self.how.dialog = match value {
                    "none" => DialogState::None,
                    "early" => DialogState::Early,
                    "confirmed" => DialogState::Confirmed,
                    _ => return Err(format!("`{value}`: write none, early or confirmed")),
                };
            }
            "peer" => self.how.peer = named(value).map(Arc::from),
            "identity" => self.how.identity = named(value).map(str::to_owned),
            "certificate" => {
                let proof = self.how.proof.take().unwrap_or_default();
                self.how.proof = Some(Proof {
                    certificate: named(value).map(certificate),
                    ..proof
                });
            }
            "time" => self.now_ms = self.later(value)?,
            "after" => {
                let pause = humantime::parse_duration(value);
                let pause = pause.ok().filter(|pause| *pause <= PAUSE).ok_or_else(|| {
                    format!("`{value}` is no time to wait; write such as 500ms, 90s or 2h")
                })?;
                let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                self.now_ms = self.now_ms.saturating_add(pause);
            }
            "times" => {
                let times = value.parse().ok().filter(|it| (1..=TIMES).contains(it));
                self.times = times.ok_or(format!("write how often, 1 to {TIMES}"))?;
            }
            _ => {
                return Err(format!(
                    "there is no `@{key}`; known are from, transport, zone, peer, identity, certificate, dialog, time, after and times"
                ));
            }
        }
        Ok(())
    }

    /// A moment that is not before the one that was said before. The first may be any.
    fn later(&self, value: &str) -> Result<u64, String> {
        let moment = humantime::parse_rfc3339_weak(value)
            .map_err(|_| format!("`{value}` is no time; write such as 2026-03-29T01:30:00Z"))?;
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        let moment_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        if moment_ms < self.now_ms && self.now_ms != START_MS {
            return Err("time does not go back within a file; begin another file".to_owned());
        }
        Ok(moment_ms)
    }
}

fn source(value: &str) -> Result<SocketAddr, String> {
    let alone = |address: IpAddr| SocketAddr::new(address, 5060);
    let parsed = value.parse().or_else(|_| value.parse().map(alone));
    parsed.map_err(|_| {
        format!("`{value}` is no address; write such as 192.0.2.7:5060 or [2001:db8::7]:5060")
    })
}

fn transport(value: &str) -> Result<Transport, String> {
    Ok(match value.to_ascii_lowercase().as_str() {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        "ws" => Transport::Ws,
        "wss" => Transport::Wss,
        _ => {
            return Err(format!(
                "`{value}` is no transport; write udp, tcp, tls, ws or wss"
            ));
        }
    })
}

const fn session(transport: Transport) -> Option<TlsSession> {
    match transport {
        Transport::Tls | Transport::Wss => Some(TlsSession {
            version: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384",
        }),
        _ => None,
    }
}

/// A name; `-` for none.
fn named(value: &str) -> Option<&str> {
    (value != "-" && !value.is_empty()).then_some(value)
}

/// A verified certificate with these names.
fn certificate(names: &str) -> Arc<Certificate> {
    Arc::new(Certificate {
        names: names.split_whitespace().map(str::to_owned).collect(),
        fingerprint: "0".repeat(64),
        issuer: "CN=golden".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKa\n\
        Max-Forwards: 70\nFrom: <sip:a@example.org>;tag=1\nTo: <sip:b@example.org>\nCall-ID: c\nCSeq: 1 OPTIONS\n\n";

    fn steps(text: &str) -> Result<Vec<Step>, String> {
        Reader::new(Path::new("a.sip"))
            .steps(text.as_bytes())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_said_holds_until_something_else_is_said() {
        let text = format!(
            "# a comment\n@from 198.51.100.9:5070\n@zone inside\n@identity alice\n@times 3\n\n{OPTIONS}---\n\
             @after 90s\n@identity -\n@transport tls\n@certificate sip.example.com b.example.com\n{OPTIONS}"
        );
        let steps = steps(&text).unwrap();
        assert_eq!(steps.len(), 2);
        assert_eq!(
            (steps[0].line, steps[0].times, steps[0].now_ms),
            (7, 3, START_MS)
        );
        assert_eq!(steps[0].how.identity.as_deref(), Some("alice"));
        assert_eq!((steps[1].times, steps[1].now_ms), (1, START_MS + 90_000));
        assert_eq!(steps[1].how.identity, None);
        assert_eq!(steps[1].how.source.to_string(), "198.51.100.9:5070");
        assert_eq!(steps[1].how.zone, Some(Zone::Inside));
        let proof = steps[1].how.proof.clone().unwrap();
        assert_eq!(proof.certificate.unwrap().names.len(), 2);
        assert_eq!(proof.tls.unwrap().version, "TLSv1.3");
    }

    #[test]
    fn time_is_said_and_does_not_go_back() {
        let first = steps(&format!("@time 2020-03-01T00:00:00Z\n{OPTIONS}")).unwrap();
        assert_eq!(first[0].now_ms, 1_583_020_800_000);
        let back = steps(&format!(
            "@time 2020-03-01T00:00:00Z\n{OPTIONS}---\n@time 2020-02-29T00:00:00Z\n{OPTIONS}"
        ));
        assert!(back.unwrap_err().contains("does not go back"));
    }

    #[test]
    fn mistakes_have_their_line() {
        for (text, expected) in [
            ("", "a.sip:1: there is no message"),
            ("\n@form 1.2.3.4\n", "a.sip:2: there is no `@form`"),
            ("@from nowhere\n", "a.sip:1: `nowhere` is no address"),
            ("@transport sctp\n", "is no transport"),
            ("@zone middle\n", "is no zone"),
            ("@dialog late\n", "write none, early or confirmed"),
            ("@time noon\n", "is no time"),
            ("@after 999999999999d\n", "is no time to wait"),
            ("@times 0\n", "write how often"),
            ("@times 10001\n", "write how often"),
            ("\n\nhello\n", "a.sip:3: no valid SIP message"),
            ("SIP/2.0 200 OK\n", "a.sip:1: "),
        ] {
            let error = steps(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn addresses_may_leave_out_the_port() {
        assert_eq!(source("192.0.2.7").unwrap().port(), 5060);
        assert_eq!(source("[2001:db8::7]:5061").unwrap().port(), 5061);
        assert_eq!(source("2001:db8::7").unwrap().port(), 5060);
    }
}
