//! What lies in a registry: manifest, configuration and component, as the CNCF's layout
//! for WebAssembly artifacts has them.
//!
//! The layout has one layer and tells readers to refuse more, so the signature is an
//! annotation of the manifest. Nothing that a manifest says is taken on trust.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use plugin_build::Surface;
use plugin_signature::SIGNATURE_BYTES;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{RegistryError, shown};
use crate::{CONFIG_BYTES, MANIFEST_BYTES};

/// Media type of a manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the configuration.
pub const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// Media type of the component.
pub const LAYER_TYPE: &str = "application/wasm";
/// The annotation that holds the signature: the text of the `.minisig` file.
pub const SIGNATURE_ANNOTATION: &str = "sipward.plugin.minisig";

/// Annotations of the OCI image specification.
const TITLE_ANNOTATION: &str = "org.opencontainers.image.title";

/// What is pushed.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file's name.
    pub title: &'a str,
    /// The component.
    pub component: &'a [u8],
    /// The text of its signature.
    pub signature: Option<&'a str>,
    /// When it was made. The same bytes, made at the same time, have the same digest.
    pub created: SystemTime,
}

/// What a manifest says of another thing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    created: String,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [String; 1],
    component: Outside,
}

/// What a component shows of itself.
#[derive(Debug, Serialize)]
struct Outside {
    exports: Vec<String>,
    imports: Vec<String>,
}

/// The part of a configuration that is held against the manifest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layers {
    layer_digests: Vec<String>,
}

/// An artifact, ready to be pushed.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

impl Artifact {
    /// Looks at the component and describes it.
    pub(crate) fn of(source: Source<'_>) -> Result<Self, RegistryError> {
        let surface = surface(source.component)?;
        if let Some(signature) = source.signature {
            bounded(signature)?;
        }
        let layer = Digest::of(source.component);
        let config = written(&Config {
            created: written_time(source.created),
            architecture: "wasm",
            // What the layout wants of every component; one of ours knows no WASI.
            os: "wasip2",
            layer_digests: [layer.to_string()],
            component: Outside {
                exports: surface.exports,
                imports: surface.imports,
            },
        })?;
        within("the configuration", &config, CONFIG_BYTES)?;
        let mut annotations =
            BTreeMap::from([(TITLE_ANNOTATION.to_owned(), source.title.to_owned())]);
        if let Some(signature) = source.signature {
            annotations.insert(SIGNATURE_ANNOTATION.to_owned(), signature.to_owned());
        }
        let manifest = written(&Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.to_owned()),
            config: descriptor(CONFIG_TYPE, &config),
            layers: vec![descriptor(LAYER_TYPE, source.component)],
            annotations,
        })?;
        within("the manifest", &manifest, MANIFEST_BYTES)?;
        Ok(Self { config, manifest })
    }
}

/// A time that can be written down: a file may say that it is of another one.
fn written_time(time: SystemTime) -> String {
    /// The end of the year 9999.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let time = SystemTime::UNIX_EPOCH + since.unwrap_or_default().min(LAST);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// What a component shows of itself; bytes that are none are refused.
pub(crate) fn surface(component: &[u8]) -> Result<Surface, RegistryError> {
    Surface::of(component).map_err(|error| RegistryError::NotAComponent(error.to_string()))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(bytes).to_string(),
        size: size(bytes),
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn within(what: &'static str, bytes: &[u8], limit: u64) -> Result<(), RegistryError> {
    if size(bytes) > limit {
        return Err(RegistryError::TooLarge { what, limit });
    }
    Ok(())
}

fn bounded(signature: &str) -> Result<(), RegistryError> {
    let limit = u64::try_from(SIGNATURE_BYTES).unwrap_or(u64::MAX);
    within("the signature", signature.as_bytes(), limit)
}

fn written<T: Serialize>(value: &T) -> Result<Vec<u8>, RegistryError> {
    serde_json::to_vec(value).map_err(|error| RegistryError::Protocol {
        goal: "describe the plugin",
        problem: error.to_string(),
    })
}

/// A blob that a manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// What a manifest names.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) config: Blob,
    pub(crate) component: Blob,
    pub(crate) signature: Option<String>,
}

impl Contents {
    /// Reads a manifest of a plugin whose component has at most so many bytes.
    pub(crate) fn of(manifest: &[u8], component_bytes: u64) -> Result<Self, RegistryError> {
        let mut manifest: Manifest =
            serde_json::from_slice(manifest).map_err(|error| RegistryError::Manifest {
                problem: shown(&error.to_string()),
            })?;
        if manifest.schema_version != 2 {
            return Err(RegistryError::Manifest {
                problem: format!("its version is {} and not 2", manifest.schema_version),
            });
        }
        if let Some(found) = &manifest.media_type {
            is_type("the manifest", found, MANIFEST_TYPE)?;
        }
        let [layer] = manifest.layers.as_slice() else {
            return Err(RegistryError::Manifest {
                problem: format!("it has {} layers and not 1", manifest.layers.len()),
            });
        };
        let config = blob(
            "the configuration",
            &manifest.config,
            CONFIG_TYPE,
            CONFIG_BYTES,
        )?;
        let component = blob("the component", layer, LAYER_TYPE, component_bytes)?;
        let signature = manifest.annotations.remove(SIGNATURE_ANNOTATION);
        if let Some(signature) = &signature {
            bounded(signature)?;
        }
        Ok(Self {
            config,
            component,
            signature,
        })
    }

    /// Whether the configuration is that of the manifest's component.
    pub(crate) fn agree(&self, config: &[u8]) -> Result<(), RegistryError> {
        let layers: Layers =
            serde_json::from_slice(config).map_err(|error| RegistryError::Manifest {
                problem: format!("its configuration: {}", shown(&error.to_string())),
            })?;
        if layers.layer_digests != [self.component.digest.to_string()] {
            return Err(RegistryError::Manifest {
                problem: "its configuration is of another component".to_owned(),
            });
        }
        Ok(())
    }
}

fn blob(
    what: &'static str,
    descriptor: &Descriptor,
    wanted: &'static str,
    limit: u64,
) -> Result<Blob, RegistryError> {
    is_type(what, &descriptor.media_type, wanted)?;
    if descriptor.size > limit {
        return Err(RegistryError::TooLarge { what, limit });
    }
    let digest = Digest::read(&descriptor.digest).ok_or_else(|| RegistryError::Manifest {
        problem: format!("{what} has no digest by SHA-256"),
    })?;
    Ok(Blob {
        digest,
        size: descriptor.size,
    })
}

/// Whether a media type is the one that is wanted; its parameters do not matter.
pub(crate) fn is_type(
    what: &'static str,
    found: &str,
    wanted: &'static str,
) -> Result<(), RegistryError> {
    let bare = found.split(';').next().unwrap_or_default().trim();
    if bare.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(RegistryError::MediaType {
        what,
        found: shown(found),
        wanted,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The smallest component.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn artifact(signature: Option<&str>) -> Artifact {
        Artifact::of(Source {
            title: "a.wasm",
            component: EMPTY,
            signature,
            created: SystemTime::UNIX_EPOCH,
        })
        .unwrap()
    }

    #[test]
    fn an_artifact_has_the_layout_and_the_same_bytes_each_time() {
        let artifact = artifact(Some("four\nlines\n"));
        let config: Value = serde_json::from_slice(&artifact.config).unwrap();
        let component = Digest::of(EMPTY).to_string();
        assert_eq!(
            config,
            json!({
                "created": "1970-01-01T00:00:00Z",
                "architecture": "wasm",
                "os": "wasip2",
                "layerDigests": [component],
                "component": { "exports": [], "imports": [] },
            })
        );
        let manifest: Value = serde_json::from_slice(&artifact.manifest).unwrap();
        assert_eq!(
            manifest,
            json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": {
                    "mediaType": CONFIG_TYPE,
                    "digest": Digest::of(&artifact.config).to_string(),
                    "size": artifact.config.len(),
                },
                "layers": [{ "mediaType": LAYER_TYPE, "digest": component, "size": 8 }],
                "annotations": {
                    "org.opencontainers.image.title": "a.wasm",
                    "sipward.plugin.minisig": "four\nlines\n",
                },
            })
        );
        let contents = Contents::of(&artifact.manifest, 8).unwrap();
        assert_eq!(contents.signature.as_deref(), Some("four\nlines\n"));
        assert_eq!(contents.component.digest, Digest::of(EMPTY));
        contents.agree(&artifact.config).unwrap();
    }

    #[test]
    fn sizes_have_bounds_on_both_sides() {
        let unsigned = artifact(None);
        assert!(
            Contents::of(&unsigned.manifest, 8)
                .unwrap()
                .signature
                .is_none()
        );
        assert!(matches!(
            Contents::of(&unsigned.manifest, 7),
            Err(RegistryError::TooLarge { limit: 7, .. })
        ));
        let source = |signature| Source {
            title: "a.wasm",
            component: EMPTY,
            signature: Some(signature),
            created: SystemTime::UNIX_EPOCH,
        };
        let longest = "\n".repeat(SIGNATURE_BYTES + 1);
        assert!(Artifact::of(source(&longest[1..])).is_ok());
        assert!(Artifact::of(source(&longest)).is_err());
    }

    #[test]
    fn other_manifests_are_refused() {
        let good: Value = serde_json::from_slice(&artifact(None).manifest).unwrap();
        let image = "application/vnd.oci.image.config.v1+json";
        for (pointer, value) in [
            ("/schemaVersion", json!(1)),
            (
                "/mediaType",
                json!("application/vnd.oci.image.index.v1+json"),
            ),
            ("/config/mediaType", json!(image)),
            ("/config/size", json!(CONFIG_BYTES + 1)),
            ("/config/size", json!(-1)),
            ("/config/digest", json!("sha256:00")),
            ("/layers", json!([])),
            ("/layers", json!([good["layers"][0], good["layers"][0]])),
            ("/layers/0/mediaType", json!("application/octet-stream")),
            ("/layers/0/digest", json!("md5:00")),
            (
                "/annotations",
                json!({ SIGNATURE_ANNOTATION: "x".repeat(SIGNATURE_BYTES + 1) }),
            ),
        ] {
            let mut wrong = good.clone();
            *wrong.pointer_mut(pointer).unwrap() = value;
            let wrong = serde_json::to_vec(&wrong).unwrap();
            assert!(Contents::of(&wrong, 8).is_err(), "{pointer}");
        }
        for text in ["", "{}", "[]", "null", "\u{1b}"] {
            let error = Contents::of(text.as_bytes(), 8).unwrap_err().to_string();
            assert!(!error.contains('\u{1b}'), "{error}");
        }
    }

    #[test]
    fn a_configuration_of_another_component_is_refused() {
        let artifact = artifact(None);
        let contents = Contents::of(&artifact.manifest, 8).unwrap();
        let other = String::from_utf8(artifact.config).unwrap();
        let other = other.replace(
            &Digest::of(EMPTY).to_string(),
            &Digest::of(b"x").to_string(),
        );
        assert!(contents.agree(other.as_bytes()).is_err());
        assert!(contents.agree(b"{}").is_err());
    }

    #[test]
    fn every_time_can_be_written() {
        let epoch = SystemTime::UNIX_EPOCH;
        for (time, expected) in [
            (epoch - Duration::from_secs(1), "1970-01-01T00:00:00Z"),
            (
                epoch + Duration::from_secs(253_402_300_799),
                "9999-12-31T23:59:59Z",
            ),
            (epoch + Duration::from_secs(1 << 40), "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(written_time(time), expected);
        }
    }

    #[test]
    fn what_is_no_component_is_not_described() {
        let source = Source {
            title: "a.wasm",
            component: b"#!/bin/sh\n",
            signature: None,
            created: SystemTime::UNIX_EPOCH,
        };
        assert!(matches!(
            Artifact::of(source),
            Err(RegistryError::NotAComponent(_))
        ));
    }
}
