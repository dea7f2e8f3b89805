//! How a worker reaches the kernel: io_uring where it is allowed, epoll elsewhere.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::eventfd::EventFd;

use crate::config::BackendChoice;
use crate::engine::Engine;
use crate::epoll::Epoll;
use crate::slots::Key;
use crate::uring::Uring;

/// Bytes of a buffer for one packet: 2 KiB, of which the last 448 are left for what
/// protection appends (tag, key identifier of at most 128 bytes, SRTCP index).
pub(crate) const BUFFER_BYTES: usize = 2_048;

/// Bytes received of one packet: 1,600, more than Ethernet carries. One that fills
/// them may have been cut and is refused for its size, whatever its plan allows.
pub(crate) const RECEIVE_BYTES: usize = 1_600;

/// Where a packet that passed goes, lying in the buffer that it came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) socket: Key,
    pub(crate) to: SocketAddr,
    pub(crate) length: usize,
}

/// Packets that are looked up together: 32, so that as many waits for memory run side by
/// side as a processor can have under way, and their lines stay in its first cache.
pub(crate) const TOGETHER: usize = 32;

/// How long a turn may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// Packets are let gather for so long before the first is looked at; zero when
    /// there is little traffic, and then the first packet ends the wait at once.
    pub(crate) gather: Duration,
    /// So many packets are worth ending the gathering for.
    pub(crate) enough: usize,
    /// The longest wait for a first packet; `None` means until one comes.
    pub(crate) at_most: Option<Duration>,
}

/// One way to receive and send for many sockets.
pub(crate) trait Backend: std::fmt::Debug {
    /// Starts to receive on a socket of the engine.
    fn add(&mut self, socket: Key, engine: &Engine) -> io::Result<()>;

    /// Stops receiving on a socket, which the engine still holds. The backend names
    /// it to [`Engine::handle_released`] when the kernel has let go of it.
    fn remove(&mut self, socket: Key, engine: &mut Engine);

    /// Waits, then gives every packet that is there to the engine and sends what it
    /// hands back. Returns how many packets came. Calls [`Engine::handle_orders`] when
    /// it wakes, and whenever it has received before it hands in.
    fn turn(&mut self, engine: &mut Engine, wait: Wait) -> io::Result<usize>;

    /// For the log.
    fn name(&self) -> &'static str;
}

/// Makes the backend that was chosen, woken also by `bell`.
pub(crate) fn make(choice: BackendChoice, bell: &EventFd) -> io::Result<Box<dyn Backend>> {
    match choice {
        BackendChoice::Epoll => Ok(Box::new(Epoll::new(bell)?)),
        BackendChoice::IoUring => Ok(Box::new(Uring::new(bell)?)),
        BackendChoice::Auto => match Uring::new(bell) {
            Ok(uring) => Ok(Box::new(uring)),
            Err(error) => {
                tracing::info!(%error, "io_uring is not available, so media uses epoll");
                Ok(Box::new(Epoll::new(bell)?))
            }
        },
    }
}
