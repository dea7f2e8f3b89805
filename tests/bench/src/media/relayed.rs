//! Sipward's relay in a process of its own, told by commands what its proxy would tell it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use media::{
    Codec, EndPlan, Format, Interface, KeyMaterial, Latch, LocalPorts, MediaTimeouts, Protection,
    RelayCommand, RelayEvent, Remote, SessionId, Side, StreamKind,
};
use relay::{BackendChoice, Relay, RelayConfig};
use smallvec::{SmallVec, smallvec};
use zeroize::Zeroizing;

use crate::calls::{Call, Keys, Plan};
use crate::packet::PCMA;
use crate::seal::Suite;

/// The first of its ports; rtpengine's are above, those that the system gives away too.
const FIRST_PORT: u16 = 10_000;
/// The last.
const LAST_PORT: u16 = 19_999;

/// Sets up the calls of a plan, tells them to `ready`, and relays for ever.
pub(crate) fn serve(
    plan: &Plan,
    backend: BackendChoice,
    ready: impl FnOnce(&[Call]) -> Result<()>,
) -> Result<()> {
    let interface = Interface::at(Ipv4Addr::LOCALHOST.into(), FIRST_PORT..=LAST_PORT);
    let config = RelayConfig {
        workers: plan.workers,
        interfaces: vec![interface],
        backend,
        ..RelayConfig::default()
    };
    let unavailable = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&unavailable);
    let relay = Relay::start(config, move |event| {
        if matches!(event, RelayEvent::PortUnavailable { .. }) {
            seen.store(true, Ordering::Relaxed);
        }
    })?;
    let handle = relay.handle();
    let mut calls = Vec::new();
    let mut port = FIRST_PORT;
    for number in 0..plan.calls {
        // Sessions of the proxy are numbered by shard; workers take them in turn.
        let session = SessionId(number as u64);
        handle.command(RelayCommand::Open {
            session,
            timeouts: MediaTimeouts::default(),
        });
        // Somebody else may have a port: take the next one.
        let call = loop {
            let ports = [next(&mut port)?, next(&mut port)?];
            let (call, ends) = call(plan, number, ports)?;
            handle.command(RelayCommand::Stream {
                session,
                stream: 0,
                generation: 1,
                ends: Box::new(ends),
            });
            if !unavailable.swap(false, Ordering::Relaxed) {
                break call;
            }
        };
        calls.push(call);
    }
    ready(&calls)?;
    loop {
        std::thread::park();
    }
}

fn next(port: &mut u16) -> Result<u16> {
    let this = *port;
    if this >= LAST_PORT {
        bail!("there are not enough ports");
    }
    *port += 2;
    Ok(this)
}

/// One call, and what the relay is told of its two ends.
fn call(plan: &Plan, number: usize, ports: [u16; 2]) -> Result<(Call, [EndPlan; 2])> {
    let [caller_port, callee_port] = ports;
    let keys = plan.suite.map(|suite| Keys {
        to_subject: plan.key(number, suite),
        from_subject: plan.key(number + plan.calls, suite),
    });
    let protection = match (plan.suite, &keys) {
        (Some(suite), Some(keys)) => Protection::Sdes {
            send: material(suite, &keys.from_subject)?,
            receive: material(suite, &keys.to_subject)?,
        },
        _ => Protection::Plain,
    };
    let ends = [
        end(caller_port, plan.caller, Protection::Plain),
        end(callee_port, plan.callee, protection),
    ];
    debug_assert_eq!(Side::Caller as usize, 0);
    let address = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let call = Call {
        caller_sends_to: address(caller_port),
        callee_sends_to: address(callee_port),
        keys,
    };
    Ok((call, ends))
}

fn material(suite: Suite, key_salt: &[u8]) -> Result<KeyMaterial> {
    let suite = match suite {
        Suite::Sha1 => media::Suite::AesCm128HmacSha1_80,
        Suite::Gcm => media::Suite::AeadAes128Gcm,
    };
    KeyMaterial::new(suite, Zeroizing::new(key_salt.to_vec())).context("the key is too short")
}

fn end(port: u16, party: SocketAddrV4, protection: Protection) -> EndPlan {
    let rtcp = SocketAddrV4::new(*party.ip(), party.port() + 1);
    let formats: SmallVec<[Format; 4]> = smallvec![Format {
        payload_type: PCMA,
        clock_rate: 8000,
        codec: Codec::G711,
    }];
    EndPlan {
        local: LocalPorts {
            interface: 0,
            ipv6: false,
            rtp: port,
        },
        remote: Some(Remote {
            rtp: Some(SocketAddr::V4(party)),
            rtcp: Some(SocketAddr::V4(rtcp)),
            latch: Latch::Signalled,
            sources: SmallVec::new(),
            networks: Arc::from([]),
        }),
        rtcp_mux: false,
        protection,
        sends: true,
        receives: true,
        payload_types: 1 << PCMA,
        formats,
        kind: StreamKind::Rtp,
        packets_per_second: 400,
        packet_bytes: 1_472,
    }
}
