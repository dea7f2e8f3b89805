//! Free ports on 127.0.0.1, one for each part of a run.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::{Context, Result};

/// Who listens where.
pub(crate) struct Ports {
    /// The subject.
    pub(crate) inside: u16,
    /// sipp as a PBX.
    pub(crate) pbx: u16,
    /// sipp as a trunk.
    pub(crate) trunk: u16,
}

impl Ports {
    /// Ports that were free a moment ago.
    pub(crate) fn find() -> Result<Self> {
        let sockets = [(); 3].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
        let [inside, pbx, trunk] = sockets.map(|socket| -> Result<u16> {
            let socket = socket.context("failed to bind on 127.0.0.1")?;
            Ok(socket.local_addr()?.port())
        });
        Ok(Self {
            inside: inside?,
            pbx: pbx?,
            trunk: trunk?,
        })
    }
}
