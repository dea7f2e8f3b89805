//! A small SIP phone over TLS: Debian's sipp is built without TLS, so this side of
//! the encrypted call is ours. It makes one call with digest credentials (RFC 7616,
//! SHA-256 where offered), follows the route set, and hangs up.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sip_message::build::RequestBuilder;
use sip_message::{Frame, HeaderKind, Limits, Message, StreamFramer};
use sipward_tests::stage::media::agent::messages::{contact, header, routes};
use sipward_tests::stage::{NUMBER, PASSWORD, digest};

use crate::Set;

/// How long an answer that takes milliseconds may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The account of the phone.
const USER: &str = "pbx";
/// What it offers; no media is sent.
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n";

/// One TLS connection to the proxy.
struct Phone {
    stream: StreamOwned<ClientConnection, TcpStream>,
    framer: StreamFramer,
    contact: String,
    call_id: String,
}

/// What the dialog needs to go on: RFC 3261 section 12.1.2.
struct Dialog {
    remote_target: String,
    routes: Vec<String>,
    to: String,
}

/// Make one call; what is returned are the lines that tell of it.
pub(crate) fn call(set: &Set, call_id: &str) -> Vec<String> {
    let mut phone = Phone::connect(set, call_id);
    let version = phone.stream.conn.protocol_version().expect("a handshake");
    let uri = format!("sip:{NUMBER}@127.0.0.1:{};transport=tls", set.inside_tls);
    let to = format!("<{uri}>");
    let invite = |phone: &Phone, cseq| {
        phone
            .request("INVITE", &uri, cseq, &to)
            .body("application/sdp", OFFER)
    };
    phone.send(invite(&phone, 1));
    let challenge = phone.final_response(1, 407);
    // The ACK of a refusal has its INVITE's branch.
    let ack = phone.request("ACK", &uri, 1, &header(&challenge, HeaderKind::To));
    phone.send(ack);
    let offers = challenge.values_named(b"Proxy-Authenticate");
    let offers: Vec<_> = offers.map(String::from_utf8_lossy).collect();
    let answer = digest::answer(&offers, USER, PASSWORD, "INVITE", &uri);
    phone.send(invite(&phone, 2).header("Proxy-Authorization", &answer.value));
    let dialog = Dialog::of(&phone.final_response(2, 200));
    phone.send(dialog.request(&phone, "ACK", 2));
    phone.send(dialog.request(&phone, "BYE", 3));
    phone.final_response(3, 200);
    vec![
        format!("{version:?}, the proxy's certificate is checked"),
        format!(
            "INVITE {NUMBER} answered 407, again with digest {}",
            answer.algorithm
        ),
        "200, ACK, BYE, 200: answered and ended".to_owned(),
    ]
}

impl Dialog {
    fn of(ok: &Message) -> Self {
        let mut routes = routes(ok);
        routes.reverse();
        Self {
            remote_target: contact(ok),
            routes,
            to: header(ok, HeaderKind::To),
        }
    }

    fn request(&self, phone: &Phone, method: &str, cseq: u32) -> RequestBuilder {
        let request = phone.request(method, &self.remote_target, cseq, &self.to);
        self.routes
            .iter()
            .fold(request, |request, route| request.route(route))
    }
}

impl Phone {
    fn connect(set: &Set, call_id: &str) -> Self {
        let config = Arc::new(trusting(&set.path("authority.pem")));
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(config, name).expect("a TLS client");
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, set.inside_tls))
            .expect("a connection to the TLS listener");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        let contact = socket.local_addr().expect("its address").to_string();
        let mut stream = StreamOwned::new(connection, socket);
        stream
            .conn
            .complete_io(&mut stream.sock)
            .expect("a handshake");
        Self {
            stream,
            framer: StreamFramer::new(Limits::default()),
            contact,
            call_id: call_id.to_owned(),
        }
    }

    /// A request of the call; a number of CSeq begins a transaction.
    fn request(&self, method: &str, uri: &str, cseq: u32, to: &str) -> RequestBuilder {
        let (contact, call_id) = (&self.contact, &self.call_id);
        RequestBuilder::new(method, uri)
            .via(format!("SIP/2.0/TLS {contact};branch=z9hG4bK{cseq}-phone"))
            .from(format!("<sip:{USER}@{contact}>;tag=phone"))
            .to(to)
            .call_id(call_id)
            .cseq(cseq)
            .header("Contact", format!("<sip:{USER}@{contact};transport=tls>"))
    }

    fn send(&mut self, request: RequestBuilder) {
        let bytes = request.finish().expect("a request");
        self.stream.write_all(&bytes).expect("a request is sent");
        self.stream.flush().expect("a request is sent");
    }

    /// The first response to this CSeq that is no provisional one.
    fn final_response(&mut self, cseq: u32, wanted: u16) -> Message {
        loop {
            let message = self.receive();
            let status = message.status().expect("a response");
            if status >= 200 && message.cseq().number == cseq {
                let shown = String::from_utf8_lossy(message.bytes());
                assert_eq!(status, wanted, "{shown}");
                return message;
            }
        }
    }

    fn receive(&mut self) -> Message {
        loop {
            match self.framer.next().expect("SIP") {
                Some(Frame::Message(message)) => return *message,
                Some(Frame::Invalid(error)) => panic!("the proxy sent what is no SIP: {error}"),
                Some(Frame::Ping | Frame::Pong) => {}
                None => {
                    let mut buffer = [0; 4096];
                    let length = self.stream.read(&mut buffer).expect("an answer by TLS");
                    assert!(length > 0, "the proxy closed the TLS connection");
                    self.framer
                        .push(&buffer[..length])
                        .expect("a short message");
                }
            }
        }
    }
}

/// A TLS client that trusts one authority.
fn trusting(authority: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(authority).expect("the authority");
    roots.add(authority).expect("a good certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
