//! Every file descriptor comes back: alone in its process, because it counts them all.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use media::{RelayCommand, SessionId};

use crate::harness::{open_plain, rtp, start};

#[path = "relay/harness.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod harness;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn every_descriptor_comes_back() {
    for backend in [relay::BackendChoice::Epoll, relay::BackendChoice::Auto] {
        let before = descriptors();
        {
            let (relay, events) = start(backend);
            let handle = relay.handle();
            let running = descriptors();
            for round in 0..20 {
                let session = SessionId(round);
                let (caller, callee) = open_plain(&handle, session);
                caller.send(&rtp(1, 1));
                callee.receive();
                assert_eq!(descriptors(), running + 8);
                handle.command(RelayCommand::Close { session });
                events.recv_timeout(harness::SOON).unwrap();
                drop((caller, callee));
                assert_eq!(descriptors(), running);
            }
        }
        assert_eq!(descriptors(), before);
    }
}
