//! Somebody with a SIP socket, and perhaps a password: writes whatever it likes.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use sip_message::{HeaderKind, Message, Method};
use sipward_tests::stage::digest;
use sipward_tests::stage::media::agent::messages::{contact, header, routes};
use sipward_tests::stage::wire::{Datagram, Request, Wire};

/// Time between two repetitions.
const REPEAT: Duration = Duration::from_millis(500);

/// A phone.
pub(crate) struct Phone {
    pub(crate) wire: Wire,
    proxy: SocketAddr,
    /// User name and password, if it has one.
    account: Option<(String, String)>,
    /// The user in From.
    name: String,
    serial: u32,
    /// How long it waits for an answer.
    pub(crate) patience: Duration,
    /// Everything that came.
    pub(crate) heard: Vec<Datagram>,
}

/// A call that was answered.
pub(crate) struct Talk {
    call_id: String,
    from: String,
    answer: Message,
    cseq: u32,
}

/// What is asked besides method and address.
#[derive(Clone, Copy, Default)]
pub(crate) struct More<'a> {
    /// To; the address itself without it.
    pub(crate) to: Option<&'a str>,
    /// Further header lines.
    pub(crate) lines: &'a [String],
}

impl Phone {
    pub(crate) fn new(address: Ipv4Addr, proxy: SocketAddr, name: &str) -> Self {
        Self {
            wire: Wire::new(address, 0),
            proxy,
            account: None,
            name: name.to_owned(),
            serial: 0,
            patience: Duration::from_secs(4),
            heard: Vec::new(),
        }
    }

    /// Knows the password of the user it is named after.
    pub(crate) fn with_password(mut self, password: &str) -> Self {
        self.account = Some((self.name.clone(), password.to_owned()));
        self
    }

    /// Calls somebody: the final answer, or none.
    pub(crate) fn call(&mut self, uri: &str) -> Result<Talk, Option<u16>> {
        self.call_with(uri, More::default())
    }

    pub(crate) fn call_with(&mut self, uri: &str, more: More<'_>) -> Result<Talk, Option<u16>> {
        let call_id = self.call_id();
        let (answer, cseq) = self.ask(&call_id, "INVITE", uri, more).ok_or(None)?;
        let status = answer.status().unwrap_or_default();
        if !(200..300).contains(&status) {
            return Err(Some(status));
        }
        let talk = Talk {
            from: self.from(&call_id),
            call_id,
            answer,
            cseq,
        };
        self.within(&talk, "ACK", &contact(&talk.answer), &[]);
        Ok(talk)
    }

    /// Any request outside a dialog: the status of the final answer.
    pub(crate) fn request(&mut self, method: &str, uri: &str, more: More<'_>) -> Option<u16> {
        let call_id = self.call_id();
        self.ask(&call_id, method, uri, more)?.0.status()
    }

    /// Hangs up; whether that was answered.
    pub(crate) fn hang_up(&mut self, mut talk: Talk) -> Option<u16> {
        talk.cseq += 1;
        let target = contact(&talk.answer);
        self.in_dialog(&talk, "BYE", &target, &[])
    }

    /// A request within a call; it may be challenged. The status of the final answer.
    pub(crate) fn ask_within(
        &mut self,
        talk: &mut Talk,
        method: &str,
        uri: &str,
        lines: &[String],
    ) -> Option<u16> {
        talk.cseq += 1;
        let status = self.in_dialog(talk, method, uri, lines);
        if status != Some(407) && status != Some(401) {
            return status;
        }
        let challenge = self.heard.last().and_then(Datagram::message)?;
        let line = self.credentials(&challenge, method, uri)?;
        talk.cseq += 1;
        let lines = [lines, &[line]].concat();
        self.in_dialog(talk, method, uri, &lines)
    }

    /// What a call was answered with.
    pub(crate) fn target(talk: &Talk) -> String {
        contact(&talk.answer)
    }

    fn call_id(&mut self) -> String {
        self.serial += 1;
        let port = self.wire.local().port();
        format!("{}-{port}-{}", self.name, self.serial)
    }

    fn from(&self, call_id: &str) -> String {
        format!("<sip:{}@{}>;tag={call_id}", self.name, self.wire.local())
    }

    /// Asks, answers a challenge, and acknowledges refusals of an INVITE.
    fn ask(
        &mut self,
        call_id: &str,
        method: &str,
        uri: &str,
        more: More<'_>,
    ) -> Option<(Message, u32)> {
        let mut lines = more.lines.to_vec();
        for cseq in 1..=2 {
            let answer = self.attempt(call_id, cseq, method, uri, more.to, &lines)?;
            let status = answer.status()?;
            if cseq == 2 || !matches!(status, 401 | 407) {
                return Some((answer, cseq));
            }
            match self.credentials(&answer, method, uri) {
                Some(line) => lines.push(line),
                None => return Some((answer, cseq)),
            }
        }
        None
    }

    fn credentials(&self, challenge: &Message, method: &str, uri: &str) -> Option<String> {
        let (user, password) = self.account.as_ref()?;
        let (asked, given) = match challenge.status() {
            Some(401) => (&b"WWW-Authenticate"[..], "Authorization"),
            _ => (&b"Proxy-Authenticate"[..], "Proxy-Authorization"),
        };
        let offers = challenge.values_named(asked);
        let offers: Vec<_> = offers.map(String::from_utf8_lossy).collect();
        let answer = digest::answer(&offers, user, password, method, uri);
        Some(format!("{given}: {}", answer.value))
    }

    fn attempt(
        &mut self,
        call_id: &str,
        cseq: u32,
        method: &str,
        uri: &str,
        to: Option<&str>,
        lines: &[String],
    ) -> Option<Message> {
        let from = self.from(call_id);
        let plain = format!("<{uri}>");
        let mut all = vec![format!(
            "Contact: <sip:{}@{}>",
            self.name,
            self.wire.local()
        )];
        all.extend_from_slice(lines);
        let branch = format!("{call_id}-{cseq}");
        let request = Request {
            method,
            uri,
            from: &from,
            to: to.unwrap_or(&plain),
            call_id,
            cseq,
            branch: &branch,
            lines: &all,
            description: "",
        };
        let bytes = request.write(self.wire.local());
        let answer = self.send_until_answered(&bytes, call_id, cseq)?;
        if method == "INVITE" && answer.status().is_some_and(|status| status >= 300) {
            let ack = Request {
                method: "ACK",
                to: &header(&answer, HeaderKind::To),
                lines: &[],
                ..request
            };
            self.wire.send(&ack.write(self.wire.local()), self.proxy);
        }
        Some(answer)
    }

    fn in_dialog(&mut self, talk: &Talk, method: &str, uri: &str, lines: &[String]) -> Option<u16> {
        let bytes = self.within(talk, method, uri, lines);
        let answer = self.send_until_answered(&bytes, &talk.call_id, talk.cseq)?;
        let status = answer.status();
        if method == "INVITE" {
            self.within(talk, "ACK", uri, &[]);
        }
        status
    }

    /// Sends a request of a dialog once; its bytes.
    fn within(&self, talk: &Talk, method: &str, uri: &str, lines: &[String]) -> Vec<u8> {
        let mut all = routes(&talk.answer);
        all.reverse();
        let mut all: Vec<String> = all.iter().map(|route| format!("Route: {route}")).collect();
        all.push(format!(
            "Contact: <sip:{}@{}>",
            self.name,
            self.wire.local()
        ));
        all.extend_from_slice(lines);
        let request = Request {
            method,
            uri,
            from: &talk.from,
            to: &header(&talk.answer, HeaderKind::To),
            call_id: &talk.call_id,
            cseq: talk.cseq,
            branch: &format!("{}-{method}-{}", talk.call_id, talk.cseq),
            lines: &all,
            description: "",
        };
        let bytes = request.write(self.wire.local());
        self.wire.send(&bytes, self.proxy);
        bytes
    }

    /// Repeats a request until it has a final answer, or patience is over.
    fn send_until_answered(&mut self, bytes: &[u8], call_id: &str, cseq: u32) -> Option<Message> {
        let start = Instant::now();
        let mut provisional = false;
        while start.elapsed() < self.patience
            || (provisional && start.elapsed() < 8 * self.patience)
        {
            if !provisional {
                self.wire.send(bytes, self.proxy);
            }
            let repeat = Instant::now() + REPEAT;
            while let Some(left) = repeat.checked_duration_since(Instant::now())
                && let Some(datagram) = self.wire.receive(left)
            {
                self.heard.push(datagram.clone());
                let Some(message) = datagram.message() else {
                    continue;
                };
                if message.is_request() {
                    self.asked(&message, datagram.source);
                    continue;
                }
                let ours = message.call_id() == call_id.as_bytes()
                    && message.cseq().number == cseq
                    && message.method() != Method::Cancel;
                match message.status() {
                    Some(100..=199) if ours => provisional = true,
                    Some(_) if ours => return Some(message),
                    _ => {}
                }
            }
        }
        None
    }

    /// The other side asks something: it may.
    fn asked(&self, request: &Message, source: SocketAddr) {
        if request.method() == Method::Ack {
            return;
        }
        let response = sip_message::build::Response::to(request, 200).to_tag("phone");
        self.wire
            .send(&response.finish().expect("a response"), source);
    }
}
