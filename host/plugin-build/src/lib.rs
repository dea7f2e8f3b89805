//! From a plugin's source to a component. Knows compilers and files and no host:
//! authors build with it, and so does this repository.
//!
//! ```text
//! GuestToolchain::find_or_install -> a cargo that builds for guests
//! compile                         -> core modules
//! componentize                    -> the component, validated
//! Surface::of                     -> what it imports and exports
//! ```

mod compile;
mod component;
pub mod debian;
mod error;
pub mod program;
mod surface;
mod toolchain;

pub use compile::{Module, Order, PROFILE, compile, plugin_name};
pub use component::{componentize, componentize_file, write_whole};
pub use error::BuildError;
pub use surface::Surface;
pub use toolchain::{GuestToolchain, TARGET};
