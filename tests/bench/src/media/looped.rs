//! The plain loop that relays are compared with: one `recvfrom` and one `sendto` for each
//! packet, between two sockets a call, in a process of its own. It checks nothing, counts
//! nothing and knows its destinations beforehand.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};

use anyhow::{Context, Result, bail};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::calls::{Call, Plan};

/// Sockets that are served after one wait.
const EVENTS: usize = 64;

struct End {
    socket: UdpSocket,
    /// Where what arrives at the other end of the call is sent to.
    party: SocketAddrV4,
}

/// Sets up the calls of a plan; `ready` is told them and says when to stop being set up.
pub(crate) fn serve(plan: &Plan, ready: impl FnOnce(&[Call]) -> Result<()>) -> Result<()> {
    if plan.suite.is_some() {
        bail!("the loop knows no encryption");
    }
    let mut ends = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..plan.calls {
        let caller = open(plan.caller)?;
        let callee = open(plan.callee)?;
        calls.push(Call {
            caller_sends_to: address(&caller)?,
            callee_sends_to: address(&callee)?,
            keys: None,
        });
        ends.extend([caller, callee]);
    }
    let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (index, end) in ends.iter().enumerate() {
        poll.add(
            &end.socket,
            EpollEvent::new(EpollFlags::EPOLLIN, index as u64),
        )?;
    }
    ready(&calls)?;
    let mut events = [EpollEvent::empty(); EVENTS];
    let mut buffer = [0; 2048];
    loop {
        let count = poll.wait(&mut events, EpollTimeout::NONE)?;
        for event in events.iter().take(count) {
            let index = event.data() as usize;
            let (Some(from), Some(to)) = (ends.get(index), ends.get(index ^ 1)) else {
                bail!("a socket without a call");
            };
            // A port of a party may be closed at the end of a run.
            if let Ok((length, _)) = from.socket.recv_from(&mut buffer)
                && let Some(packet) = buffer.get(..length)
            {
                let _refused = to.socket.send_to(packet, to.party);
            }
        }
    }
}

fn open(party: SocketAddrV4) -> Result<End> {
    let socket = UdpSocket::bind((*party.ip(), 0)).context("failed to open a socket")?;
    socket.set_nonblocking(true)?;
    Ok(End { socket, party })
}

fn address(end: &End) -> Result<SocketAddrV4> {
    match end.socket.local_addr()? {
        SocketAddr::V4(address) => Ok(address),
        SocketAddr::V6(other) => bail!("{other} is no IPv4 address"),
    }
}
