//! A trunk or a PBX in a thread of its own: it answers, and keeps everything that it got.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use sip_message::build::Response;
use sip_message::{HeaderKind, Message, Method};
use sipward_tests::stage::wire::Wire;

/// What it got.
#[derive(Clone)]
pub(crate) struct Got {
    pub(crate) bytes: Bytes,
    pub(crate) message: Option<Message>,
}

/// What it answers to an INVITE: a status and header lines.
pub(crate) type Answers = fn(&Message) -> (u16, Vec<(&'static str, String)>);

/// It takes every call.
pub(crate) const TAKES_ALL: Answers = |_| (200, Vec::new());

/// The running party.
pub(crate) struct Party {
    got: Arc<Mutex<Vec<Got>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Party {
    pub(crate) fn new(address: Ipv4Addr, port: u16, answers: Answers) -> Self {
        let wire = Wire::new(address, port);
        let (got, over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (kept, stop) = (Arc::clone(&got), Arc::clone(&over));
        let thread = std::thread::spawn(move || serve(&wire, answers, &kept, &stop));
        Self {
            got,
            over,
            thread: Some(thread),
        }
    }

    /// Everything that it got.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().expect("a whole list").clone()
    }

    /// The INVITEs that began a call.
    pub(crate) fn invites(&self) -> Vec<Got> {
        let begins = |got: &Got| {
            got.message.as_ref().is_some_and(|message| {
                message.is_request()
                    && message.method() == Method::Invite
                    && message.to_tag().is_none()
            })
        };
        let mut seen = Vec::new();
        let mut invites = self.got();
        invites.retain(|got| {
            let id = got.message.as_ref().map(|it| it.call_id().to_vec());
            begins(got) && !seen.contains(&id) && {
                seen.push(id);
                true
            }
        });
        invites
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn serve(wire: &Wire, answers: Answers, got: &Mutex<Vec<Got>>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let Some(datagram) = wire.receive(Duration::from_millis(50)) else {
            continue;
        };
        let message = datagram.message();
        got.lock().expect("a whole list").push(Got {
            bytes: datagram.bytes.clone(),
            message: message.clone(),
        });
        let Some(request) = message.filter(Message::is_request) else {
            continue;
        };
        if request.method() == Method::Ack {
            continue;
        }
        let (status, lines) = match request.method() {
            Method::Invite => answers(&request),
            _ => (200, Vec::new()),
        };
        let contact = format!("<sip:party@{}>", wire.local());
        let mut response = Response::to(&request, status).to_tag("party");
        for route in request.values(HeaderKind::RecordRoute) {
            response = response.header("Record-Route", route);
        }
        if status < 300 && request.method() != Method::Register {
            response = response.header("Contact", contact);
        }
        for (name, value) in lines {
            response = response.header(name, value);
        }
        wire.send(&response.finish().expect("a response"), datagram.source);
    }
}
