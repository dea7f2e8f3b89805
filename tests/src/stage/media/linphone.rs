//! Linphone on the command line, with files for a sound card. It places one call.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Leg, baresip, party_ports, sound};
use crate::stage::{PBX, Stage};

/// How long anything may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(40);

/// A running linphonec; it ends when it is dropped.
#[derive(Debug)]
pub struct Linphone {
    child: Child,
    input: ChildStdin,
    folder: PathBuf,
}

impl Drop for Linphone {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Linphone {
    /// Start it as the PBX's user and call `target`.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn call(stage: &Stage, target: &str, leg: Leg, plays: &[i16]) -> Self {
        let folder = stage.path("linphone");
        let home = folder.join("home");
        for place in [".local/share/linphone", ".config/linphone"] {
            fs::create_dir_all(home.join(place)).expect("a home");
        }
        sound::write(&folder.join("plays.wav"), plays);
        let port = baresip::sip_port(PBX);
        let media = party_ports();
        let (encryption, mandatory) = match leg {
            Leg::Plain => ("none", 0),
            Leg::Sdes => ("srtp", 1),
            Leg::Dtls => ("dtls", 1),
        };
        let config = format!(
            "[sip]\nauto_net_state_mon=0\nbind_address={PBX}\nsip_port={port}\nsip_tcp_port=-1\n\
             sip_tls_port=-1\nmedia_encryption={encryption}\nmedia_encryption_mandatory={mandatory}\n\
             contact=\"pbx\" <sip:pbx@{PBX}:{port}>\ndefault_proxy=-1\nguess_hostname=0\n\
             [rtp]\naudio_rtp_port={media}\nsymmetric=1\n"
        );
        fs::write(folder.join("rc"), config).expect("its configuration");
        let out = File::create(folder.join("out")).expect("its output");
        let mut child = Command::new("linphonec")
            .arg("-c")
            .arg(folder.join("rc"))
            .args(["-d", "6", "-l"])
            .arg(folder.join("log"))
            .env("HOME", &home)
            .stdin(Stdio::piped())
            .stdout(out.try_clone().expect("its output twice"))
            .stderr(out)
            .spawn()
            .expect("linphonec is missing; run `cargo xtask setup`");
        let input = child.stdin.take().expect("its input");
        let mut phone = Self {
            child,
            input,
            folder,
        };
        phone.wait_for("linphonec> ");
        let files = phone.folder.clone();
        for command in [
            "ipv6 disable".to_owned(),
            "soundcard use files".to_owned(),
            format!("play {}", files.join("plays.wav").display()),
            format!("record {}", files.join("heard.wav").display()),
            format!("call {target}"),
        ] {
            phone.say(&command);
        }
        phone
    }

    fn say(&mut self, command: &str) {
        // It reads a line at a time and forgets what comes while it works.
        std::thread::sleep(Duration::from_millis(300));
        writeln!(self.input, "{command}").expect("a command to linphonec");
    }

    /// Wait until it has written something.
    ///
    /// # Panics
    /// It never does; the panic shows what it wrote.
    pub fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let out = || {
            let bytes = fs::read(self.folder.join("out")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        while !out().contains(text) {
            assert!(
                Instant::now() < deadline,
                "linphonec never said {text:?}: {}",
                out()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Wait until its call was ended by the other side, and return what it heard.
    ///
    /// # Panics
    /// The call does not end, or nothing was recorded.
    #[must_use]
    pub fn heard(mut self) -> Vec<i16> {
        self.wait_for(" connected.");
        self.wait_for(" ended ");
        // It writes the length of the recording at its own end.
        self.say("quit");
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("to look at it").is_none() {
            assert!(Instant::now() < deadline, "linphonec does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        sound::read(&self.folder.join("heard.wav"))
    }
}
