//! DTLS datagrams as far as they must be read before a library does (RFC 6347
//! sections 4.1 and 4.2.2): which version a client offers, and what no library should
//! have to buffer.

/// Content types of records.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// First octets of records under keys of DTLS 1.3 (RFC 9147 section 4); what is behind
/// one of them in a datagram only who has the keys can tell apart.
const UNIFIED: std::ops::RangeInclusive<u8> = 32..=63;

/// The handshake message that a client begins with.
const CLIENT_HELLO: u8 = 1;

/// What a server answers it with; HelloRetryRequest is a ServerHello, too.
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;

/// The extension that lists versions, and DTLS 1.3 in it (RFC 9147 section 5.3).
const SUPPORTED_VERSIONS: u16 = 43;
const DTLS_1_3: u16 = 0xFEFC;

/// The longest handshake message: 16 KiB, room for a chain of certificates. Libraries
/// reserve what the first fragment announces.
pub(super) const MESSAGE_BYTES: usize = 16_384;

/// Extensions of a ClientHello that are looked at: 64. Clients send about fifteen.
const EXTENSIONS: usize = 64;

/// What a client begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hello {
    /// It can speak DTLS 1.3.
    Newest,
    /// It can not, or this fragment does not say.
    Older,
}

/// Reads the ClientHello at the start of a datagram; `None` if it has none.
///
/// Of a hello in fragments the first alone is read, and what is missing from it counts
/// as not offered: those who offer 1.3 speak 1.2 too (RFC 9147 section 5.3).
pub(super) fn client_hello(datagram: &[u8]) -> Option<Hello> {
    let record = records(datagram).next()??;
    let message = record.handshake?;
    if record.epoch != 0 || message.kind != CLIENT_HELLO {
        return None;
    }
    let newest = message.offset == 0 && offers_newest(message.fragment).unwrap_or(false);
    Some(if newest { Hello::Newest } else { Hello::Older })
}

/// Whether a datagram begins with a server's answer to a ClientHello.
pub(super) fn answers_hello(datagram: &[u8]) -> bool {
    let first = records(datagram).next().flatten();
    let message = first.and_then(|record| record.handshake);
    message.is_some_and(|it| matches!(it.kind, SERVER_HELLO | HELLO_VERIFY_REQUEST))
}

/// `None` if the body ends too soon.
fn offers_newest(body: &[u8]) -> Option<bool> {
    // Version and random.
    let (_, rest) = body.split_at_checked(34)?;
    let (_session, rest) = short(rest)?;
    let (_cookie, rest) = short(rest)?;
    let (_ciphers, rest) = long(rest)?;
    let (_compression, rest) = short(rest)?;
    let (_length, mut rest) = rest.split_at_checked(2)?;
    for _ in 0..EXTENSIONS {
        let (kind, after) = rest.split_first_chunk()?;
        let (extension, after) = long(after)?;
        if u16::from_be_bytes(*kind) == SUPPORTED_VERSIONS {
            let (versions, _) = short(extension)?;
            let newest = DTLS_1_3.to_be_bytes();
            return Some(versions.chunks_exact(2).any(|version| version == newest));
        }
        rest = after;
    }
    None
}

/// A vector with one octet of length, and what follows.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// A vector with two octets of length, and what follows.
fn long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// An alert of the epoch before there are keys: anyone can write it, and a fatal one
/// would end the handshake.
pub(super) fn is_clear_alert(datagram: &[u8]) -> bool {
    matches!(datagram, [ALERT, _, _, 0, 0, ..])
}

/// Whether a handshake can go on after this datagram: its records are whole, and so are
/// the headers of handshake messages in the clear, none longer than [`MESSAGE_BYTES`].
/// One that fails here would cost the machine that reads it.
pub(super) fn is_sound(datagram: &[u8]) -> bool {
    let mut some = false;
    for record in records(datagram) {
        match record {
            Some(record) if record.kind == HANDSHAKE && record.epoch == 0 => {
                let sound = record.handshake.is_some_and(|message| {
                    message.length <= MESSAGE_BYTES
                        && message.offset + message.fragment.len() <= message.length
                });
                if !sound {
                    return false;
                }
            }
            Some(record) if record.kind == ALERT && record.epoch == 0 => return false,
            Some(_) => {}
            None => return false,
        }
        some = true;
    }
    some
}

/// Whether a datagram begins with a record that has keys already.
pub(super) fn has_keys(datagram: &[u8]) -> bool {
    matches!(datagram, [_, _, _, high, low, ..] if (*high, *low) != (0, 0))
}

struct Record<'a> {
    kind: u8,
    epoch: u16,
    /// The first message of it, if it is in the clear and whole.
    handshake: Option<Message<'a>>,
}

struct Message<'a> {
    kind: u8,
    length: usize,
    offset: usize,
    fragment: &'a [u8],
}

/// The records of a datagram; `None` for what is none, and it is the last.
fn records(datagram: &[u8]) -> impl Iterator<Item = Option<Record<'_>>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((record, after)) = record(rest) else {
            rest = &[];
            return Some(None);
        };
        rest = after;
        Some(Some(record))
    })
}

fn record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    if let Some(kind) = bytes.first().copied().filter(|it| UNIFIED.contains(it)) {
        let record = Record {
            kind,
            epoch: u16::MAX,
            handshake: None,
        };
        return Some((record, &[]));
    }
    // Type, version, epoch, sequence number; then the length.
    let (head, rest) = bytes.split_first_chunk::<11>()?;
    let (payload, rest) = long(rest)?;
    let [kind, major, _, high, low, ..] = *head;
    if major != 0xFE {
        return None;
    }
    let epoch = u16::from_be_bytes([high, low]);
    let clear = kind == HANDSHAKE && epoch == 0;
    let handshake = if clear { message(payload) } else { None };
    let record = Record {
        kind,
        epoch,
        handshake,
    };
    Some((record, rest))
}

fn message(payload: &[u8]) -> Option<Message<'_>> {
    // Type, length, number of the message, offset and length of the fragment.
    let (head, rest) = payload.split_first_chunk::<12>()?;
    let [kind, l0, l1, l2, _, _, o0, o1, o2, f0, f1, f2] = *head;
    let number = |a, b, c| u32::from_be_bytes([0, a, b, c]) as usize;
    let fragment = rest.get(..number(f0, f1, f2))?;
    Some(Message {
        kind,
        length: number(l0, l1, l2),
        offset: number(o0, o1, o2),
        fragment,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(versions: &[u16], before: usize) -> Vec<u8> {
        let mut body = vec![0xFE, 0xFD];
        body.extend([7; 32]);
        body.extend([0, 0, 0, 2, 0xC0, 0x2B, 1, 0]);
        let mut extensions = Vec::new();
        for _ in 0..before {
            extensions.extend([0xFF, 1, 0, 1, 0]);
        }
        if !versions.is_empty() {
            let length = versions.len() * 2;
            extensions.extend([0, 43, 0, length as u8 + 1, length as u8]);
            extensions.extend(versions.iter().flat_map(|it| it.to_be_bytes()));
        }
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        body
    }

    fn fragment(body: &[u8], offset: usize, length: usize) -> Vec<u8> {
        let part = &body[offset..offset + length];
        let mut datagram = vec![22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0];
        datagram.extend((part.len() as u16 + 12).to_be_bytes());
        datagram.push(1);
        let number = |value: usize| (value as u32).to_be_bytes()[1..].to_vec();
        datagram.extend(number(body.len()));
        datagram.extend([0, 0]);
        datagram.extend(number(offset));
        datagram.extend(number(part.len()));
        datagram.extend(part);
        datagram
    }

    fn whole(body: &[u8]) -> Vec<u8> {
        fragment(body, 0, body.len())
    }

    #[test]
    fn the_offered_version_is_found() {
        for (body, expected) in [
            (hello(&[0xFEFC], 0), Hello::Newest),
            (hello(&[0xFEFD, 0xFEFC], 15), Hello::Newest),
            (hello(&[0xFEFD], 3), Hello::Older),
            (hello(&[], 3), Hello::Older),
            (hello(&[0xFEFC], EXTENSIONS - 1), Hello::Newest),
            (hello(&[0xFEFC], EXTENSIONS), Hello::Older),
        ] {
            let datagram = whole(&body);
            assert_eq!(client_hello(&datagram), Some(expected));
            assert!(is_sound(&datagram));
        }
    }

    #[test]
    fn fragments_and_ends_are_no_trouble() {
        let body = hello(&[0xFEFC], 4);
        let datagram = whole(&body);
        for end in 0..datagram.len() {
            assert_eq!(client_hello(&datagram[..end]), None, "{end}");
            assert!(!is_sound(&datagram[..end]), "{end}");
        }
        for length in 0..body.len() {
            assert_eq!(
                client_hello(&fragment(&body, 0, length)),
                Some(Hello::Older),
                "{length}"
            );
        }
        assert_eq!(
            client_hello(&fragment(&body, 9, body.len() - 9)),
            Some(Hello::Older)
        );
        // Every octet of the body in every state: nothing but an answer.
        for at in 0..body.len() {
            for octet in [0, 1, 0x7F, 0xFF] {
                let mut body = body.clone();
                body[at] = octet;
                assert!(client_hello(&whole(&body)).is_some());
            }
        }
    }

    #[test]
    fn what_a_machine_should_not_read() {
        let good = whole(&hello(&[], 0));
        let mut server_hello = good.clone();
        server_hello[13] = 2;
        assert_eq!(client_hello(&server_hello), None);
        assert!(answers_hello(&server_hello) && !answers_hello(&good));
        assert!(!answers_hello(&[22; 60]) && !answers_hello(&[]));
        assert!(is_sound(&server_hello));
        assert_eq!(client_hello(&[22; 60]), None);
        assert!(!is_sound(&[22; 60]) && !is_sound(&[]) && !is_sound(&[23, 254, 253]));
        let alert = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
        assert!(is_clear_alert(&alert) && !is_sound(&alert));
        // An alert behind a good record is one, too.
        assert!(!is_sound(&[&good[..], &alert[..]].concat()));
        assert!(is_sound(&[&good[..], &good[..]].concat()));
        for (length, sound) in [(MESSAGE_BYTES, true), (MESSAGE_BYTES + 1, false)] {
            let mut announced = good.clone();
            announced[14..17].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
            assert_eq!(is_sound(&announced), sound, "{length}");
        }
        let mut beyond = good.clone();
        beyond[21] = 1;
        assert!(
            !is_sound(&beyond),
            "a fragment that ends behind its message"
        );
        assert!(is_sound(&[0x2E, 1, 2, 3]), "DTLS 1.3 under keys");
        assert!(is_sound(&[&good[..], &[0x2E, 1, 2, 3]].concat()));
        let mut sealed = good.clone();
        assert!(!has_keys(&sealed) && !has_keys(&[]));
        sealed[4] = 1;
        assert!(has_keys(&sealed) && is_sound(&sealed));
    }
}
