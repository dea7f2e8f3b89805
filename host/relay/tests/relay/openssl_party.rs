//! A party whose DTLS is OpenSSL's, like that of most phones: datagrams in and out, in
//! memory, with a certificate of either kind.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use media::{Fingerprint, KeyMaterial, Suite};
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{ErrorCode, Ssl, SslContext, SslMethod, SslOptions, SslStream, SslVerifyMode};
use openssl::x509::{X509, X509NameBuilder};
use srtp::{DtlsKeys, EXPORTER_LABEL, exporter_len};

/// What a party's certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa,
    Ecdsa,
}

/// A certificate and its key.
#[derive(Clone)]
pub(crate) struct Papers {
    certificate: X509,
    key: PKey<Private>,
}

impl Papers {
    pub(crate) fn new(kind: Kind) -> Self {
        let key = match kind {
            Kind::Rsa => PKey::from_rsa(Rsa::generate(2_048).unwrap()).unwrap(),
            Kind::Ecdsa => {
                let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
                PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
            }
        };
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "phone").unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder
            .set_not_before(&Asn1Time::days_from_now(0).unwrap())
            .unwrap();
        builder
            .set_not_after(&Asn1Time::days_from_now(2).unwrap())
            .unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Papers {
            certificate: builder.build(),
            key,
        }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let digest = self.certificate.digest(MessageDigest::sha256()).unwrap();
        Fingerprint::sha256(digest.as_ref().try_into().unwrap())
    }
}

/// The party's DTLS.
pub(crate) struct OpensslParty {
    stream: SslStream<Wire>,
    active: bool,
    /// It can make nothing of what it has heard, and has said so.
    pub(crate) refused: bool,
    /// Send and receive, once the handshake is done.
    pub(crate) keys: Option<(KeyMaterial, KeyMaterial)>,
}

impl OpensslParty {
    pub(crate) fn new(papers: &Papers, active: bool) -> Self {
        let mut context = SslContext::builder(SslMethod::dtls()).unwrap();
        context.set_certificate(&papers.certificate).unwrap();
        context.set_private_key(&papers.key).unwrap();
        // What baresip offers, and nothing better.
        context
            .set_tlsext_use_srtp("SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32")
            .unwrap();
        context.set_options(SslOptions::NO_QUERY_MTU);
        context.set_verify_callback(
            SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
            |_, _| true,
        );
        let mut ssl = Ssl::new(&context.build()).unwrap();
        ssl.set_mtu(1_200).unwrap();
        if active {
            ssl.set_connect_state();
        } else {
            ssl.set_accept_state();
        }
        OpensslParty {
            stream: SslStream::new(ssl, Wire::default()).unwrap(),
            active,
            refused: false,
            keys: None,
        }
    }

    /// What it sends when it has heard that, or nothing for a while.
    pub(crate) fn step(&mut self, datagram: Option<&[u8]>) -> VecDeque<Vec<u8>> {
        assert!(!self.refused, "no more is said");
        if let Some(datagram) = datagram {
            self.stream.get_mut().incoming.push_back(datagram.to_vec());
        }
        if self.keys.is_none() {
            match self.stream.do_handshake() {
                Ok(()) => self.keys = Some(self.export()),
                Err(error) => self.refused = error.code() != ErrorCode::WANT_READ,
            }
        } else {
            let _nothing = self.stream.ssl_read(&mut [0; 64]);
        }
        std::mem::take(&mut self.stream.get_mut().outgoing)
    }

    /// The fingerprint of what the relay showed.
    pub(crate) fn shown(&self) -> Fingerprint {
        let certificate = self.stream.ssl().peer_certificate().unwrap();
        let digest = hash(MessageDigest::sha256(), &certificate.to_der().unwrap()).unwrap();
        Fingerprint::sha256(digest.as_ref().try_into().unwrap())
    }

    fn export(&self) -> (KeyMaterial, KeyMaterial) {
        let ssl = self.stream.ssl();
        let profile = ssl.selected_srtp_profile().expect("a profile");
        assert_eq!(profile.name(), "SRTP_AES128_CM_SHA1_80");
        let suite = Suite::AesCm128HmacSha1_80;
        let mut material = vec![0; exporter_len(suite)];
        ssl.export_keying_material(&mut material, EXPORTER_LABEL, None)
            .unwrap();
        let keys = DtlsKeys::split(suite, &material).unwrap();
        keys.into_directions(self.active)
    }
}

#[derive(Debug, Default)]
struct Wire {
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(datagram) = self.incoming.pop_front() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        assert!(self.outgoing.len() < 64, "a flight without end");
        self.outgoing.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
