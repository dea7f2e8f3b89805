//! SIP over UDP, TCP and TLS on tokio.
