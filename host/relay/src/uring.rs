//! Not here yet.
use std::io;

use nix::sys::eventfd::EventFd;

use crate::backend::{Backend, Wait};
use crate::engine::Engine;
use crate::slots::Key;

#[derive(Debug)]
pub(crate) struct Uring;

impl Uring {
    pub(crate) fn new(_bell: &EventFd) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Backend for Uring {
    fn add(&mut self, _: Key, _: &Engine) -> io::Result<()> {
        Ok(())
    }
    fn remove(&mut self, _: Key, _: &mut Engine) {}
    fn turn(&mut self, _: &mut Engine, _: Wait) -> io::Result<usize> {
        Ok(0)
    }
    fn name(&self) -> &'static str {
        "io_uring"
    }
}
