//! baresip without a sound card: it plays one file, records another, and hangs up at
//! the end of what it plays.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Leg, PARTY_PORTS, party_ports, sound};
use crate::stage::Stage;

/// How long anything may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(30);

/// A phone to start.
#[derive(Debug, Clone)]
pub struct Baresip<'a> {
    /// Names its folder; unique within a stage.
    pub name: &'static str,
    /// Its only address.
    pub address: Ipv4Addr,
    /// Its SIP port; see [`sip_port`].
    pub port: u16,
    /// The user part of its address-of-record.
    pub user: &'a str,
    /// What it asks for, and insists on.
    pub leg: Leg,
    /// What it plays.
    pub plays: &'a [i16],
    /// Whom it calls; it answers calls without.
    pub calls: Option<String>,
}

/// A running phone; it ends when it is dropped.
#[derive(Debug)]
pub struct Phone {
    child: Child,
    folder: PathBuf,
    name: &'static str,
    media: u16,
}

impl Drop for Phone {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}: {}", self.name, self.log());
        }
    }
}

/// A port that is free for SIP, with the next one for TLS, which baresip opens too.
///
/// # Panics
/// There is none.
#[must_use]
pub fn sip_port(address: Ipv4Addr) -> u16 {
    (0..200)
        .map(|_| crate::stage::free_port(address))
        .find(|port| {
            *port < u16::MAX
                && [*port, port + 1]
                    .iter()
                    .all(|it| TcpListener::bind((address, *it)).is_ok())
        })
        .expect("two free ports")
}

impl Baresip<'_> {
    /// Start it and wait until it is ready.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(&self, stage: &Stage) -> Phone {
        let folder = stage.path(self.name);
        fs::create_dir_all(folder.join("recorded")).expect("a folder for a phone");
        sound::write(&folder.join("plays.wav"), self.plays);
        let media = party_ports();
        fs::write(folder.join("config"), self.config(&folder, media)).expect("its configuration");
        fs::write(folder.join("accounts"), self.account()).expect("its account");
        fs::write(folder.join("contacts"), "").expect("its contacts");
        let log = File::create(folder.join("log")).expect("its log");
        let mut command = Command::new("baresip");
        command.arg("-f").arg(&folder).args(["-v", "-s"]);
        if let Some(target) = &self.calls {
            command.arg("-e").arg(format!("/dial {target}"));
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("its log twice"))
            .stderr(log)
            .spawn()
            .expect("baresip is missing; run `cargo xtask setup`");
        let phone = Phone {
            child,
            folder,
            name: self.name,
            media,
        };
        phone.wait_for("baresip is ready");
        phone
    }

    fn config(&self, folder: &Path, media: u16) -> String {
        let folder = folder.display();
        let (address, port) = (self.address, self.port);
        let modules = ["g711", "aufile", "sndfile", "srtp", "dtls_srtp", "uuid"]
            .map(|it| format!("module {it}.so\n"))
            .concat();
        format!(
            "sip_listen {address}:{port}\nnet_interface {address}\nmodule_path {}\n{modules}\
             module_tmp account.so\nmodule_app menu.so\n\
             audio_source aufile,{folder}/plays.wav\naudio_player aufile,{folder}/plays.wav\n\
             ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n\
             audio_buffer 20-160\nrtp_ports {media}-{}\njitter_buffer_delay 5-10\n\
             snd_path {folder}/recorded\n",
            modules_folder().display(),
            media + PARTY_PORTS - 1,
        )
    }

    fn account(&self) -> String {
        let encryption = match self.leg {
            Leg::Plain => "",
            Leg::Sdes => ";mediaenc=srtp-mand",
            Leg::Dtls => ";mediaenc=dtls_srtp",
        };
        let answers = if self.calls.is_some() {
            "manual"
        } else {
            "auto"
        };
        format!(
            "<sip:{}@{}:{}>;regint=0;answermode={answers};audio_codecs=PCMA/8000/1{encryption}\n",
            self.user, self.address, self.port
        )
    }
}

/// Where Debian and others put baresip's modules.
fn modules_folder() -> PathBuf {
    [
        "/usr/lib/baresip/modules",
        "/usr/local/lib/baresip/modules",
        "/usr/lib64/baresip/modules",
        "/opt/homebrew/lib/baresip/modules",
    ]
    .iter()
    .map(PathBuf::from)
    .find(|it| it.join("sndfile.so").is_file())
    .expect("baresip's modules are missing; run `cargo xtask setup`")
}

impl Phone {
    /// Its ports for media. It sends from whatever address suits the system.
    #[must_use]
    pub fn media(&self) -> Range<u16> {
        self.media..self.media + PARTY_PORTS
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).unwrap_or_default();
        // A line that counts seconds is written over and over.
        let text = String::from_utf8_lossy(&bytes);
        let shown = text.split_inclusive(['\n', '\r']);
        shown.filter(|it| !it.contains("(bit/s)")).collect()
    }

    /// Wait until it has written something.
    ///
    /// # Panics
    /// It never does; the panic shows its log.
    pub fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            let log = self.log();
            // A status, not the words of an ordinary end.
            let refused = log
                .lines()
                .filter_map(|it| it.split_once("session closed: "))
                .find(|(_, why)| why.starts_with(|it: char| it.is_ascii_digit()));
            assert!(
                Instant::now() < deadline && refused.is_none(),
                "{} never said {text:?}",
                self.name
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Wait until its call has ended, and return what it heard.
    ///
    /// # Panics
    /// The call does not end, or nothing was recorded.
    #[must_use]
    pub fn heard(&self) -> Vec<i16> {
        self.wait_for("Call established");
        self.wait_for("terminated (duration");
        let recordings = fs::read_dir(self.folder.join("recorded")).expect("its recordings");
        let path = recordings
            .flatten()
            .map(|it| it.path())
            .find(|it| it.to_string_lossy().ends_with("-dec.wav"))
            .unwrap_or_else(|| panic!("{} recorded nothing", self.name));
        sound::read(&path)
    }
}
