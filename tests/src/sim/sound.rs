//! The session descriptions that agents write: offers of several kinds, and answers to
//! whatever the proxy made of the other side's offer.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::script::Offer;

/// Says that it is SDP, and is not.
pub(super) const GARBAGE: &str = "v=0\r\nnothing that anybody could read\r\n";

/// A key of 30 octets, as good as any other.
const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

fn head(address: IpAddr, version: u32) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=agent 7 {version} IN {family} {address}\r\ns=-\r\n\
         c=IN {family} {address}\r\nt=0 0\r\n"
    )
}

/// An offer of the agent at this address. `number` chooses ports that no other call has.
pub(super) fn offer(kind: Offer, agent: SocketAddr, number: usize, version: u32) -> String {
    let port = 30_000 + 20 * number;
    let audio = format!("m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    let head = head(agent.ip(), version);
    match kind {
        Offer::Late => String::new(),
        Offer::Plain => head + &audio,
        Offer::Encrypted => {
            let secure = audio.replace("RTP/AVP", "RTP/SAVP");
            format!("{head}{secure}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n")
        }
        Offer::Two => format!(
            "{head}{audio}m=video {} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
            port + 2
        ),
        Offer::Hold => head + &audio + "a=sendonly\r\n",
        Offer::Bad => GARBAGE.to_owned(),
    }
}

/// An answer to an offer: its first format of audio, with the first key that it offers;
/// anything else is refused.
pub(super) fn answer(offer: &str, agent: SocketAddr, number: usize) -> String {
    let port = 30_010 + 20 * number;
    let mut text = head(agent.ip(), 1);
    let sections = offer.split("\r\nm=").skip(1);
    for (place, section) in (0..).zip(sections) {
        let mut lines = section.split("\r\n");
        let fields: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [kind, offered, protocol, format, ..] = fields[..] else {
            continue;
        };
        let taken = kind == "audio" && offered != "0";
        let port = if taken { port + 2 * place } else { 0 };
        let _infallible = write!(text, "m={kind} {port} {protocol} {format}\r\n");
        let mut wanted = lines.filter(|_| taken);
        let key = wanted.clone().find(|line| line.starts_with("a=crypto:"));
        if let Some(key) = key {
            text += key;
            text += "\r\n";
        }
        if wanted.any(|line| line == "a=sendonly") {
            text += "a=recvonly\r\n";
        }
    }
    text
}

/// Addresses that a description names, wherever they stand.
pub(super) fn addresses(text: &str) -> impl Iterator<Item = IpAddr> + '_ {
    text.split([' ', '\r', '\n', '=', ':'])
        .filter_map(|word| word.parse().ok())
}
