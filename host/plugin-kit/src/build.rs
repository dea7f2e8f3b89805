//! `sipward plugin build`: from the source to a component, with its size and its imports.

use std::path::{Path, PathBuf};

use plugin_build::{
    GuestToolchain, Order, PROFILE, Surface, compile, componentize_file, write_whole,
};
use serde::Serialize;

use crate::error::{KitError, read};
use crate::project::{Kind, Project, run_all};

/// Bytes of a component that is looked into: as many as the host takes.
pub const COMPONENT_BYTES: u64 = crate::stage::WASM_BYTES as u64;

/// A component that was built.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: usize,
    /// What it needs of the host.
    pub imports: Vec<String>,
    /// What it gives.
    pub exports: Vec<String>,
}

/// Builds a plugin; `say` is told what is done for it. `arguments` go to cargo.
///
/// # Errors
/// There is no compiler, the source does not compile, or is no policy.
pub fn build(
    project: &Project,
    out: Option<&Path>,
    arguments: &[String],
    say: &mut dyn FnMut(&str),
) -> Result<Built, KitError> {
    let path = out.map_or_else(|| project.component(), Path::to_owned);
    let wasm = match &project.kind {
        Kind::Crate { library } => of_crate(project, library, arguments, say)?,
        Kind::Commands(commands) => {
            run_all(&project.folder, &commands.build)?;
            component(&project.component())?
        }
    };
    let surface = Surface::of(&wasm)?;
    write_whole(&path, &wasm)?;
    Ok(Built {
        path,
        bytes: wasm.len(),
        imports: surface.imports,
        exports: surface.exports,
    })
}

fn of_crate(
    project: &Project,
    library: &str,
    arguments: &[String],
    say: &mut dyn FnMut(&str),
) -> Result<Vec<u8>, KitError> {
    let toolchain = GuestToolchain::find_or_install(&project.folder, say)?;
    let profile = PROFILE.iter().flat_map(|setting| ["--config", *setting]);
    let arguments: Vec<&str> = profile
        .chain(arguments.iter().map(String::as_str))
        .collect();
    let modules = compile(Order {
        toolchain,
        folder: &project.folder,
        packages: &[&project.name],
        targets: &[library],
        examples: false,
        arguments: &arguments,
    })?;
    let module = modules.first().ok_or_else(|| {
        KitError::Unusable(format!("cargo built no module of `{}`", project.name))
    })?;
    Ok(componentize_file(&module.path)?)
}

/// A component's bytes. A core module, as cargo builds it, is made one.
///
/// # Errors
/// There is no such file, it is too large, or no policy.
pub fn component(path: &Path) -> Result<Vec<u8>, KitError> {
    let bytes = read(path, COMPONENT_BYTES)?;
    if Surface::of(&bytes).is_ok() {
        return Ok(bytes);
    }
    Ok(plugin_build::componentize(path, &bytes)?)
}
