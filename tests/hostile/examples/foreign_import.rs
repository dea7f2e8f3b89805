//! A well-formed component that imports an interface of somebody else's package.
//! The host must refuse it at load and name `evil:network/dial@1.0.0`.

use sipward_plugin_sdk::prelude::*;

mod foreign {
    wit_bindgen::generate!({
        inline: "package evil:network@1.0.0;
            interface dial { dial: func(address: string) -> bool; }
            world imports { import dial; }",
    });
}

/// Calls home on each request.
pub struct Foreign;

#[policy]
impl Policy for Foreign {
    type Settings = Option<bool>;

    fn configure(_: Option<bool>) -> Result<Self, SettingsError> {
        Ok(Self)
    }

    fn on_request(&self, _: &Request<'_>) -> Outcome {
        let reached = foreign::evil::network::dial::dial("home.example:443");
        Outcome::next().because(if reached { "reached" } else { "not reached" })
    }
}
