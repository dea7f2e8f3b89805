//! Inputs to begin with: some of our own, and the torture messages of RFC 4475 and
//! RFC 5118 where the shared corpus is present beside the repository.

use std::fs;
use std::path::Path;

use crate::sim::Random;

const MESSAGES: [&str; 8] = [
    "INVITE sip:+1212@example.net;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa;rport, SIP/2.0/TCP [2001:db8::1];branch=z9hG4bKb\r\nRoute: <sip:p1;lr>,<sip:p2;lr>\r\nMax-Forwards: 70\r\nFrom: \"Al \\\"x\\\" ice\" <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.net>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.1:5060;ob>;expires=60\r\nContent-Type: application/sdp\r\nContent-Length: 10\r\n\r\nv=0\r\no=- 1",
    "SIP/2.0 200 OK\r\nv: SIP/2.0/TLS a.example;branch=z9hG4bKx;received=192.0.2.9\r\nv: SIP/2.0/UDP b.example;branch=z9hG4bKy\r\nf: sip:a@b;tag=1\r\nt: sip:c@d;tag=2\r\ni: q\r\nCSeq: 9 BYE\r\nl: 0\r\n\r\n",
    "REGISTER sip:example.com SIP/2.0\nVia : SIP / 2.0 / UDP h ;\n branch=z9hG4bKq\nFrom: <sip:a@b>;tag=1\nTo: tel:+123;tag=\"x\"\nCall-ID: z\nCSeq: 2\n REGISTER\nContact: *\nExpires: 0\n\n",
    "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP y;branch=z9hG4bK2\r\nMax-Forwards: 0\r\nFrom: <sip:%41@b>;tag=a\r\nTo: <urn:service:sos>\r\nCall-ID: 1\r\nCSeq: 0 OPTIONS\r\nSubject: \"a\x01b\r\n\tc\"\r\nContent-Length: 0\r\n\r\n",
    "BYE sips:bob@[2001:db8::9]:5061;transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bKbye\r\nMax-Forwards: 70\r\nRecord-Route: <sips:one.example;lr>\r\nRecord-Route: <sips:two.example;lr>, <sips:three.example>\r\nFrom: Alice <sips:alice@a.example>;tag=9\r\nTo: \"Bob, the builder\" <sips:bob@b.example>;tag=8\r\nCall-ID: bye@a\r\nCSeq: 3 BYE\r\nUser-Agent: Phone/1\r\nContent-Length: 0\r\n\r\n",
    "ACK sip:bob@192.0.2.4 SIP/2.0\r\nVia: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKnashds8\r\nMax-Forwards: 70\r\nTo: Bob <sip:bob@example.com>;tag=a6c85cf\r\nFrom: Alice <sip:alice@example.com>;tag=1928301774\r\nCall-ID: a84b4c76e66710\r\nCSeq: 314159 ACK\r\nContent-Length: 0\r\n\r\n",
    "MESSAGE im:user2@domain.example SIP/2.0\r\nVia: SIP/2.0/TCP user1pc.domain.example;branch=z9hG4bK776sgdkse\r\nMax-Forwards: 70\r\nFrom: sip:user1@domain.example;tag=49583\r\nTo: sip:user2@domain.example\r\nCall-ID: asd88asd77a@1.2.3.4\r\nCSeq: 1 MESSAGE\r\nAuthorization: Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"im:user2@domain.example\", response=\"d\", algorithm=SHA-256\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\nWatson, come here.",
    "SIP/2.0 100 \r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa;rport=5060;received=192.0.2.1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: hundred\r\nCSeq: 1 INVITE\r\nTimestamp: 54\r\nContent-Length: 0\r\n\r\n",
];

const OFFERS: [&str; 5] = [
    "v=0\r\no=alice 2890844526 2890844526 IN IP4 host.example\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0 8 97\r\na=rtpmap:0 PCMU/8000\r\nm=video 51372 RTP/AVP 31\r\n",
    "v=0\r\no=- 1 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 5004 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\n",
    "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\na=fingerprint:sha-256 AB:CD\na=ice-ufrag:x\nt=0 0\nm=audio 9 UDP/TLS/RTP/SAVPF 111\nc=IN IP4 0.0.0.0\nm=application 0 UDP/DTLS/SCTP webrtc-datachannel\n",
    "v=0\r\ns=-\r\nc=IN IP4 224.2.1.1/127/3\r\nm=audio 49170/2 RTP/AVP 0\r\nm=image 0 udptl t38\r\n",
    "v=0\r\n",
];

/// Messages: ours and the published ones.
#[must_use]
pub fn messages() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = MESSAGES.map(|text| text.as_bytes().to_vec()).into();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    for folder in ["rfc4475", "rfc5118"] {
        let Ok(entries) = fs::read_dir(corpus.join(folder)) else {
            continue;
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        // The order of a folder differs from machine to machine.
        paths.sort();
        seeds.extend(paths.iter().filter_map(|path| fs::read(path).ok()));
    }
    seeds
}

/// Streams: several messages, keep-alives, and a message that a stream refuses.
#[must_use]
pub fn streams() -> Vec<Vec<u8>> {
    let messages = messages();
    let [invite, ok, register, ..] = MESSAGES.map(str::as_bytes);
    let mut seeds = vec![
        [invite, ok, invite].concat(),
        [b"\r\n\r\n", invite, b"\r\n\r\n", b"\r\n", ok, b"\r\n\r\n"].concat(),
        [ok, register, ok].concat(),
        b"\r\n\r\n\r\n\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00".to_vec(),
    ];
    seeds.extend(messages);
    seeds
}

/// Session descriptions, alone and as bodies.
#[must_use]
pub fn offers() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = OFFERS.map(|text| text.as_bytes().to_vec()).into();
    for message in messages() {
        if let Some(at) = message.windows(4).position(|window| window == b"\r\n\r\n") {
            seeds.push(message[at + 4..].to_vec());
        }
    }
    seeds.retain(|seed| !seed.is_empty());
    seeds
}

/// Calls: an offer in the INVITE, the same as the answer to it, and both once more,
/// between parties of all terms.
#[must_use]
pub fn exchanges() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, sdp) in offers().into_iter().enumerate() {
        let length = u16::try_from(sdp.len()).unwrap_or(u16::MAX).to_le_bytes();
        let message = |transaction: u8, kind: u8, who: u8| {
            [&[transaction, kind, who], &length[..], &sdp[..]].concat()
        };
        for modes in 0..6 {
            let terms = [
                number as u8 % 3,
                modes,
                number as u8,
                modes,
                number as u8 >> 1,
            ];
            seeds.push(
                [
                    &terms[..],
                    &message(0, 0, 0),
                    &message(0, 3, 0b11),
                    &message(0, 1, 0x43),
                    &message(1, 0, 0b10),
                    &message(1, 1, 0b11),
                ]
                .concat(),
            );
        }
    }
    seeds
}

/// Programs: bytes by chance, and for the transaction layer also whole messages.
#[must_use]
pub fn programs() -> Vec<Vec<u8>> {
    let mut random = Random::new(0x51b_c0de);
    let mut seeds: Vec<Vec<u8>> = (1..64_usize)
        .map(|number| (0..number * 6).map(|_| random.bits() as u8).collect())
        .collect();
    for message in MESSAGES.map(str::as_bytes) {
        // Step 11 takes so many bytes as a message.
        let length = u16::try_from(message.len())
            .unwrap_or(u16::MAX)
            .to_le_bytes();
        let step = [&[11], &length[..], message].concat();
        seeds.push([&[0, 2], &step[..], &step[..]].concat());
    }
    seeds
}
