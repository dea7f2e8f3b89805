//! Pushing and fetching, as the OCI distribution specification has them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ureq::http::header::{CONTENT_TYPE, HeaderName};
use ureq::http::{Method, Uri};

use crate::MANIFEST_BYTES;
use crate::artifact::{Artifact, Blob, Contents, MANIFEST_TYPE, Source, is_type, surface};
use crate::client::{Ask, Client};
use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::error::RegistryError;
use crate::reference::Reference;

/// What a registry says is the digest of a manifest.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Media type of a blob on its way.
const BYTES_TYPE: &str = "application/octet-stream";

/// Whatever a tag may name: a registry hides what nobody says to understand.
const ANY_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// How a registry is asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether other machines may be asked without encryption.
    pub plain_http: bool,
    /// PEM file with the authorities that may vouch for servers.
    pub authorities: Option<PathBuf>,
    /// Bytes of a component, at most.
    pub component_bytes: u64,
    /// How long everything together may take.
    pub time: Duration,
}

/// A registry, and one artifact in it.
pub struct Registry {
    client: Client,
    reference: Reference,
    component_bytes: u64,
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Registry")
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// What was fetched. Its bytes are those that the digests name; whose they are is not
/// known yet.
#[derive(Debug)]
pub struct Fetched {
    pub(crate) component: Vec<u8>,
    pub(crate) signature: Option<String>,
    pub(crate) digest: Digest,
}

impl Registry {
    /// Makes ready to ask; nobody is asked yet. The time begins.
    ///
    /// # Errors
    /// The registry may not be asked in this way, or the authorities cannot be read.
    pub fn open(
        reference: Reference,
        credentials: Credentials,
        options: &Options,
    ) -> Result<Self, RegistryError> {
        Ok(Self {
            client: Client::new(&reference, credentials, options)?,
            reference,
            component_bytes: options.component_bytes,
        })
    }

    /// Pushes a plugin; the digest of what then lies there. A tag that names something
    /// else stays as it is, unless it is to be moved.
    ///
    /// # Errors
    /// The component is none, or the registry does not take it.
    pub fn push(&mut self, source: Source<'_>, moving: bool) -> Result<Digest, RegistryError> {
        let (Some(tag), None) = (self.reference.tag(), self.reference.digest()) else {
            return Err(RegistryError::WantsTag);
        };
        let tag = tag.to_owned();
        if u64::try_from(source.component.len()).unwrap_or(u64::MAX) > self.component_bytes {
            return Err(RegistryError::TooLarge {
                what: "the component",
                limit: self.component_bytes,
            });
        }
        let artifact = Artifact::of(source)?;
        let digest = Digest::of(&artifact.manifest);
        if let Some(there) = self.tagged(&tag)? {
            if there == digest {
                return Ok(digest);
            }
            if !moving {
                return Err(RegistryError::Taken {
                    tag: self.reference.to_string(),
                    there,
                });
            }
        }
        self.upload("push the configuration", &artifact.config)?;
        self.upload("push the component", source.component)?;
        let goal = "push the manifest";
        let mut answer = self.client.send(&Ask {
            goal,
            method: Method::PUT,
            url: self.url(goal, &format!("manifests/{tag}"))?,
            accept: None,
            body: Some((MANIFEST_TYPE, &artifact.manifest)),
        })?;
        answer.must_be(&[201])?;
        if let Some(found) = answer.header(&CONTENT_DIGEST) {
            held("the manifest", found, digest)?;
        }
        Ok(digest)
    }

    /// What a tag names, if it names anything.
    fn tagged(&mut self, tag: &str) -> Result<Option<Digest>, RegistryError> {
        let goal = "look up the tag";
        let mut answer = self.client.send(&Ask {
            goal,
            method: Method::GET,
            url: self.url(goal, &format!("manifests/{tag}"))?,
            accept: Some(ANY_MANIFEST),
            body: None,
        })?;
        if answer.status() == 404 {
            return Ok(None);
        }
        answer.must_be(&[200])?;
        let manifest = answer.bytes("the manifest of the tag", MANIFEST_BYTES)?;
        Ok(Some(Digest::of(&manifest)))
    }

    /// Sends bytes, unless they are there.
    fn upload(&mut self, goal: &'static str, bytes: &[u8]) -> Result<(), RegistryError> {
        let digest = Digest::of(bytes);
        let there = self.client.send(&Ask {
            goal,
            method: Method::HEAD,
            url: self.url(goal, &format!("blobs/{digest}"))?,
            accept: None,
            body: None,
        })?;
        if there.status() == 200 {
            return Ok(());
        }
        let begin = self.url(goal, "blobs/uploads/")?;
        let mut begun = self.client.send(&Ask {
            goal,
            method: Method::POST,
            url: begin.clone(),
            accept: None,
            body: Some((BYTES_TYPE, &[])),
        })?;
        begun.must_be(&[202])?;
        let place = self.client.location(&begin, &begun)?;
        let mut done = self.client.send(&Ask {
            goal,
            method: Method::PUT,
            url: with_digest(goal, &place, digest)?,
            accept: None,
            body: Some((BYTES_TYPE, bytes)),
        })?;
        done.must_be(&[201])
    }

    /// Fetches the plugin and holds every byte against its digest.
    ///
    /// # Errors
    /// It is not there, is no plugin, is too large, or is not what its digests name.
    pub fn fetch(&mut self) -> Result<Fetched, RegistryError> {
        let (manifest, digest) = self.manifest()?;
        let contents = Contents::of(&manifest, self.component_bytes)?;
        let config = self.blob(
            "fetch the configuration",
            "the configuration",
            contents.config,
        )?;
        contents.agree(&config)?;
        let component = self.blob("fetch the component", "the component", contents.component)?;
        surface(&component)?;
        Ok(Fetched {
            component,
            signature: contents.signature,
            digest,
        })
    }

    fn manifest(&mut self) -> Result<(Vec<u8>, Digest), RegistryError> {
        let goal = "fetch the manifest";
        let wanted = self.reference.digest();
        let named = match (wanted, self.reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_owned(),
            (None, None) => return Err(RegistryError::WantsTag),
        };
        let mut answer = self.client.send(&Ask {
            goal,
            method: Method::GET,
            url: self.url(goal, &format!("manifests/{named}"))?,
            accept: Some(MANIFEST_TYPE),
            body: None,
        })?;
        answer.must_be(&[200])?;
        let media_type = answer.header(&CONTENT_TYPE).unwrap_or_default();
        is_type("the manifest", media_type, MANIFEST_TYPE)?;
        let said = answer.header(&CONTENT_DIGEST).map(str::to_owned);
        let manifest = answer.bytes("the manifest", MANIFEST_BYTES)?;
        let digest = Digest::of(&manifest);
        if let Some(wanted) = wanted.filter(|it| *it != digest) {
            return Err(RegistryError::Digest {
                what: "the manifest",
                found: digest,
                wanted,
            });
        }
        if let Some(said) = said {
            held("the manifest", &said, digest)?;
        }
        Ok((manifest, digest))
    }

    fn blob(
        &mut self,
        goal: &'static str,
        what: &'static str,
        blob: Blob,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut answer = self.client.send(&Ask {
            goal,
            method: Method::GET,
            url: self.url(goal, &format!("blobs/{}", blob.digest))?,
            accept: None,
            body: None,
        })?;
        answer.must_be(&[200])?;
        let bytes = answer.bytes(what, blob.size)?;
        let found = Digest::of(&bytes);
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if count < blob.size {
            return Err(RegistryError::Short {
                what,
                bytes: count,
                announced: blob.size,
            });
        }
        if found != blob.digest {
            return Err(RegistryError::Digest {
                what,
                found,
                wanted: blob.digest,
            });
        }
        Ok(bytes)
    }

    fn url(&self, goal: &'static str, path: &str) -> Result<Uri, RegistryError> {
        let name = self.reference.name();
        self.client.url(goal, &format!("/v2/{name}/{path}"))
    }
}

/// Whether a registry means what we mean. It may use an algorithm that we do not know.
fn held(what: &'static str, said: &str, ours: Digest) -> Result<(), RegistryError> {
    match Digest::read(said) {
        Some(theirs) if theirs != ours => Err(RegistryError::Digest {
            what,
            found: ours,
            wanted: theirs,
        }),
        _ => Ok(()),
    }
}

/// Where bytes are sent, with what they are.
fn with_digest(goal: &'static str, place: &Uri, digest: Digest) -> Result<Uri, RegistryError> {
    let mark = if place.query().is_some() { '&' } else { '?' };
    let url = format!("{place}{mark}digest={digest}").parse();
    url.map_err(|_| RegistryError::Protocol {
        goal,
        problem: "the registry names no address to send to".to_owned(),
    })
}
