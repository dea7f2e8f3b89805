//! Listeners keep their sockets and connections over a reload as long as their
//! transport and address stay the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use sip_transaction::ListenerId;
use transport::tls::{
    CertificateFiles, ClientCertificates, OutboundTlsConfig, PreparedOutboundTls, PreparedTls,
    ServerTlsConfig, TlsFloor, TlsVersion, TrustAnchors,
};
use transport::{ListenerConfig, OutboundTls, TlsSettings};

use super::AssembleError;
use super::routing::transport;
use crate::config::{self, Config};

/// What makes two listeners the same socket.
type SocketKey = (config::Transport, SocketAddr);

/// The open listeners and their numbers.
#[derive(Default, Clone)]
pub(crate) struct ListenerBook {
    open: BTreeMap<(u8, SocketAddr), Entry>,
    next: u16,
    outbound_tls: Option<Arc<OutboundTls>>,
}

#[derive(Clone)]
struct Entry {
    id: ListenerId,
    tls: Option<Arc<TlsSettings>>,
}

/// A checked change of the listeners.
pub(crate) struct PreparedListeners {
    /// The book after the change.
    pub(crate) book: ListenerBook,
    /// To be opened.
    pub(crate) added: Vec<ListenerConfig>,
    /// To be closed.
    pub(crate) removed: Vec<ListenerId>,
    renewed: Vec<(Arc<TlsSettings>, PreparedTls)>,
    renewed_outbound: Option<(Arc<OutboundTls>, PreparedOutboundTls)>,
}

impl ListenerBook {
    /// The number of an open listener.
    pub(crate) fn id(&self, listener: &config::Listener) -> Option<ListenerId> {
        self.open
            .get(&key((listener.transport, listener.bind)))
            .map(|entry| entry.id)
    }

    /// Trust for connections that we open.
    pub(crate) fn outbound_tls(&self) -> Option<Arc<OutboundTls>> {
        self.outbound_tls.clone()
    }

    /// Check what a configuration changes. All certificates are read here.
    ///
    /// # Errors
    /// A certificate, key or authority cannot be used.
    pub(crate) fn prepare(&self, config: &Config) -> Result<PreparedListeners, AssembleError> {
        let mut change = PreparedListeners {
            book: Self {
                open: BTreeMap::new(),
                next: self.next,
                outbound_tls: None,
            },
            added: Vec::new(),
            removed: Vec::new(),
            renewed: Vec::new(),
            renewed_outbound: None,
        };
        for listener in &config.listeners {
            let prepared = prepare_tls(listener)?;
            let key = key((listener.transport, listener.bind));
            let entry = match (self.open.get(&key), prepared) {
                (Some(known), prepared) => {
                    if let (Some(tls), Some(prepared)) = (&known.tls, prepared) {
                        change.renewed.push((Arc::clone(tls), prepared));
                    }
                    known.clone()
                }
                (None, prepared) => {
                    change.book.next += 1;
                    let entry = Entry {
                        id: ListenerId(change.book.next),
                        tls: prepared.map(TlsSettings::new),
                    };
                    change.added.push(ListenerConfig {
                        id: entry.id,
                        transport: transport(listener.transport),
                        bind: listener.bind,
                        tls: entry.tls.clone(),
                    });
                    entry
                }
            };
            change.book.open.insert(key, entry);
        }
        let gone = self
            .open
            .iter()
            .filter(|(key, _)| !change.book.open.contains_key(key));
        change.removed = gone.map(|(_, entry)| entry.id).collect();
        self.prepare_outbound(config, &mut change)?;
        Ok(change)
    }

    fn prepare_outbound(
        &self,
        config: &Config,
        change: &mut PreparedListeners,
    ) -> Result<(), AssembleError> {
        let Some(written) = &config.outbound_tls else {
            return Ok(());
        };
        let certificate = match (&written.certificate, &written.key) {
            (Some(chain), Some(key)) => Some(CertificateFiles {
                chain: chain.clone(),
                key: key.clone(),
            }),
            (None, None) => None,
            _ => {
                return Err(AssembleError::value(
                    "outbound_tls",
                    "`certificate` and `key` go together",
                ));
            }
        };
        let anchors = written
            .ca
            .clone()
            .map_or(TrustAnchors::System, TrustAnchors::File);
        let prepared = OutboundTls::prepare(&OutboundTlsConfig {
            anchors,
            certificate,
            floor: floor(written.min_version, &written.ciphers),
        })
        .map_err(|cause| AssembleError::Tls {
            key: "outbound_tls".to_owned(),
            cause,
        })?;
        change.book.outbound_tls = Some(match &self.outbound_tls {
            Some(tls) => {
                change.renewed_outbound = Some((Arc::clone(tls), prepared));
                Arc::clone(tls)
            }
            None => OutboundTls::new(prepared),
        });
        Ok(())
    }
}

impl PreparedListeners {
    /// Let new handshakes use the certificates that were read. Connections that
    /// exist go on.
    pub(crate) fn renew_certificates(&mut self) {
        for (tls, prepared) in self.renewed.drain(..) {
            tls.install(prepared);
        }
        if let Some((tls, prepared)) = self.renewed_outbound.take() {
            tls.install(prepared);
        }
    }
}

fn key((transport, address): SocketKey) -> (u8, SocketAddr) {
    let place = match transport {
        config::Transport::Udp => 0,
        config::Transport::Tcp => 1,
        config::Transport::Tls => 2,
    };
    (place, address)
}

fn floor(oldest: config::TlsVersion, ciphers: &[String]) -> TlsFloor {
    TlsFloor {
        version: match oldest {
            config::TlsVersion::Tls12 => TlsVersion::Tls12,
            config::TlsVersion::Tls13 => TlsVersion::Tls13,
        },
        ciphers: ciphers.to_vec(),
    }
}

fn prepare_tls(listener: &config::Listener) -> Result<Option<PreparedTls>, AssembleError> {
    let name = format!("listener `{}`: tls", listener.name);
    let written = match (listener.transport, &listener.tls) {
        (config::Transport::Tls, Some(written)) => written,
        (config::Transport::Tls, None) => {
            return Err(AssembleError::value(
                name,
                "a TLS listener needs `certificate` and `key`",
            ));
        }
        (_, Some(_)) => {
            return Err(AssembleError::value(
                name,
                "only a listener with transport `tls` has it",
            ));
        }
        (_, None) => return Ok(None),
    };
    let mut certificates = vec![CertificateFiles {
        chain: written.certificate.clone(),
        key: written.key.clone(),
    }];
    certificates.extend(written.more.iter().map(|more| CertificateFiles {
        chain: more.certificate.clone(),
        key: more.key.clone(),
    }));
    let client = match (written.client_auth, &written.client_ca) {
        (config::ClientAuth::None, _) => ClientCertificates::None,
        (config::ClientAuth::Optional, Some(ca)) => ClientCertificates::Optional {
            authorities: ca.clone(),
        },
        (config::ClientAuth::Required, Some(ca)) => ClientCertificates::Required {
            authorities: ca.clone(),
        },
        (_, None) => {
            return Err(AssembleError::value(
                name,
                "`client_auth` needs `client_ca`",
            ));
        }
    };
    TlsSettings::prepare(&ServerTlsConfig {
        certificates,
        client,
        floor: floor(written.min_version, &written.ciphers),
    })
    .map(Some)
    .map_err(|cause| AssembleError::Tls {
        key: format!("listener `{}`", listener.name),
        cause,
    })
}
