//! A proxy takes up what `sipward credential` does, while it goes on.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use accounts::{StoreFile, StoreKey};
use md5::{Digest, Md5};
use sipward_tests::campaign::to_hex;
use sipward_tests::stage::{NUMBER, PBX, Proxy, Stage, TRUNK, binary};

use crate::office::{add_long_ago, password_of};

const REALM: &str = "test.sipward";
const PATIENCE: Duration = Duration::from_secs(20);

/// A stage whose users stand in a store.
fn stage(watch: bool) -> Stage {
    let stage = Stage::new();
    stage.configure(
        &[],
        "[credentials]\nfile = \"accounts\"\nkey_file = \"accounts.key\"\n",
    );
    let text = std::fs::read_to_string(stage.config()).expect("the configuration");
    let text = text.replace("watch = false", &format!("watch = {watch}"));
    let (before, after) = text
        .split_once("[[credential]]")
        .expect("an inline account");
    let (_, after) = after.split_once("[[plugin]]").expect("plugins");
    stage.write(&format!("{before}[[plugin]]{after}"));
    credential(&stage, &["init"]);
    stage
}

fn credential(stage: &Stage, arguments: &[&str]) -> String {
    let output = Command::new(binary())
        .arg("credential")
        .args(arguments)
        .arg("--config")
        .arg(stage.config())
        .output()
        .expect("sipward starts");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// A phone that calls, and the trunk that it should reach.
struct Line<'s> {
    stage: &'s Stage,
    phone: UdpSocket,
    trunk: UdpSocket,
    calls: u32,
}

impl<'s> Line<'s> {
    fn new(stage: &'s Stage) -> Self {
        let bind = |address, port| {
            let socket = UdpSocket::bind((address, port)).expect("a socket");
            let patience = Some(PATIENCE);
            socket.set_read_timeout(patience).expect("a timeout");
            socket
        };
        Self {
            stage,
            phone: bind(PBX, 0),
            trunk: bind(TRUNK, stage.trunk),
            calls: 0,
        }
    }

    /// Whether a call with this password reaches the trunk; else it was challenged or
    /// refused again.
    fn reaches(&mut self, user: &str, password: &str) -> bool {
        self.calls += 1;
        let challenge = self.send(1, "");
        let nonce = challenge.split("nonce=\"").nth(1).expect("a nonce");
        let nonce = nonce.split('"').next().expect("its end");
        let uri = self.uri();
        let h = |text: String| to_hex(&Md5::digest(text));
        let secret = h(format!("{user}:{REALM}:{password}"));
        let asked = h(format!("INVITE:{uri}"));
        let response = h(format!("{secret}:{nonce}:00000001:c0ffee:auth:{asked}"));
        let answer = format!(
            "Proxy-Authorization: Digest username=\"{user}\", realm=\"{REALM}\", \
             nonce=\"{nonce}\", uri=\"{uri}\", algorithm=MD5, response=\"{response}\", \
             qop=auth, nc=00000001, cnonce=\"c0ffee\"\r\n"
        );
        let last = self.send(2, &answer);
        if last.starts_with("SIP/2.0 407") {
            return false;
        }
        // The trunk's answer has come back.
        assert!(last.starts_with("SIP/2.0 486"), "{last}");
        true
    }

    fn uri(&self) -> String {
        format!("sip:{NUMBER}@127.0.0.1:{}", self.stage.inside)
    }

    /// Sends an INVITE and returns the final response. The trunk is busy.
    fn send(&self, sequence: u32, header: &str) -> String {
        let port = self.phone.local_addr().expect("an address").port();
        let (uri, call) = (self.uri(), self.calls);
        let request = format!(
            "INVITE {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{port}-{call}-{sequence}\r\n\
             From: <sip:phone@127.0.0.1>;tag=t{port}\r\nTo: <{uri}>\r\n\
             Call-ID: {port}-{call}\r\nCSeq: {sequence} INVITE\r\nMax-Forwards: 70\r\n\
             Contact: <sip:phone@127.0.0.1:{port}>\r\n{header}Content-Length: 0\r\n\r\n"
        );
        self.phone
            .send_to(request.as_bytes(), (PBX, self.stage.inside))
            .expect("sent");
        let admitted = !header.is_empty() && self.trunk_answers();
        let response = self.final_response(sequence);
        assert!(
            !admitted || response.starts_with("SIP/2.0 486"),
            "{response}"
        );
        let ack = request.replacen("INVITE", "ACK", 1).replace(
            &format!("CSeq: {sequence} INVITE"),
            &format!("CSeq: {sequence} ACK"),
        );
        self.phone
            .send_to(ack.as_bytes(), (PBX, self.stage.inside))
            .expect("sent");
        response
    }

    /// Whether an INVITE came to the trunk within a while; it is busy.
    fn trunk_answers(&self) -> bool {
        let wait = Some(Duration::from_millis(400));
        self.trunk.set_read_timeout(wait).expect("a timeout");
        let mut bytes = [0; 8_192];
        while let Ok((length, from)) = self.trunk.recv_from(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if !text.starts_with("INVITE ") {
                continue;
            }
            let kept = text.lines().filter(|line| {
                ["Via:", "From:", "Call-ID:", "CSeq:"]
                    .iter()
                    .any(|name| line.starts_with(name))
            });
            let kept: String = kept.map(|line| format!("{line}\r\n")).collect();
            let to = text.lines().find(|line| line.starts_with("To:"));
            let busy = format!(
                "SIP/2.0 486 Busy Here\r\n{kept}{};tag=busy\r\nContent-Length: 0\r\n\r\n",
                to.expect("To")
            );
            self.trunk.send_to(busy.as_bytes(), from).expect("sent");
            return true;
        }
        false
    }

    fn final_response(&self, sequence: u32) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = [0; 8_192];
        while Instant::now() < deadline {
            let (length, _) = self.phone.recv_from(&mut bytes).expect("a response");
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let call = format!("Call-ID: {}-{}\r\n", self.phone_port(), self.calls);
            let turn = format!("CSeq: {sequence} INVITE\r\n");
            let is_final = !text.starts_with("SIP/2.0 1");
            if is_final && text.contains(&call) && text.contains(&turn) {
                return text;
            }
        }
        panic!("no final response");
    }

    fn phone_port(&self) -> u16 {
        self.phone.local_addr().expect("an address").port()
    }
}

fn generation(proxy: &Proxy<'_>) -> u64 {
    proxy.status()["total"]["generation"]
        .as_u64()
        .expect("a number")
}

/// Do this and wait until the proxy has taken it up by itself.
fn taken_up<T>(proxy: &Proxy<'_>, change: impl FnOnce() -> T) -> T {
    let before = generation(proxy);
    let done = change();
    proxy.wait_until("the change is taken up", |status| {
        status["total"]["generation"].as_u64() > Some(before)
    });
    done
}

#[test]
fn a_running_proxy_takes_up_every_change_by_itself() {
    let stage = stage(true);
    let proxy = Proxy::start(&stage);
    let mut line = Line::new(&stage);
    let add = ["add", "alice", "--realm", REALM];
    let first = taken_up(&proxy, || password_of(&credential(&stage, &add)));
    assert!(line.reaches("alice", &first));
    let second = taken_up(&proxy, || {
        password_of(&credential(&stage, &["rotate", "alice"]))
    });
    assert!(!line.reaches("alice", &first), "the old password");
    assert!(line.reaches("alice", &second), "the new password");
    taken_up(&proxy, || credential(&stage, &["disable", "alice"]));
    assert!(!line.reaches("alice", &second), "disabled");
    assert!(proxy.log().contains("the account is disabled"), "told");
    taken_up(&proxy, || credential(&stage, &["enable", "alice"]));
    assert!(line.reaches("alice", &second), "enabled");
    // Somebody breaks the store: what was in use stays in use.
    let broken = stage.path("broken");
    std::fs::write(&broken, "no store").expect("a file");
    let sound = std::fs::read(stage.path("accounts")).expect("the store");
    std::fs::rename(&broken, stage.path("accounts")).expect("in its place");
    proxy.wait_until("the refusal", |status| {
        let last = status["last_reload"].as_str().unwrap_or_default();
        last.contains("no store of accounts")
    });
    assert!(line.reaches("alice", &second), "as before");
    taken_up(&proxy, || {
        std::fs::write(stage.path("accounts"), sound).expect("the store");
    });
    taken_up(&proxy, || credential(&stage, &["remove", "alice"]));
    assert!(!line.reaches("alice", &second), "removed");
    let log = proxy.log();
    assert!(!log.contains(&first) && !log.contains(&second));
}

#[test]
fn an_expired_password_is_refused_and_the_operator_is_told_why() {
    let stage = stage(false);
    let key = StoreKey::from_file(&stage.path("accounts.key")).expect("the key");
    let store = StoreFile::new(&stage.path("accounts"), key);
    let late = add_long_ago(&store, "late", REALM, 91);
    let soon = add_long_ago(&store, "soon", REALM, 80);
    let proxy = Proxy::start(&stage);
    let log = proxy.log();
    assert!(log.contains("passwords have expired"), "{log}");
    assert!(log.contains("passwords expire soon"), "{log}");
    let accounts = &proxy.status()["accounts"];
    assert_eq!(
        (
            &accounts["in_store"],
            &accounts["expired"],
            &accounts["expiring"]
        ),
        (&2.into(), &1.into(), &1.into())
    );
    let mut line = Line::new(&stage);
    assert!(line.reaches("soon", &soon));
    assert!(!line.reaches("late", "a wrong password"));
    assert!(!proxy.log().contains("the right password was refused"));
    assert!(!line.reaches("late", &late));
    assert!(!line.reaches("late", &late));
    let log = proxy.log();
    let told = log
        .lines()
        .filter(|line| line.contains("the right password was refused"))
        .count();
    assert_eq!(told, 1, "once an hour: {log}");
    // Without watching, a reload takes it up.
    let new = password_of(&credential(&stage, &["rotate", "late"]));
    assert!(!line.reaches("late", &new));
    proxy.reload().expect("a good store");
    assert!(line.reaches("late", &new));
}

#[test]
fn an_account_in_both_places_is_refused() {
    let stage = stage(false);
    credential(&stage, &["add", "pbx", "--realm", REALM]);
    let text = std::fs::read_to_string(stage.config()).expect("the configuration");
    let inline = format!(
        "[[credential]]\nuser = \"pbx\"\nrealm = \"{REALM}\"\npassword_file = \"password\"\n"
    );
    stage.write(&format!("{text}\n{inline}"));
    let output = Command::new(binary())
        .args(["check", "--config"])
        .arg(stage.config())
        .output()
        .expect("sipward starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        told.contains("user `pbx` in realm `test.sipward`"),
        "{told}"
    );
}
