//! What a component imports and exports, read from its binary form.

use std::collections::BTreeSet;

use wasmparser::{Parser, Payload};

use crate::error::BuildError;

/// The package that plugins are written against.
const PACKAGE: &str = "sipward:policy/";

/// The names on the outside of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// What it needs, in alphabetical order.
    pub imports: Vec<String>,
    /// What it gives, in alphabetical order.
    pub exports: Vec<String>,
}

impl Surface {
    /// Reads the names of a component.
    ///
    /// # Errors
    /// The bytes are no component.
    pub fn of(wasm: &[u8]) -> Result<Self, BuildError> {
        let bad = |text: String| BuildError::NotAComponent(text);
        if !Parser::is_component(wasm) {
            return Err(bad("it has another header".to_owned()));
        }
        let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(|error| bad(error.to_string()))? {
                // What is inside has names of its own.
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        let import = import.map_err(|error| bad(error.to_string()))?;
                        imports.insert(import.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        let export = export.map_err(|error| bad(error.to_string()))?;
                        exports.insert(export.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(Self {
            imports: imports.into_iter().collect(),
            exports: exports.into_iter().collect(),
        })
    }

    /// Versions of `sipward:policy` that it was built against; one, if all is well.
    pub fn wit_versions(&self) -> Vec<String> {
        let names = self.imports.iter().chain(&self.exports);
        let versions: BTreeSet<String> = names
            .filter_map(|name| name.strip_prefix(PACKAGE)?.split_once('@'))
            .map(|(_, version)| version.to_owned())
            .collect();
        versions.into_iter().collect()
    }

    /// The hooks that it has, by the name of their interface without `-policy`, packed or
    /// not.
    pub fn hooks(&self) -> Vec<String> {
        let names = self.exports.iter().filter_map(|name| {
            let (interface, _) = name.strip_prefix(PACKAGE)?.split_once('@')?;
            let hook = interface.strip_suffix("-policy")?;
            Some(hook.strip_prefix("packed-").unwrap_or(hook).to_owned())
        });
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_component_have_no_surface() {
        for bytes in [
            &b""[..],
            b"text",
            b"\0asm\x01\0\0\0",
            b"\0asm\x0d\0\x01\0\x07",
        ] {
            assert!(Surface::of(bytes).is_err(), "{bytes:?}");
        }
        let empty = Surface::of(b"\0asm\x0d\0\x01\0").expect("an empty component");
        assert_eq!(empty, Surface::default());
    }

    #[test]
    fn hooks_and_versions_are_in_the_names() {
        let surface = Surface {
            imports: vec!["sipward:policy/types@0.1.0".to_owned()],
            exports: vec![
                "sipward:policy/call-policy@0.1.0".to_owned(),
                "sipward:policy/lifecycle@0.1.0".to_owned(),
            ],
        };
        assert_eq!(surface.hooks(), ["call"]);
        assert_eq!(surface.wit_versions(), ["0.1.0"]);
    }
}
