//! Calls with audio by real phones, and what must never pass.

mod bleed;
mod direct;
mod first;
mod followed;
mod offers;
mod through;
