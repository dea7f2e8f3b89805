//! SIP over TLS by hand: a telephone or a PBX that connects, and a carrier that takes
//! connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use sip_message::build::{RequestBuilder, Response, ack_for};
use sip_message::{Frame, HeaderKind, Limits, Message, Method, StreamFramer};
use socket2::{Domain, Socket, Type};

use sipward_tests::stage::digest;
use sipward_tests::stage::media::agent::messages::{contact, header, routes};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session description with SRTP and a key that protects nothing.
pub(crate) const SECURED: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\n\
    t=0 0\r\nm=audio 40000 RTP/SAVP 8\r\na=rtpmap:8 PCMA/8000\r\n\
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n";

/// An authority and the certificates that it issued, in a folder.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// Its own certificate is `ca.pem`.
    pub(crate) fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.join("ca.pem"), certificate.pem()).expect("ca.pem");
        Self {
            issuer: Issuer::new(params, key),
            folder: folder.to_owned(),
        }
    }

    /// `NAME.pem` and `NAME.key.pem`, for clients and servers.
    pub(crate) fn issue(&self, name: &str, subjects: &[&str]) {
        let subjects: Vec<String> = subjects.iter().map(|it| (*it).to_owned()).collect();
        let mut params = CertificateParams::new(subjects).expect("names");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let write = |file: String, text: String| {
            std::fs::write(self.folder.join(file), text).expect("a file");
        };
        write(format!("{name}.pem"), certificate.pem());
        write(format!("{name}.key.pem"), key.serialize_pem());
    }

    fn identity(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let certificate = self.folder.join(format!("{name}.pem"));
        let key = self.folder.join(format!("{name}.key.pem"));
        (
            vec![CertificateDer::from_pem_file(certificate).expect("a certificate")],
            PrivateKeyDer::from_pem_file(key).expect("a key"),
        )
    }

    fn client(&self, name: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let anchor = CertificateDer::from_pem_file(self.folder.join("ca.pem"));
        roots
            .add(anchor.expect("the authority"))
            .expect("a good certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots);
        match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (chain, key) = self.identity(name);
                builder
                    .with_client_auth_cert(chain, key)
                    .expect("an identity")
            }
        }
    }

    fn server(&self, name: &str) -> ServerConfig {
        let (chain, key) = self.identity(name);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("an identity")
    }
}

/// Somebody who connects and calls, one call after the other.
pub(crate) struct Caller {
    stream: StreamOwned<ClientConnection, TcpStream>,
    framer: StreamFramer,
    local: SocketAddr,
    user: String,
    password: Option<String>,
    serial: u32,
}

impl Caller {
    /// From an address, with a certificate if it has one.
    pub(crate) fn connect(
        authority: &Authority,
        certificate: Option<&str>,
        source: Ipv4Addr,
        proxy: SocketAddr,
        user: &str,
    ) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let source = SocketAddr::from((source, 0));
        socket.bind(&source.into()).expect("an address");
        socket.connect(&proxy.into()).expect("a connection");
        let socket = TcpStream::from(socket);
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        let local = socket.local_addr().expect("its address");
        let name = ServerName::try_from("sip.example.com").expect("a name");
        let config = Arc::new(authority.client(certificate));
        let connection = ClientConnection::new(config, name).expect("a TLS client");
        let mut stream = StreamOwned::new(connection, socket);
        stream
            .conn
            .complete_io(&mut stream.sock)
            .expect("a handshake");
        Self {
            stream,
            framer: StreamFramer::new(Limits::default()),
            local,
            user: user.to_owned(),
            password: None,
            serial: 0,
        }
    }

    pub(crate) fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Calls a number and hangs up if it is answered: the last status.
    pub(crate) fn call(&mut self, number: &str) -> u16 {
        self.serial += 1;
        let id = format!("{}-{}-{}", self.user, self.local.port(), self.serial);
        let uri = format!("sip:{number}@sip.example.com");
        let mut answer = self.invite(&id, 1, &uri, None);
        let mut cseq = 1;
        if let (Some(407), Some(password)) = (answer.status(), self.password.clone()) {
            let offers = answer.values_named(b"Proxy-Authenticate");
            let offers: Vec<_> = offers.map(String::from_utf8_lossy).collect();
            let given = digest::answer(&offers, &self.user, &password, "INVITE", &uri);
            cseq = 2;
            answer = self.invite(&id, cseq, &uri, Some(&given.value));
        }
        let status = answer.status().unwrap_or_default();
        if (200..300).contains(&status) {
            self.within(&id, &answer, "ACK", cseq);
            self.within(&id, &answer, "BYE", cseq + 1);
            let ended = self.final_answer(cseq + 1);
            assert_eq!(ended.status(), Some(200), "BYE");
        }
        status
    }

    /// Sends an INVITE: its final answer, acknowledged if it is a refusal.
    fn invite(&mut self, id: &str, cseq: u32, uri: &str, given: Option<&str>) -> Message {
        let local = self.local;
        let mut request = RequestBuilder::new("INVITE", uri)
            .via(format!("SIP/2.0/TLS {local};branch=z9hG4bK{id}-{cseq}"))
            .from(format!("<sip:{}@sip.example.com>;tag={id}", self.user))
            .to(format!("<{uri}>"))
            .call_id(id)
            .cseq(cseq)
            .header("Contact", format!("<sip:us@{local};transport=tls>"));
        if let Some(given) = given {
            request = request.header("Proxy-Authorization", given);
        }
        let bytes = request
            .body("application/sdp", SECURED)
            .finish()
            .expect("an INVITE");
        self.stream.write_all(&bytes).expect("it is sent");
        let answer = self.final_answer(cseq);
        if answer.status().is_some_and(|status| status >= 300) {
            let invite = Message::parse_datagram(bytes, &Limits::default());
            let ack = ack_for(&invite.expect("our own INVITE"), &answer);
            self.stream.write_all(&ack).expect("it is sent");
        }
        answer
    }

    fn within(&mut self, id: &str, answer: &Message, method: &str, cseq: u32) {
        let local = self.local;
        let mut request = RequestBuilder::new(method, contact(answer))
            .via(format!(
                "SIP/2.0/TLS {local};branch=z9hG4bK{id}-{method}-{cseq}"
            ))
            .from(header(answer, HeaderKind::From))
            .to(header(answer, HeaderKind::To))
            .call_id(id)
            .cseq(cseq);
        let mut all = routes(answer);
        all.reverse();
        for route in &all {
            request = request.route(route);
        }
        let bytes = request.finish().expect("a request");
        self.stream.write_all(&bytes).expect("it is sent");
    }

    fn final_answer(&mut self, cseq: u32) -> Message {
        loop {
            match self.framer.next().expect("SIP") {
                Some(Frame::Message(message)) => {
                    let status = message.status().unwrap_or_default();
                    if status >= 200 && message.cseq().number == cseq {
                        return *message;
                    }
                }
                Some(Frame::Invalid(error)) => panic!("what is no SIP: {error}"),
                Some(Frame::Ping | Frame::Pong) => {}
                None => {
                    let mut buffer = [0; 4_096];
                    let length = self.stream.read(&mut buffer).expect("an answer by TLS");
                    assert!(length > 0, "the proxy closed the connection");
                    self.framer.push(&buffer[..length]).expect("room");
                }
            }
        }
    }
}

/// Somebody who takes connections and every call, and keeps what it got.
pub(crate) struct Taker {
    got: Arc<Mutex<Vec<Message>>>,
    over: Arc<AtomicBool>,
}

impl Taker {
    pub(crate) fn new(authority: &Authority, name: &str, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a port for TLS");
        let config = Arc::new(authority.server(name));
        let (got, over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (kept, stop) = (Arc::clone(&got), Arc::clone(&over));
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let connection = ServerConnection::new(Arc::clone(&config));
                let stream = StreamOwned::new(connection.expect("a TLS server"), socket);
                let (kept, stop) = (Arc::clone(&kept), Arc::clone(&stop));
                std::thread::spawn(move || take(stream, &kept, &stop));
            }
        });
        Self { got, over }
    }

    /// The INVITEs that it got.
    pub(crate) fn invites(&self) -> Vec<Message> {
        let mut got = self.got.lock().expect("a whole list").clone();
        got.retain(|message| message.is_request() && message.method() == Method::Invite);
        got
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Our description with the number that the offer has for our suite.
fn answer_to(invite: &Message) -> String {
    const SUITE: &str = " AES_CM_128_HMAC_SHA1_80 ";
    let offer = String::from_utf8_lossy(invite.body());
    let tag = offer
        .lines()
        .filter_map(|line| line.strip_prefix("a=crypto:"))
        .find_map(|line| line.split_once(SUITE))
        .map_or("1", |(tag, _)| tag);
    SECURED.replace("a=crypto:1 ", &format!("a=crypto:{tag} "))
}

fn take(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    got: &Mutex<Vec<Message>>,
    over: &AtomicBool,
) {
    let wait = Some(Duration::from_millis(200));
    stream.sock.set_read_timeout(wait).expect("a time limit");
    let local = stream.sock.local_addr().expect("its address");
    let mut framer = StreamFramer::new(Limits::default());
    while !over.load(Ordering::Relaxed) {
        while let Ok(Some(frame)) = framer.next() {
            let Frame::Message(message) = frame else {
                continue;
            };
            got.lock().expect("a whole list").push((*message).clone());
            if !message.is_request() || message.method() == Method::Ack {
                continue;
            }
            let mut response = Response::to(&message, 200)
                .to_tag("taker")
                .header("Contact", format!("<sip:taker@{local};transport=tls>"));
            for route in message.values(HeaderKind::RecordRoute) {
                response = response.header("Record-Route", route);
            }
            if message.method() == Method::Invite {
                response = response.body("application/sdp", answer_to(&message));
            }
            let bytes = response.finish().expect("a response");
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
        let mut buffer = [0; 16_384];
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => framer.push(&buffer[..length]).expect("room"),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}
