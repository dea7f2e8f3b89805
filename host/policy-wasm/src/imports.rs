//! Which interfaces a component may import: those of `sipward:policy@0.1`, and
//! of the optional ones only what was granted. Checked by name before a single
//! function is compiled.

use policy::{Capability, Grants};
use wasmparser::{Parser, Payload};

use crate::error::LoadError;

const PACKAGE: &str = "sipward:policy/";

/// Checks the imports of a component in binary form.
pub(crate) fn check(wasm: &[u8], grants: Grants) -> Result<(), LoadError> {
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(wasm) {
        let invalid = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
        match payload.map_err(invalid)? {
            // Modules and components inside have imports of their own, which the
            // outer one satisfies.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    check_name(import.map_err(invalid)?.name.name, grants)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_name(import: &str, grants: Grants) -> Result<(), LoadError> {
    let forbidden = || LoadError::ForbiddenImport {
        import: import.chars().take(128).collect(),
    };
    let (interface, version) = import
        .strip_prefix(PACKAGE)
        .and_then(|rest| rest.split_once('@'))
        .ok_or_else(forbidden)?;
    let patch = version.strip_prefix("0.1.").ok_or_else(forbidden)?;
    if patch.is_empty() || !patch.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(forbidden());
    }
    let capability = match interface {
        "types" | "messages" | "outcomes" | "clock" | "log" | "random" | "numbers" | "identity" => {
            return Ok(());
        }
        "counters" => Capability::Counters,
        "keyvalue" => Capability::Keyvalue,
        "leases" => Capability::Leases,
        "credentials" => Capability::Credentials,
        "geo" => Capability::Geo,
        "lists" => Capability::Lists,
        _ => return Err(forbidden()),
    };
    if grants.contains(capability) {
        return Ok(());
    }
    Err(LoadError::ImportNotGranted {
        import: import.to_owned(),
        capability: capability.name(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_interfaces_pass() {
        for import in [
            "types", "messages", "outcomes", "clock", "log", "random", "numbers", "identity",
        ] {
            for version in ["0.1.0", "0.1.17"] {
                let name = format!("{PACKAGE}{import}@{version}");
                assert!(check_name(&name, Grants::NONE).is_ok(), "{name}");
            }
        }
        for import in [
            "wasi:sockets/tcp@0.2.0",
            "wasi:cli/environment@0.2.6",
            "sipward:policy/sockets@0.1.0",
            "sipward:policy/clock@0.2.0",
            "sipward:policy/clock@0.1.0-rc1",
            "sipward:policy/clock@0.1.",
            "sipward:policy/clock",
            "evil:policy/clock@0.1.0",
            "env",
        ] {
            let error = check_name(import, Grants::NONE).unwrap_err();
            assert!(error.to_string().contains(import), "{error}");
        }
    }

    #[test]
    fn capabilities_need_their_grant() {
        let name = "sipward:policy/counters@0.1.0";
        let error = check_name(name, Grants::NONE).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("add \"counters\""),
            "{error}"
        );
        assert!(check_name(name, Grants::NONE.with(Capability::Counters)).is_ok());
    }
}
