//! TLS: who is who, what is refused, and certificates that change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use sip_transaction::{Destination, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use transport::tls::{
    CertificateFiles, ClientCertificates, OutboundTls, OutboundTlsConfig, ServerTlsConfig,
    TlsError, TlsFloor, TlsSettings, TlsVersion, TlsWarning, TrustAnchors,
};
use transport::{ConnectionLimits, ListenerConfig, SendError, TransportConfig};

use crate::authority::Authority;
use crate::harness::{
    NEVER, Station, call_id, eventually, listener, on_worker, request, request_via, transactions,
};

fn server(certificates: Vec<CertificateFiles>, client: ClientCertificates) -> ServerTlsConfig {
    ServerTlsConfig {
        certificates,
        client,
        floor: TlsFloor::default(),
    }
}

fn listening(config: &ServerTlsConfig) -> (Station, Arc<TlsSettings>) {
    listening_with(config, TransportConfig::default())
}

fn listening_with(
    config: &ServerTlsConfig,
    transport: TransportConfig,
) -> (Station, Arc<TlsSettings>) {
    let tls = TlsSettings::load(config).unwrap();
    let listener = ListenerConfig {
        tls: Some(Arc::clone(&tls)),
        ..listener(Transport::Tls)
    };
    (Station::start(transport, &[listener]), tls)
}

fn trusting(authority: &Authority, certificate: Option<CertificateFiles>) -> TransportConfig {
    let outbound = OutboundTls::load(&OutboundTlsConfig {
        anchors: TrustAnchors::File(authority.anchor().to_owned()),
        certificate,
        floor: TlsFloor::default(),
    });
    TransportConfig {
        outbound_tls: Some(outbound.unwrap()),
        ..TransportConfig::default()
    }
}

/// A station that trusts the authority and dials; it has a listener of no matter.
fn dialling(authority: &Authority, certificate: Option<CertificateFiles>) -> Station {
    Station::start(
        trusting(authority, certificate),
        &[listener(Transport::Tcp)],
    )
}

fn to(address: SocketAddr, name: &str) -> Destination {
    Destination {
        server_name: Some(name.into()),
        ..Destination::new(Transport::Tls, address)
    }
}

async fn dial(authority: &Authority, address: SocketAddr, name: &str) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority.anchor()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

fn presented(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

fn certificate(files: &CertificateFiles) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&files.chain).unwrap()
}

#[test]
fn the_certificate_follows_the_name_that_is_asked_for() {
    on_worker(async {
        let authority = Authority::new();
        let first = authority.issue("first", &["a.example", "127.0.0.1"], None);
        let second = authority.issue("second", &["b.example", "*.c.example"], None);
        let certificates = vec![first.clone(), second.clone()];
        let (mut station, _) = listening(&server(certificates, ClientCertificates::None));
        let address = station.address();
        for (name, files) in [
            ("a.example", &first),
            ("B.example", &second),
            ("x.c.example", &second),
            ("127.0.0.1", &first),
        ] {
            let stream = dial(&authority, address, name).await;
            assert_eq!(presented(&stream), certificate(files), "{name}");
        }
        let mut stream = dial(&authority, address, "a.example").await;
        stream.write_all(&request(1, 100)).await.unwrap();
        let (message, inbound) = station.message().await;
        assert_eq!(message.bytes(), &request(1, 100));
        assert_eq!(inbound.flow.transport, Transport::Tls);
        assert_eq!(inbound.certificate, None);
        let agreed = inbound.tls.unwrap();
        assert_eq!(agreed.version, "TLSv1.3");
        assert_eq!(agreed.cipher, "TLS_AES_256_GCM_SHA384");
        station.send(&inbound.flow.reply(), Bytes::from_static(b"answer"), None);
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    });
}

/// Each side may demand more than the other; what they agree on is told.
#[test]
fn the_floor_of_either_side_holds() {
    on_worker(async {
        let authority = Authority::new();
        let trunk = authority.issue("trunk", &["trunk.example"], None);
        let old = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
        let only_old = TlsFloor {
            version: TlsVersion::Tls12,
            ciphers: vec![old.into()],
        };
        let mut config = server(vec![trunk], ClientCertificates::None);
        config.floor = only_old.clone();
        let (mut lenient, _) = listening(&config);
        config.floor = TlsFloor {
            version: TlsVersion::Tls13,
            ciphers: Vec::new(),
        };
        let (strict, _) = listening(&config);
        let outbound = OutboundTls::load(&OutboundTlsConfig {
            anchors: TrustAnchors::File(authority.anchor().to_owned()),
            certificate: None,
            floor: only_old,
        })
        .unwrap();
        let config = TransportConfig {
            outbound_tls: Some(outbound),
            ..TransportConfig::default()
        };
        let mut station = Station::start(config, &[listener(Transport::Tcp)]);
        station.send(&to(lenient.address(), "trunk.example"), request(1, 0), None);
        let agreed = lenient.message().await.1.tls.unwrap();
        assert_eq!((agreed.version, agreed.cipher), ("TLSv1.2", old));
        let [id] = transactions();
        station.send(
            &to(strict.address(), "trunk.example"),
            request(2, 0),
            Some(id),
        );
        assert!(matches!(station.failure().await.1, SendError::Handshake(_)));
    });
}

#[test]
fn both_sides_learn_the_names_of_the_other() {
    on_worker(async {
        let authority = Authority::new();
        let trunk = authority.issue("trunk", &["trunk.example"], None);
        let pbx = authority.issue("pbx", &["pbx.example"], Some("sip:pbx.example"));
        let client = ClientCertificates::Required {
            authorities: authority.anchor().to_owned(),
        };
        let (mut trunk, _) = listening(&server(vec![trunk], client));
        let mut pbx = dialling(&authority, Some(pbx));
        pbx.send(&to(trunk.address(), "trunk.example"), request(1, 0), None);

        let (_, inbound) = trunk.message().await;
        let certificate = inbound.certificate.unwrap();
        assert_eq!(certificate.names, ["pbx.example", "sip:pbx.example"]);
        assert_eq!(certificate.fingerprint.len(), 64);
        let id = inbound.flow.connection.unwrap();
        assert_eq!(
            trunk.shared.connections().certificate(id),
            Some(certificate)
        );

        trunk.send(&inbound.flow.reply(), request(2, 0), None);
        let (message, inbound) = pbx.message().await;
        assert_eq!(message.call_id(), call_id(2));
        assert_eq!(inbound.certificate.unwrap().names, ["trunk.example"]);
        assert_eq!(inbound.tls.unwrap().version, "TLSv1.3");
        assert_eq!(inbound.flow.peer, trunk.address());
        let id = inbound.flow.connection.unwrap();
        assert_eq!(
            pbx.shared.connections().certificate(id).unwrap().names,
            ["trunk.example"]
        );

        // The same name travels on the same connection, another name does not.
        pbx.send(&to(trunk.address(), "TRUNK.example"), request(3, 0), None);
        assert_eq!(trunk.message().await.1.flow.connection, inbound_id(&trunk));
        let [id] = transactions();
        pbx.send(
            &to(trunk.address(), "other.example"),
            request(4, 0),
            Some(id),
        );
        assert!(matches!(pbx.failure().await.1, SendError::Handshake(_)));
    });
}

fn inbound_id(station: &Station) -> Option<sip_transaction::ConnectionId> {
    (station.shared.connections().len() == 1).then_some(sip_transaction::ConnectionId(0))
}

#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_required() {
    on_worker(async {
        let authority = Authority::new();
        let trunk = authority.issue("trunk", &["trunk.example"], None);
        let anchor = authority.anchor().to_owned();
        let required = ClientCertificates::Required {
            authorities: anchor.clone(),
        };
        let (mut station, tls) = listening(&server(vec![trunk.clone()], required));
        let mut anonymous = dialling(&authority, None);
        let [first, second] = transactions();
        anonymous.send(
            &to(station.address(), "trunk.example"),
            request(1, 0),
            Some(first),
        );
        // With TLS 1.3 the client believes in the connection until it is told.
        eventually(|| station.shared.figures().handshake_failures == 1).await;
        assert!(station.nothing().await);
        assert!(station.shared.connections().is_empty());
        assert_eq!(anonymous.failure().await.0, first);

        let strangers = Authority::new();
        let stranger = strangers.issue("pbx", &["pbx.example"], None);
        let mut stranger = dialling(&authority, Some(stranger));
        let optional = ClientCertificates::Optional {
            authorities: anchor,
        };
        tls.reload(&server(vec![trunk], optional)).unwrap();
        stranger.send(
            &to(station.address(), "trunk.example"),
            request(2, 0),
            Some(second),
        );
        eventually(|| station.shared.figures().handshake_failures == 2).await;
        assert!(station.nothing().await);
        assert_eq!(stranger.failure().await.0, second);

        let anonymous = dialling(&authority, None);
        anonymous.send(&to(station.address(), "trunk.example"), request(3, 0), None);
        let (message, inbound) = station.message().await;
        assert_eq!(
            (message.call_id(), inbound.certificate),
            (&call_id(3)[..], None)
        );
    });
}

#[test]
fn a_server_that_does_not_prove_its_name_gets_nothing() {
    on_worker(async {
        let authority = Authority::new();
        let trunk = authority.issue("trunk", &["trunk.example", "127.0.0.1"], None);
        let (mut station, _) = listening(&server(vec![trunk], ClientCertificates::None));
        let address = station.address();
        let mut pbx = dialling(&authority, None);
        let [wrong, bad, plain] = transactions();
        pbx.send(&to(address, "evil.example"), request(1, 0), Some(wrong));
        let (failed, error) = pbx.failure().await;
        assert!(
            failed == wrong && matches!(error, SendError::Handshake(_)),
            "{error}"
        );
        pbx.send(&to(address, "not a name"), request(2, 0), Some(bad));
        assert_eq!(
            pbx.failure().await,
            (bad, SendError::ServerName("not a name".into()))
        );
        assert!(pbx.shared.connections().is_empty());
        assert_eq!(pbx.shared.figures().handshake_failures, 2);

        let mut distrustful = dialling(&Authority::new(), None);
        distrustful.send(&to(address, "trunk.example"), request(3, 0), Some(plain));
        assert!(matches!(
            distrustful.failure().await.1,
            SendError::Handshake(_)
        ));
        assert!(station.nothing().await);

        // Without a name, the address must be in the certificate, and here it is.
        pbx.send(
            &Destination::new(Transport::Tls, address),
            request(4, 0),
            None,
        );
        assert_eq!(station.message().await.0.call_id(), call_id(4));
    });
}

/// A client hello of TLS 1.`minor - 1`, sound but for its age: one cipher suite
/// (ECDHE, ECDSA, AES-128-GCM), one group and one signature scheme.
fn hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let extensions = [
        0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3, 0, 11, 0, 2, 1, 0,
    ];
    body.extend([0, 22]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![0x16, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    record
}

#[test]
fn tls_1_1_is_refused() {
    on_worker(async {
        let authority = Authority::new();
        let trunk = authority.issue("trunk", &["trunk.example"], None);
        let (station, _) = listening(&server(vec![trunk], ClientCertificates::None));
        let mut old = station.dial().await;
        old.write_all(&hello(2)).await.unwrap();
        let mut answer = Vec::new();
        old.read_to_end(&mut answer).await.unwrap();
        // A fatal alert: protocol_version.
        assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]));
        assert_eq!(station.shared.figures().handshake_failures, 1);

        // The same hello a version later is answered by a server hello.
        let mut floor = station.dial().await;
        floor.write_all(&hello(3)).await.unwrap();
        let mut answer = [0; 6];
        floor.read_exact(&mut answer).await.unwrap();
        assert_eq!((answer[0], answer[5]), (22, 2));
    });
}

#[test]
fn the_operator_hears_of_an_expired_certificate() {
    let authority = Authority::new();
    let expired = authority.issue_expired("old", &["trunk.example"]);
    let config = server(vec![expired.clone()], ClientCertificates::None);
    let prepared = TlsSettings::prepare(&config).unwrap();
    let [TlsWarning::Expired { path, days }] = &prepared.warnings[..] else {
        panic!("{:?}", prepared.warnings);
    };
    assert_eq!(path, &expired.chain);
    assert!(*days > 1_000);
    let outbound = OutboundTlsConfig {
        anchors: TrustAnchors::File(authority.anchor().to_owned()),
        certificate: Some(expired),
        floor: TlsFloor::default(),
    };
    assert_eq!(OutboundTls::prepare(&outbound).unwrap().warnings.len(), 1);
    let keyed = TrustAnchors::File(authority.issue("a", &[], None).key);
    let outbound = OutboundTlsConfig {
        anchors: keyed,
        certificate: None,
        floor: TlsFloor::default(),
    };
    assert!(matches!(
        OutboundTls::prepare(&outbound),
        Err(TlsError::NoCertificate(_))
    ));
}

#[test]
fn a_handshake_takes_no_longer_than_allowed() {
    on_worker(async {
        let authority = Authority::new();
        let trunk = authority.issue("trunk", &["trunk.example"], None);
        let limits = ConnectionLimits {
            handshake: Duration::from_millis(200),
            ..Default::default()
        };
        let config = TransportConfig {
            limits,
            ..TransportConfig::default()
        };
        let (station, _) = listening_with(&server(vec![trunk], ClientCertificates::None), config);
        let mut silent = station.dial().await;
        silent.write_all(&hello(3)[..5]).await.unwrap();
        assert_eq!(silent.read(&mut [0; 8]).await.unwrap_or(0), 0);
        assert_eq!(station.shared.figures().handshake_failures, 1);
        assert_eq!(station.shared.figures().inbound_connections, 0);
    });
}

#[test]
fn new_connections_see_the_new_certificate_and_old_ones_go_on() {
    on_worker(async {
        let authority = Authority::new();
        let old = authority.issue("old", &["trunk.example"], None);
        let new = authority.issue("new", &["trunk.example"], None);
        let (mut station, tls) = listening(&server(vec![old.clone()], ClientCertificates::None));
        let mut running = dial(&authority, station.address(), "trunk.example").await;
        assert_eq!(presented(&running), certificate(&old));

        // A key of another certificate, no key, no file: nothing changes.
        let mixed = CertificateFiles {
            chain: new.chain.clone(),
            key: old.key.clone(),
        };
        let refused = tls.reload(&server(vec![mixed], ClientCertificates::None));
        assert!(
            matches!(refused, Err(TlsError::BadKey { .. })),
            "{refused:?}"
        );
        let keyless = CertificateFiles {
            chain: new.chain.clone(),
            key: new.chain.clone(),
        };
        let refused = tls.reload(&server(vec![keyless], ClientCertificates::None));
        assert!(matches!(refused, Err(TlsError::NoKey(_))), "{refused:?}");
        let absent = CertificateFiles {
            chain: "/nonexistent.pem".into(),
            key: new.key.clone(),
        };
        let refused = tls.reload(&server(vec![absent], ClientCertificates::None));
        assert!(matches!(refused, Err(TlsError::Read { .. })), "{refused:?}");
        let refused = tls.reload(&server(Vec::new(), ClientCertificates::None));
        assert!(
            matches!(refused, Err(TlsError::NoneConfigured)),
            "{refused:?}"
        );
        let stream = dial(&authority, station.address(), "trunk.example").await;
        assert_eq!(presented(&stream), certificate(&old));

        let warnings = tls
            .reload(&server(vec![new.clone()], ClientCertificates::None))
            .unwrap();
        assert!(warnings.is_empty());
        let stream = dial(&authority, station.address(), "trunk.example").await;
        assert_eq!(presented(&stream), certificate(&new));
        running.write_all(&request(1, 0)).await.unwrap();
        assert_eq!(station.message().await.0.call_id(), call_id(1));
    });
}

/// RFC 5923: a request goes back on the connection of a client that proved its
/// name and asked for it, although nobody listens at the port it announced.
#[test]
fn a_proved_alias_carries_requests_back() {
    on_worker(async {
        let authority = Authority::new();
        let trunk = authority.issue("trunk", &["trunk.example"], None);
        let pbx = authority.issue("pbx", &["pbx.example"], None);
        let tls = TlsSettings::load(&server(
            vec![trunk],
            ClientCertificates::Required {
                authorities: authority.anchor().to_owned(),
            },
        ))
        .unwrap();
        let listener = ListenerConfig {
            tls: Some(tls),
            ..listener(Transport::Tls)
        };
        let mut trunk = Station::start(trusting(&authority, None), &[listener]);
        let mut pbx = dialling(&authority, Some(pbx));
        let there = to(trunk.address(), "trunk.example");
        pbx.send(&there, request_via("TLS 127.0.0.1:1;alias", 1, 0), None);
        trunk.message().await;

        let announced: SocketAddr = "127.0.0.1:1".parse().unwrap();
        trunk.send(&to(announced, "pbx.example"), request(2, 0), None);
        assert_eq!(pbx.message().await.0.call_id(), call_id(2));

        // Another name at the same address needs a connection of its own.
        let [id] = transactions();
        trunk.send(&to(announced, "other.example"), request(3, 0), Some(id));
        assert!(matches!(trunk.failure().await, (failed, SendError::Connect(_)) if failed == id));
        tokio::time::sleep(NEVER).await;
        assert!(pbx.nothing().await);
    });
}
