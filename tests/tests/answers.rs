//! What a real component makes of addresses and responses, in the real binary: the test is
//! both the PBX and the trunk.

use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

use sipward_tests::guests;
use sipward_tests::stage::{PBX, Proxy, Stage, TRUNK};

const CONFIG: &str = r#"
[server]
workers = 1
admin_socket = "@SOCKETS@/admin.sock"
state_dir = "@FOLDER@/state"
cache_dir = "@CACHE@"
log_format = "json"
watch = false

[signatures]
required = false

[[listener]]
name = "pbx"
transport = "udp"
bind = "127.0.0.1:@INSIDE@"
zone = "inside"

[[listener]]
name = "trunk"
transport = "udp"
bind = "127.0.0.1:@OUTSIDE@"
zone = "outside"

[[pbx]]
name = "office"
sources = ["127.0.0.1/32"]

[[trunk]]
name = "carrier"
sources = ["127.0.0.2/32"]
targets = ["sip:127.0.0.2:@TRUNK@"]

[[plugin]]
name = "mask"
path = "@FOLDER@/plugins/mask.wasm"
capabilities = ["edit-headers"]
settings = { behaviour = "masquerade" }

[[pipeline]]
name = "all"
plugins = ["mask"]
"#;

/// One party, with a socket of its own.
struct Party(UdpSocket);

impl Party {
    fn at(address: (std::net::Ipv4Addr, u16)) -> Self {
        let socket = UdpSocket::bind(address).expect("a socket");
        let patience = Some(Duration::from_secs(10));
        socket.set_read_timeout(patience).expect("a timeout");
        Self(socket)
    }

    fn send(&self, text: &str, port: u16) {
        let text = text.replace('\n', "\r\n");
        self.0
            .send_to(text.as_bytes(), (PBX, port))
            .expect("a datagram leaves");
    }

    /// The next message that begins so.
    fn hear(&self, start: &str) -> String {
        let mut buffer = [0; 65_535];
        loop {
            let (length, _) = self.0.recv_from(&mut buffer).unwrap_or_else(|error| {
                panic!("{start} never came: {error}");
            });
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with(start) {
                return text;
            }
        }
    }

    /// Answers a request by copying what must be copied.
    fn answer(&self, request: &str, status: &str, port: u16) {
        let mut text = format!("SIP/2.0 {status}\n");
        for line in request.lines() {
            let name = line.split(':').next().unwrap_or_default();
            match name {
                "To" if !line.contains(";tag=") => text += &format!("{line};tag=callee\n"),
                "Via" | "From" | "To" | "Call-ID" | "CSeq" | "Record-Route" => {
                    text += &format!("{line}\n");
                }
                _ => {}
            }
        }
        text += "Content-Length: 0\n\n";
        self.send(&text, port);
    }
}

fn line<'t>(text: &'t str, name: &str) -> &'t str {
    let wanted = |line: &&str| line.starts_with(name);
    text.lines()
        .find(wanted)
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[test]
fn the_callee_sees_other_addresses_and_the_caller_what_the_policy_lets_it_see() {
    let stage = Stage::new();
    fs::write(stage.plugin("mask"), guests::component("hostile-plugins")).expect("the guest");
    stage.write(&stage.filled(CONFIG, &[]));
    let proxy = Proxy::start(&stage);
    let caller = Party::at((PBX, 0));
    let callee = Party::at((TRUNK, stage.trunk));
    let own = caller.0.local_addr().expect("an address");
    let from = format!("From: <sip:alice@{own}>;tag=caller");
    caller.send(
        &format!(
            "INVITE sip:100@127.0.0.1:{} SIP/2.0\nVia: SIP/2.0/UDP {own};branch=z9hG4bKanswers\n\
             Max-Forwards: 70\n{from}\nTo: <sip:100@office.example>\nCall-ID: answers\n\
             CSeq: 1 INVITE\nContact: <sip:alice@{own}>\nContent-Length: 0\n\n",
            stage.inside
        ),
        stage.inside,
    );
    let invite = callee.hear("INVITE ");
    assert!(invite.starts_with("INVITE sip:77@"), "{invite}");
    assert_eq!(
        line(&invite, "From:"),
        "From: <sip:nobody@shown.example>;tag=caller"
    );
    assert_eq!(line(&invite, "To:"), "To: <sip:somebody@shown.example>");

    callee.answer(&invite, "180 Ringing", stage.outside);
    let ringing = caller.hear("SIP/2.0 180");
    assert_eq!(line(&ringing, "X-Judged:"), "X-Judged: 180");
    assert_eq!(line(&ringing, "From:"), from);
    assert_eq!(
        line(&ringing, "To:"),
        "To: <sip:100@office.example>;tag=callee"
    );

    callee.answer(&invite, "486 Busy Here", stage.outside);
    let ack = callee.hear("ACK ");
    assert_eq!(
        line(&ack, "From:"),
        "From: <sip:nobody@shown.example>;tag=caller"
    );
    let refused = caller.hear("SIP/2.0 480");
    assert_eq!(line(&refused, "From:"), from);
    assert!(proxy.log().contains("response replaced"), "{}", proxy.log());
}
