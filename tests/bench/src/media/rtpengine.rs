//! rtpengine in user space, driven by its control protocol (`ng`: bencode over UDP).

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::bencode::{self, Value};
use crate::calls::{Call, Keys, Plan};
use crate::seal::Suite;

/// How long it may take to start, and to answer a command.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first port of the first one; the last one ends below those that the system gives away.
const FIRST_PORT: u16 = 20_000;
/// Ports of each. It takes a port that another rtpengine has, so they must not share any.
const PORTS: u16 = 4_000;

/// A running rtpengine; it ends when this is dropped.
pub(crate) struct Rtpengine {
    child: Child,
    control: UdpSocket,
    command: u32,
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn program() -> Result<&'static str> {
    ["rtpengine", "/usr/sbin/rtpengine"]
        .into_iter()
        .find(|it| {
            Command::new(it)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok()
        })
        .context("rtpengine is not installed; `cargo xtask setup --for bench` installs it")
}

impl Rtpengine {
    /// Starts it without its kernel module and waits until it answers.
    pub(crate) fn start(plan: &Plan, folder: &Path) -> Result<Self> {
        let place = match plan.suite {
            None => 0,
            Some(Suite::Sha1) => 1,
            Some(Suite::Gcm) => 2,
        };
        let first_port = FIRST_PORT + place * PORTS;
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        // Several may run in one folder.
        let log_path = folder.join(format!("rtpengine-{port}.log"));
        let log = fs::File::create(&log_path)?;
        let child = Command::new(program()?)
            .args(["--config-file=none", "--table=-1", "--foreground"])
            .args(["--log-stderr", "--log-level=3"])
            .arg(format!("--num-threads={}", plan.workers))
            .arg("--interface=127.0.0.1")
            .arg(format!("--listen-ng=127.0.0.1:{port}"))
            .arg(format!("--port-min={first_port}"))
            .arg(format!("--port-max={}", first_port + PORTS - 1))
            .arg(format!(
                "--pidfile={}",
                folder.join(format!("rtpengine-{port}.pid")).display()
            ))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("failed to start rtpengine")?;
        let control = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        control.connect((Ipv4Addr::LOCALHOST, port))?;
        control.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut started = Self {
            child,
            control,
            command: 0,
        };
        let answer = started.ask(&[("command", Value::Text("ping"))]);
        let answer = answer.with_context(|| {
            let log = fs::read_to_string(&log_path).unwrap_or_default();
            format!("rtpengine did not start: {log}")
        })?;
        if bencode::string(&answer, "result") != Some(b"pong") {
            bail!("rtpengine did not answer a ping");
        }
        Ok(started)
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sets up the calls of a plan.
    pub(crate) fn calls(&mut self, plan: &Plan) -> Result<Vec<Call>> {
        (0..plan.calls)
            .map(|number| {
                self.call(number, plan)
                    .with_context(|| format!("rtpengine refused call {number}"))
            })
            .collect()
    }

    fn call(&mut self, number: usize, plan: &Plan) -> Result<Call> {
        let call = format!("call-{number}");
        let transport = plan.suite.map_or("RTP/AVP", |_| "RTP/SAVP");
        let replace = ["origin", "session-connection"];
        let offer = self.ask(&[
            ("command", Value::Text("offer")),
            ("call-id", Value::Text(&call)),
            ("from-tag", Value::Text("caller")),
            ("ICE", Value::Text("remove")),
            ("DTLS", Value::Text("off")),
            ("transport-protocol", Value::Text(transport)),
            ("replace", Value::List(&replace)),
            ("sdp", Value::Text(&sdp(plan.caller, "RTP/AVP", ""))),
        ])?;
        let offered = description(&offer)?;
        let (crypto, keys) = match plan.suite {
            None => (String::new(), None),
            Some(suite) => {
                let (tag, from_subject) = offered_key(&offered, suite)?;
                let to_subject = plan.key(number, suite);
                let line = format!(
                    "a=crypto:{tag} {} inline:{}\r\n",
                    suite.name(),
                    STANDARD.encode(&to_subject)
                );
                (
                    line,
                    Some(Keys {
                        to_subject,
                        from_subject,
                    }),
                )
            }
        };
        let answer = self.ask(&[
            ("command", Value::Text("answer")),
            ("call-id", Value::Text(&call)),
            ("from-tag", Value::Text("caller")),
            ("to-tag", Value::Text("callee")),
            ("ICE", Value::Text("remove")),
            ("transport-protocol", Value::Text("RTP/AVP")),
            ("replace", Value::List(&replace)),
            ("sdp", Value::Text(&sdp(plan.callee, transport, &crypto))),
        ])?;
        Ok(Call {
            caller_sends_to: audio_address(&description(&answer)?)?,
            callee_sends_to: audio_address(&offered)?,
            keys,
        })
    }

    fn ask(&mut self, entries: &[(&str, Value<'_>)]) -> Result<Vec<u8>> {
        self.command += 1;
        let cookie = format!("{}_{} ", std::process::id(), self.command);
        let mut request = cookie.clone().into_bytes();
        request.extend(bencode::dictionary(entries));
        let until = Instant::now() + PATIENCE;
        let mut buffer = [0; 65_536];
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended: {status}");
            }
            // Nobody may listen yet; a repeated cookie gets the same answer.
            let _sent = self.control.send(&request);
            let answer = self.control.recv(&mut buffer).ok();
            if let Some(answer) = answer
                .and_then(|length| buffer.get(..length))
                .and_then(|it| it.strip_prefix(cookie.as_bytes()))
            {
                if bencode::string(answer, "result") == Some(b"error") {
                    let reason = bencode::string(answer, "error-reason").unwrap_or_default();
                    bail!("{}", String::from_utf8_lossy(reason));
                }
                return Ok(answer.to_vec());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("it did not answer within {} s", PATIENCE.as_secs())
    }
}

fn sdp(address: SocketAddrV4, transport: &str, crypto: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} {transport} 8\r\na=rtpmap:8 PCMA/8000\r\n{crypto}a=sendrecv\r\n"
    )
}

fn description(answer: &[u8]) -> Result<String> {
    let text = bencode::string(answer, "sdp").context("there is no SDP in its answer")?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Where the audio of a description is received.
fn audio_address(sdp: &str) -> Result<SocketAddrV4> {
    let field = |prefix: &str| sdp.lines().find_map(|it| it.strip_prefix(prefix));
    let ip = field("c=IN IP4 ").context("there is no c= line")?;
    let port = field("m=audio ").and_then(|it| it.split(' ').next());
    Ok(SocketAddrV4::new(
        ip.trim().parse()?,
        port.context("there is no audio")?.parse()?,
    ))
}

/// Tag and key of the line that offers a suite (RFC 4568 9.1).
fn offered_key(sdp: &str, suite: Suite) -> Result<(String, Vec<u8>)> {
    for line in sdp.lines().filter_map(|it| it.strip_prefix("a=crypto:")) {
        let mut words = line.split_whitespace();
        let (tag, name, parameters) = (words.next(), words.next(), words.next());
        if name == Some(suite.name())
            && let (Some(tag), Some(parameters)) = (tag, parameters)
        {
            let key = parameters
                .strip_prefix("inline:")
                .and_then(|it| it.split('|').next())
                .context("the key is not inline")?;
            // rtpengine leaves the padding out.
            let key = STANDARD_NO_PAD.decode(key.trim_end_matches('='))?;
            return Ok((tag.to_owned(), key));
        }
    }
    bail!("{} is not offered", suite.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_read() {
        let text = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 20004 RTP/SAVP 8\r\n\
                    a=crypto:1 AEAD_AES_128_GCM inline:AAECAw==|2^31\r\n\
                    a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:BAUG\r\n";
        assert_eq!(audio_address(text).unwrap().port(), 20_004);
        assert_eq!(
            offered_key(text, Suite::Gcm).unwrap(),
            ("1".to_owned(), vec![0, 1, 2, 3])
        );
        assert_eq!(
            offered_key(text, Suite::Sha1).unwrap(),
            ("2".to_owned(), vec![4, 5, 6])
        );
        assert!(offered_key("", Suite::Gcm).is_err());
    }
}
