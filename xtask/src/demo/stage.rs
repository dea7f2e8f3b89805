//! What the demo stands on: a folder, addresses, certificates, the configuration.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use tempfile::TempDir;

use crate::workspace;

/// The PBX, which may call.
pub(crate) const PBX: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The trunk.
pub(crate) const TRUNK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// A second PBX, which calls too often.
pub(crate) const HASTY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// Somebody whom no list allows.
pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

/// The account of both PBXs.
pub(crate) const USER: &str = "pbx";

/// A number that may be called all along.
pub(crate) const ORDINARY: &str = "+4930123456";
/// A number that the stricter policy forbids.
pub(crate) const MOBILE: &str = "+49170123456";
/// A number that is never allowed.
pub(crate) const PREMIUM: &str = "+49900123456";
/// Its prefix, denied from the beginning.
pub(crate) const PREMIUM_PREFIX: &str = "+49900";
/// The prefix of [`MOBILE`], denied by the stricter policy.
pub(crate) const MOBILE_PREFIX: &str = "+4917";

/// How long a thing that takes milliseconds may take on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that was prepared.
pub(crate) struct Stage {
    /// The demo's folder; its files stay for whoever wants to look.
    pub(crate) folder: PathBuf,
    /// A folder for the admin socket: the path of a socket has at most 107 bytes, and
    /// that of a clone may be longer.
    sockets: TempDir,
    /// Port of the proxy for PBXs, UDP.
    pub(crate) inside: u16,
    /// Port of the proxy for PBXs, TLS.
    pub(crate) inside_tls: u16,
    /// Port of the proxy for trunks.
    pub(crate) outside: u16,
    /// Port of the trunk.
    pub(crate) trunk: u16,
    /// The password of the account, new for each demo.
    pub(crate) password: String,
}

impl Stage {
    /// Make the folder, the certificates, the password and the plugins' copies.
    pub(crate) fn prepare() -> Result<Self> {
        let folder = workspace::target().join("demo");
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("failed to clear {}", folder.display()))?;
        }
        fs::create_dir_all(folder.join("plugins"))?;
        for entry in fs::read_dir(workspace::plugin_folder())?.flatten() {
            fs::copy(entry.path(), folder.join("plugins").join(entry.file_name()))?;
        }
        certificates(&folder)?;
        let password = password()?;
        fs::write(folder.join("password"), format!("{password}\n"))?;
        Ok(Self {
            folder,
            sockets: tempfile::tempdir().context("failed to make a folder for the socket")?,
            inside: free_udp(PBX)?,
            inside_tls: free_tcp(PBX)?,
            outside: free_udp(PBX)?,
            trunk: free_udp(TRUNK)?,
            password,
        })
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("sipward.toml")
    }

    /// The file of one plugin.
    pub(crate) fn plugin(&self, name: &str) -> PathBuf {
        self.folder.join("plugins").join(format!("{name}.wasm"))
    }

    /// The authority that signed the proxy's certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Write the configuration with these prefixes denied.
    pub(crate) fn configure(&self, denied: &[&str]) -> Result<()> {
        let denied: Vec<String> = denied.iter().map(|it| format!("{it:?}")).collect();
        let text = include_str!("sipward.toml")
            .replace("@FOLDER@", &self.folder.to_string_lossy())
            .replace("@SOCKETS@", &self.sockets.path().to_string_lossy())
            .replace("@INSIDE@", &self.inside.to_string())
            .replace("@INSIDE_TLS@", &self.inside_tls.to_string())
            .replace("@OUTSIDE@", &self.outside.to_string())
            .replace("@TRUNK@", &self.trunk.to_string())
            .replace("@DENIED@", &denied.join(", "));
        // In one step, because the proxy watches the file.
        let beside = self.config().with_extension("new");
        fs::write(&beside, text)?;
        fs::rename(&beside, self.config()).context("failed to write the configuration")
    }
}

fn free_udp(address: Ipv4Addr) -> Result<u16> {
    let socket =
        UdpSocket::bind((address, 0)).with_context(|| format!("failed to bind on {address}"))?;
    Ok(socket.local_addr()?.port())
}

fn free_tcp(address: Ipv4Addr) -> Result<u16> {
    let socket =
        TcpListener::bind((address, 0)).with_context(|| format!("failed to bind on {address}"))?;
    Ok(socket.local_addr()?.port())
}

/// A password that no other demo has: the hash of a fresh private key.
fn password() -> Result<String> {
    use sha2::Digest;
    let key = KeyPair::generate().context("failed to make a key")?;
    Ok(hex::encode(sha2::Sha256::digest(key.serialize_der()))
        .chars()
        .take(24)
        .collect())
}

/// An authority, and a certificate of it for the proxy.
fn certificates(folder: &Path) -> Result<()> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    fs::write(folder.join("authority.pem"), authority.pem())?;
    fs::write(folder.join("certificate.pem"), certificate.pem())?;
    fs::write(folder.join("key.pem"), key.serialize_pem())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_prefixes_that_the_scenes_are_about() {
        assert!(PREMIUM.starts_with(PREMIUM_PREFIX));
        assert!(MOBILE.starts_with(MOBILE_PREFIX) && !MOBILE.starts_with(PREMIUM_PREFIX));
        assert!(!ORDINARY.starts_with(PREMIUM_PREFIX) && !ORDINARY.starts_with(MOBILE_PREFIX));
    }
}
