//! The offsets are those that the canonical ABI gives the records of `wit/policy.wit`,
//! and the bytes are what they stand for.

use std::path::Path;

use wit_parser::{Resolve, SizeAlign, Type, TypeDefKind, TypeId};

use super::*;

struct Wit {
    resolve: Resolve,
    sizes: SizeAlign,
}

impl Wit {
    fn read() -> Self {
        let mut resolve = Resolve::default();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        resolve.push_path(path).unwrap();
        let mut sizes = SizeAlign::default();
        sizes.fill(&resolve).unwrap();
        Self { resolve, sizes }
    }

    fn type_id(&self, name: &str) -> TypeId {
        let named = |kind: &Option<String>| kind.as_deref() == Some(name);
        let mut types = self.resolve.types.iter();
        // The first is the one of `types`; others are named in `use`.
        types.find(|(_, it)| named(&it.name)).unwrap().0
    }

    /// Offsets of the fields of a record, and its size.
    fn record(&self, name: &str) -> (Vec<(String, usize)>, usize) {
        let id = self.type_id(name);
        let TypeDefKind::Record(record) = &self.resolve.types[id].kind else {
            panic!("{name} is no record");
        };
        let types = record.fields.iter().map(|field| &field.ty);
        let offsets = self.sizes.field_offsets(types);
        let names = record.fields.iter().map(|field| field.name.clone());
        let offsets = offsets.iter().map(|(at, _)| at.size_wasm32());
        let size = self.sizes.size(&Type::Id(id)).size_wasm32();
        (names.zip(offsets).collect(), size)
    }
}

fn assert_record(wit: &Wit, name: &str, known: &[(&str, usize)], known_size: Option<usize>) {
    let (fields, size) = wit.record(name);
    let known: Vec<_> = known
        .iter()
        .map(|&(name, at)| (name.to_owned(), at))
        .collect();
    assert_eq!(fields, known, "{name}");
    if let Some(known_size) = known_size {
        assert_eq!(size, known_size, "{name}");
    }
}

#[test]
fn offsets_are_those_of_the_canonical_abi() {
    let wit = Wit::read();
    let facts = [
        ("text", facts_at::TEXT),
        ("method", facts_at::METHOD),
        ("method-name", facts_at::METHOD_NAME),
        ("request-uri", facts_at::REQUEST_URI),
        ("from", facts_at::FROM),
        ("to", facts_at::TO),
        ("call-id", facts_at::CALL_ID),
        ("user-agent", facts_at::USER_AGENT),
        ("peer", facts_at::PEER),
        ("dialog", facts_at::DIALOG),
        ("identity", facts_at::IDENTITY),
        ("offer", facts_at::OFFER),
        ("anomalies", facts_at::ANOMALIES),
        ("score", facts_at::SCORE),
        ("annotations", facts_at::ANNOTATIONS),
        ("size", facts_at::SIZE),
    ];
    assert_record(&wit, "request-facts", &facts, Some(FACTS_BYTES));
    let uri = [
        ("scheme", uri_at::SCHEME),
        ("whole", uri_at::WHOLE),
        ("user", uri_at::USER),
        ("host", uri_at::HOST),
        ("port", uri_at::PORT),
        ("params", uri_at::PARAMS),
    ];
    assert_record(&wit, "uri", &uri, None);
    let party = [
        ("uri", party_at::URI),
        ("display", party_at::DISPLAY),
        ("tag", party_at::TAG),
    ];
    assert_record(&wit, "party", &party, None);
    let peer = [
        ("address", peer_at::ADDRESS),
        ("port", peer_at::PORT),
        ("transport", peer_at::TRANSPORT),
        ("zone", peer_at::ZONE),
        ("name", peer_at::NAME),
        ("certificate", peer_at::CERTIFICATE),
    ];
    assert_record(&wit, "peer", &peer, None);
    let certificate = [
        ("names", certificate_at::NAMES),
        ("fingerprint", certificate_at::FINGERPRINT),
        ("issuer", certificate_at::ISSUER),
    ];
    assert_record(&wit, "certificate", &certificate, None);
    let stream = [
        ("kind", stream_at::KIND),
        ("protocol", stream_at::PROTOCOL),
        ("encrypted", stream_at::ENCRYPTED),
        ("address", stream_at::ADDRESS),
        ("port", stream_at::PORT),
        ("address-kind", stream_at::ADDRESS_KIND),
    ];
    assert_record(&wit, "media-stream", &stream, Some(STREAM_BYTES));
}

#[test]
fn what_options_and_addresses_hold_is_where_it_is_written() {
    let wit = Wit::read();
    let TypeDefKind::Variant(address) = &wit.resolve.types[wit.type_id("ip-address")].kind else {
        panic!("ip-address is no variant");
    };
    let payload = |cases: &[Option<&Type>]| {
        let tag = wit_parser::Int::U8;
        let at = wit.sizes.payload_offset(tag, cases.iter().copied());
        at.size_wasm32()
    };
    let cases: Vec<_> = address.cases.iter().map(|case| case.ty.as_ref()).collect();
    assert_eq!(payload(&cases), ADDRESS);
    assert_eq!(payload(&[None, Some(&Type::U64)]), OPTION_U64);
    assert_eq!(payload(&[None, Some(&Type::U16)]), OPTION_U16);
    let certificate = Type::Id(wit.type_id("certificate"));
    assert_eq!(payload(&[None, Some(&certificate)]), OPTION_U64);
    let names: Vec<_> = address.cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names, ["ipv4", "ipv6"], "0 and 1");
}

fn uri(first: u64) -> wit::Uri {
    wit::Uri {
        scheme: wit::Scheme::Tel,
        whole: first,
        user: Some(first + 1),
        host: first + 2,
        port: Some(5070),
        params: first + 3,
    }
}

fn party(first: u64) -> wit::Party {
    wit::Party {
        uri: uri(first),
        display: Some(first + 4),
        tag: Some(first + 5),
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn facts() -> wit::RequestFacts<'static> {
    wit::RequestFacts {
        text: b"",
        method: wit::Method::Other,
        method_name: 1,
        request_uri: uri(10),
        from: party(20),
        to: wit::Party {
            tag: None,
            ..party(30)
        },
        call_id: 2,
        user_agent: None,
        peer: wit::Peer {
            address: wit::IpAddress::Ipv6((0x2001, 0xdb8, 0, 0, 0, 0, 0, 7)),
            port: 0x1234,
            transport: wit::Transport::Wss,
            zone: wit::Zone::Outside,
            name: Some(40),
            certificate: Some(wit::Certificate {
                names: 41,
                fingerprint: 42,
                issuer: 43,
            }),
        },
        dialog: wit::Dialog::Confirmed,
        identity: Some(44),
        offer: &[],
        anomalies: wit::Anomalies::UNREADABLE_OFFER | wit::Anomalies::COMPACT_FORM,
        score: -2,
        annotations: 45,
        size: 0x0102_0304,
    }
}

#[test]
fn fields_are_little_endian_with_their_discriminants() {
    let facts = facts();
    let mut bytes = [0xee; FACTS_BYTES];
    put_facts(Fields(&mut bytes), &facts);
    assert_eq!((bytes[8], word(&bytes, 16)), (14, 1));
    assert_eq!((bytes[24], word(&bytes, 32), bytes[40]), (2, 10, 1));
    assert_eq!((word(&bytes, 48), word(&bytes, 56)), (11, 12));
    assert_eq!((bytes[64], &bytes[66..68]), (1, &5070u16.to_le_bytes()[..]));
    assert_eq!(word(&bytes, 72), 13);
    assert_eq!((bytes[136], word(&bytes, 144)), (1, 24));
    assert_eq!((bytes[152], word(&bytes, 160)), (1, 25));
    assert_eq!((bytes[240], word(&bytes, 248)), (0, 0xeeee_eeee_eeee_eeee));
    assert_eq!((word(&bytes, 256), bytes[264]), (2, 0));
    assert_eq!(bytes[280], 1);
    assert_eq!(bytes[282..286], [0x01, 0x20, 0xb8, 0x0d]);
    assert_eq!(bytes[286..298], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0]);
    assert_eq!(bytes[298..302], [0x34, 0x12, 4, 1]);
    assert_eq!((bytes[304], word(&bytes, 312)), (1, 40));
    assert_eq!(
        (bytes[320], word(&bytes, 328), word(&bytes, 344)),
        (1, 41, 43)
    );
    assert_eq!((bytes[352], bytes[360], word(&bytes, 368)), (2, 1, 44));
    assert_eq!(bytes[384..386], [0x01, 0x40]);
    assert_eq!(bytes[388..392], [0xfe, 0xff, 0xff, 0xff]);
    assert_eq!((word(&bytes, 392), bytes[400]), (45, 4));
}

#[test]
fn streams_are_written_too() {
    let stream = wit::MediaStream {
        kind: 1,
        protocol: 2,
        encrypted: true,
        address: 3,
        port: 0x0504,
        address_kind: wit::AddressKind::Own,
    };
    let mut bytes = [0; STREAM_BYTES];
    put_stream(Fields(&mut bytes), &stream);
    let words = [0, 8, 24].map(|at| word(&bytes, at));
    assert_eq!((words, bytes[16]), ([1, 2, 3], 1));
    assert_eq!(bytes[32..35], [4, 5, 7]);
}

#[test]
fn packed_facts_are_the_record_the_offer_and_the_text() {
    let stream = |first: u64| wit::MediaStream {
        kind: first,
        protocol: first + 1,
        encrypted: true,
        address: first + 2,
        port: 4000,
        address_kind: wit::AddressKind::Public,
    };
    let offer = [stream(60), stream(70)];
    let facts = wit::RequestFacts {
        text: b"INVITE sip:a@h",
        offer: &offer,
        ..facts()
    };
    // What was there before leaves no trace.
    let mut written = Written {
        bytes: vec![0xee; 2_000],
        ..Written::default()
    };
    written.write(&facts).unwrap();
    let bytes = &written.bytes;
    let list = |at: usize| word(bytes, at);
    let (offer_at, text_at) = (408, 408 + 2 * 40);
    assert_eq!(list(facts_at::TEXT), 14 << 32 | text_at);
    assert_eq!(list(facts_at::OFFER), 2 << 32 | offer_at);
    assert_eq!((word(bytes, 408), word(bytes, 448)), (60, 70));
    assert_eq!(&bytes[text_at as usize..], b"INVITE sip:a@h\0\0");
    assert_eq!((written.text(), written.offer().len()), (facts.text, 80));
    assert_eq!(word(bytes, 248), 0, "a tag that is not there");
}
