//! The relay with real sockets on the loopback: both backends do the same.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod first;
mod gate;
mod harness;
mod life;
mod media_flow;
mod openssl_party;
mod secure;

/// One test for each backend.
macro_rules! on_each_backend {
    ($($(#[$meta:meta])* fn $name:ident($backend:ident) $body:block)*) => {
        mod epoll {
            $($(#[$meta])* #[test] fn $name() { super::$name(relay::BackendChoice::Epoll); })*
        }
        mod io_uring {
            $($(#[$meta])* #[test] fn $name() {
                if crate::harness::io_uring_is_allowed() {
                    super::$name(relay::BackendChoice::IoUring);
                }
            })*
        }
        $($(#[$meta])* fn $name($backend: relay::BackendChoice) $body)*
    };
}
pub(crate) use on_each_backend;
