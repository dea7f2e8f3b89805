//! `push` and `pull` of a sipward that was built without them.

/// What cannot be done.
#[derive(Debug, clap::Args)]
pub(crate) struct PushArguments {
    /// Whatever was asked for.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    asked: Vec<String>,
}

/// The same.
pub(crate) type PullArguments = PushArguments;

pub(super) fn push(arguments: &PushArguments) -> anyhow::Result<()> {
    anyhow::bail!(
        "this sipward cannot push or pull{}; build one that can with `cargo build --release \
         --package sipward --features oci`",
        match arguments.asked.last() {
            Some(asked) => format!(" ({asked})"),
            None => String::new(),
        }
    )
}

pub(super) fn pull(arguments: &PullArguments) -> anyhow::Result<()> {
    push(arguments)
}
