//! A small SIP phone over TLS: Debian's sipp is built without TLS, so this side of
//! the encrypted call is ours. It makes one call with digest credentials (RFC 7616,
//! SHA-256 where offered), follows the route set, and hangs up.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::demo::digest;
use crate::demo::stage::{ORDINARY, PATIENCE, Stage, USER};

/// Bytes of one message, at most.
const MESSAGE_BYTES: usize = 65_535;

/// One TLS connection to the proxy.
struct Phone {
    stream: StreamOwned<ClientConnection, TcpStream>,
    received: Vec<u8>,
    contact: String,
    call_id: String,
}

/// A message that was received.
struct Message {
    text: String,
}

impl Message {
    fn status(&self) -> u16 {
        self.text
            .split(' ')
            .nth(1)
            .and_then(|it| it.parse().ok())
            .unwrap_or_default()
    }

    /// Values of a header in order, one for each line.
    fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.text.lines().filter_map(move |line| {
            let (its_name, value) = line.split_once(':')?;
            its_name.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn header<'a>(&'a self, name: &'a str) -> Result<&'a str> {
        self.headers(name)
            .next()
            .with_context(|| format!("no {name} in\n{}", self.text))
    }
}

/// What the dialog needs to go on: RFC 3261 section 12.1.2.
struct Dialog {
    remote_target: String,
    routes: String,
    to: String,
}

/// Make one call; what is returned are the lines that tell of it.
pub(crate) fn call(stage: &Stage, call_id: &str) -> Result<Vec<String>> {
    let mut phone = Phone::connect(stage, call_id)?;
    let mut story = vec![phone.handshake()];
    let uri = format!(
        "sip:{ORDINARY}@127.0.0.1:{};transport=tls",
        stage.inside_tls
    );
    let to = format!("<{uri}>");
    phone.send("INVITE", &uri, 1, &to, "")?;
    let challenge = phone.final_response(1)?;
    if challenge.status() != 407 {
        bail!("407 was expected, not\n{}", challenge.text);
    }
    phone.send("ACK", &uri, 1, challenge.header("To")?, "")?;
    let offers: Vec<&str> = challenge.headers("Proxy-Authenticate").collect();
    let answer = digest::answer(&offers, USER, &stage.password, "INVITE", &uri)?;
    story.push(format!(
        "INVITE {ORDINARY} answered 407, again with digest {}",
        answer.algorithm
    ));
    phone.send(
        "INVITE",
        &uri,
        2,
        &to,
        &format!("Proxy-Authorization: {}\r\n", answer.value),
    )?;
    let ok = phone.final_response(2)?;
    if ok.status() != 200 {
        bail!("200 was expected, not\n{}", ok.text);
    }
    let dialog = Dialog::of(&ok)?;
    phone.send("ACK", &dialog.remote_target, 2, &dialog.to, &dialog.routes)?;
    phone.send("BYE", &dialog.remote_target, 3, &dialog.to, &dialog.routes)?;
    let ended = phone.final_response(3)?;
    if ended.status() != 200 {
        bail!("200 was expected for the BYE, not\n{}", ended.text);
    }
    story.push("200, ACK, BYE, 200: answered and ended".to_owned());
    Ok(story)
}

impl Dialog {
    fn of(ok: &Message) -> Result<Self> {
        let contact = ok.header("Contact")?;
        let target = contact
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'));
        let (remote_target, _) = target.with_context(|| format!("no URI in Contact: {contact}"))?;
        let mut recorded: Vec<&str> = ok.headers("Record-Route").collect();
        recorded.reverse();
        Ok(Self {
            remote_target: remote_target.to_owned(),
            routes: recorded
                .iter()
                .map(|it| format!("Route: {}\r\n", reversed(it)))
                .collect(),
            to: ok.header("To")?.to_owned(),
        })
    }
}

/// A comma-joined list the other way round.
fn reversed(list: &str) -> String {
    let mut values: Vec<&str> = list.split(',').map(str::trim).collect();
    values.reverse();
    values.join(", ")
}

impl Phone {
    fn connect(stage: &Stage, call_id: &str) -> Result<Self> {
        let config = Arc::new(trusting(&stage.authority())?);
        let name = ServerName::try_from("localhost").context("localhost is no name")?;
        let connection = ClientConnection::new(config, name)?;
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, stage.inside_tls))
            .context("failed to connect to the TLS listener")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let contact = socket.local_addr()?.to_string();
        let mut stream = StreamOwned::new(connection, socket);
        stream
            .conn
            .complete_io(&mut stream.sock)
            .context("the TLS handshake failed")?;
        Ok(Self {
            stream,
            received: Vec::new(),
            contact,
            call_id: call_id.to_owned(),
        })
    }

    fn handshake(&self) -> String {
        let version = self
            .stream
            .conn
            .protocol_version()
            .map_or("?".to_owned(), |it| format!("{it:?}"));
        format!("{version}, the proxy's certificate is checked")
    }

    fn send(&mut self, method: &str, uri: &str, cseq: u32, to: &str, extra: &str) -> Result<()> {
        let (contact, call_id) = (&self.contact, &self.call_id);
        // The ACK of a refusal has its INVITE's branch; that of a 200 and every other
        // request begins a transaction of its own.
        let of_refusal = method == "ACK" && !extra.starts_with("Route:");
        let kind = if of_refusal { "INVITE" } else { method };
        let branch = format!("z9hG4bK{kind}{cseq}{call_id}").replace('@', "-");
        let body = if method == "INVITE" {
            offer()
        } else {
            String::new()
        };
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let message = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS {contact};branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{USER}@{contact}>;tag=phone\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{USER}@{contact};transport=tls>\r\n{extra}{kind}Content-Length: {length}\r\n\r\n{body}",
            length = body.len()
        );
        self.stream.write_all(message.as_bytes())?;
        self.stream.flush().context("failed to send")
    }

    /// The first response to this CSeq that is no provisional one.
    fn final_response(&mut self, cseq: u32) -> Result<Message> {
        let wanted = format!("{cseq} ");
        loop {
            let message = self.receive()?;
            if message.status() >= 200 && message.header("CSeq")?.starts_with(&wanted) {
                return Ok(message);
            }
        }
    }

    fn receive(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = self.framed()? {
                return Ok(message);
            }
            if self.received.len() > MESSAGE_BYTES {
                bail!("the proxy sent a message of more than {MESSAGE_BYTES} bytes");
            }
            let mut buffer = [0; 4096];
            let length = self
                .stream
                .read(&mut buffer)
                .context("no answer through TLS")?;
            let Some(bytes) = buffer.get(..length).filter(|it| !it.is_empty()) else {
                bail!("the proxy closed the TLS connection");
            };
            self.received.extend_from_slice(bytes);
        }
    }

    /// The first whole message of what was received: RFC 3261 section 18.3.
    fn framed(&mut self) -> Result<Option<Message>> {
        let Some(end) = self.received.windows(4).position(|it| it == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = self.received.get(..end).unwrap_or_default();
        let message = Message {
            text: String::from_utf8_lossy(head).into_owned(),
        };
        let body: usize = message
            .header("Content-Length")?
            .parse()
            .context("Content-Length is no number")?;
        if self.received.len() < end + 4 + body {
            return Ok(None);
        }
        self.received.drain(..end + 4 + body);
        Ok(Some(message))
    }
}

fn offer() -> String {
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n".to_owned()
}

/// A TLS client that trusts one authority.
fn trusting(authority: &Path) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).context("failed to read the authority")?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_set_is_the_record_routes_from_the_far_end() {
        let ok = Message {
            text: "SIP/2.0 200 OK\r\nRecord-Route: <sip:a;lr>, <sip:b;lr>\r\nRecord-Route: <sip:c;lr>\r\n\
                   To: <sip:x@y>;tag=1\r\nContact: <sip:t@127.0.0.2:7;transport=UDP>\r\n"
                .to_owned(),
        };
        let dialog = Dialog::of(&ok).expect("a dialog");
        assert_eq!(
            dialog.routes,
            "Route: <sip:c;lr>\r\nRoute: <sip:b;lr>, <sip:a;lr>\r\n"
        );
        assert_eq!(dialog.remote_target, "sip:t@127.0.0.2:7;transport=UDP");
        assert_eq!(ok.status(), 200);
    }
}
