//! Who sends a request of a test, and what is proved about it.

use super::Request;
use crate::bindings::identity::{DigestUser, TlsSession};
use crate::testing::facts::Certificate;
use crate::{Transport, Zone};

impl Request {
    /// Sets the source address.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").from_address("198.51.100.9");
    /// call.seen(|request| assert_eq!(request.peer().address().to_string(), "198.51.100.9"));
    /// ```
    ///
    /// # Panics
    /// If it is no IP address.
    #[must_use]
    pub fn from_address(mut self, address: &str) -> Self {
        self.sender.address = match address.parse() {
            Ok(address) => address,
            Err(_) => panic!("`{address}` is no IP address"),
        };
        self
    }

    /// Sets the source port.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").from_port(9);
    /// call.seen(|request| assert_eq!(request.peer().port(), 9));
    /// ```
    #[must_use]
    pub fn from_port(mut self, port: u16) -> Self {
        self.sender.port = port;
        self
    }

    /// Sets the transport.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Transport, testing::Request};
    /// let call = Request::invite("sip:bob@example.com").transport(Transport::Tcp);
    /// call.seen(|request| assert!(request.peer().address_is_proved()));
    /// ```
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.sender.transport = transport;
        self
    }

    /// Sets the zone of the sender.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Zone, testing::Request};
    /// let call = Request::invite("sip:bob@example.com").zone(Zone::Inside);
    /// call.seen(|request| assert_eq!(request.peer().zone(), Zone::Inside));
    /// ```
    #[must_use]
    pub fn zone(mut self, zone: Zone) -> Self {
        self.sender.zone = zone;
        self
    }

    /// Sets the name of the `[[pbx]]` or `[[trunk]]` that the source matched.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").peer_name("carrier");
    /// call.seen(|request| assert_eq!(request.peer().name(), Some("carrier")));
    /// ```
    #[must_use]
    pub fn peer_name(mut self, name: &str) -> Self {
        self.sender.name = Some(name.to_owned());
        self
    }

    /// Gives the peer a verified certificate with these comma-separated names.
    ///
    /// ```
    /// use sipward_plugin_sdk::{Transport, testing::Request};
    /// let call = Request::invite("sip:bob@example.com")
    ///     .transport(Transport::Tls)
    ///     .certificate("pbx.example.com");
    /// call.seen(|request| assert!(request.peer().certificate().is_some()));
    /// ```
    #[must_use]
    pub fn certificate(mut self, names: &str) -> Self {
        self.sender.certificate = Some(Certificate::new(names));
        self
    }

    /// Sets the fingerprint of the certificate, 64 zeros otherwise.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com")
    ///     .certificate("pbx.example.com")
    ///     .certificate_fingerprint("ab");
    /// call.seen(|request| assert_eq!(request.peer().certificate().unwrap().fingerprint(), "ab"));
    /// ```
    ///
    /// # Panics
    /// If the peer has no certificate.
    #[must_use]
    pub fn certificate_fingerprint(mut self, fingerprint: &str) -> Self {
        fingerprint.clone_into(&mut self.given_certificate().fingerprint);
        self
    }

    /// Sets the issuer of the certificate, `CN=Test CA` otherwise.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com")
    ///     .certificate("pbx.example.com")
    ///     .certificate_issuer("CN=Evil");
    /// call.seen(|request| assert_eq!(request.peer().certificate().unwrap().issuer(), "CN=Evil"));
    /// ```
    ///
    /// # Panics
    /// If the peer has no certificate.
    #[must_use]
    pub fn certificate_issuer(mut self, issuer: &str) -> Self {
        issuer.clone_into(&mut self.given_certificate().issuer);
        self
    }

    fn given_certificate(&mut self) -> &mut Certificate {
        match &mut self.sender.certificate {
            Some(certificate) => certificate,
            None => panic!("there is no certificate: call `certificate` first"),
        }
    }

    /// Sends the request over TLS with this version and cipher suite.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let old = Request::invite("sip:bob@example.com")
    ///     .tls("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    /// assert!(old.seen(|request| request.peer().is_encrypted()));
    /// ```
    #[must_use]
    pub fn tls(mut self, version: &str, cipher: &str) -> Self {
        self.tls = Some(TlsSession {
            version: version.to_owned(),
            cipher: cipher.to_owned(),
        });
        self.transport(Transport::Tls)
    }

    /// Adds a user whom an earlier plugin of the pipeline verified by digest.
    ///
    /// ```
    /// use sipward_plugin_sdk::testing::Request;
    /// let call = Request::invite("sip:bob@example.com").verified("alice", "example.com");
    /// # let _ = call;
    /// ```
    #[must_use]
    pub fn verified(mut self, user: &str, realm: &str) -> Self {
        self.verified.push(DigestUser {
            user: user.to_owned(),
            realm: realm.to_owned(),
        });
        self
    }
}
