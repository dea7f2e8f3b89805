//! Loading and calling plugins, with guests written for these tests.

mod calls;
mod guest;
mod loading;
