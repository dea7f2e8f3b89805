//! Which TLS sessions are good enough: RFC 9325 (BCP 195) sections 3.1 and 4.

use sipward_plugin_sdk::identity::TlsSession;

use crate::settings::{Settings, TlsVersion};

/// The configured floor.
pub(crate) struct Floor {
    version: TlsVersion,
    bits: u16,
    forward_secrecy: bool,
    aead: bool,
    ciphers: Vec<String>,
}

impl Floor {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            version: settings.tls_version,
            bits: settings.cipher_bits,
            forward_secrecy: settings.forward_secrecy,
            aead: settings.aead,
            ciphers: settings.ciphers.clone(),
        }
    }

    /// Why a session is not good enough; `None` if it is.
    pub(crate) fn objection(&self, session: &TlsSession) -> Option<String> {
        let TlsSession { version, cipher } = session;
        // What has no name here is older than both, or newer than this plugin.
        let known = match version.as_str() {
            "TLSv1.2" => Some(TlsVersion::V1_2),
            "TLSv1.3" => Some(TlsVersion::V1_3),
            _ => None,
        };
        if known.is_none_or(|known| known < self.version) {
            return Some(format!("{version} is below the floor"));
        }
        if !self.ciphers.is_empty() && !self.ciphers.contains(cipher) {
            return Some(format!("{cipher} is not in `ciphers`"));
        }
        let suite = Suite::new(cipher);
        if suite.bits < self.bits {
            return Some(format!(
                "{cipher} has {} bits, {} are needed",
                suite.bits, self.bits
            ));
        }
        if self.forward_secrecy && !suite.forward_secrecy {
            return Some(format!("{cipher} has no forward secrecy"));
        }
        if self.aead && !suite.aead {
            return Some(format!("{cipher} is no AEAD"));
        }
        None
    }
}

/// What the name of a cipher suite says. Names that mean nothing to us have no
/// virtue.
struct Suite {
    bits: u16,
    forward_secrecy: bool,
    aead: bool,
}

impl Suite {
    fn new(name: &str) -> Self {
        // Suites of TLS 1.2 name the key exchange before `_WITH_`; those of TLS 1.3
        // have none in the name, and it is always an ephemeral one.
        const WITH: &str = "_WITH_";
        let with = find(name, WITH).and_then(|at| name.split_at_checked(at));
        let (exchange, cipher) = match with {
            Some((exchange, rest)) => (Some(exchange), rest.strip_prefix(WITH).unwrap_or(rest)),
            None => (None, name.strip_prefix("TLS_").unwrap_or_default()),
        };
        let bits = if cipher.starts_with("AES_256_")
            || cipher.starts_with("CHACHA20_POLY1305")
            || cipher.starts_with("ARIA_256_")
            || cipher.starts_with("CAMELLIA_256_")
        {
            256
        } else if cipher.starts_with("AES_128_")
            || cipher.starts_with("ARIA_128_")
            || cipher.starts_with("CAMELLIA_128_")
        {
            128
        } else {
            0
        };
        let ephemeral = |exchange: &str| {
            ["TLS_ECDHE_", "TLS_DHE_"]
                .iter()
                .any(|prefix| exchange.starts_with(prefix))
                && !exchange.ends_with("_anon")
        };
        Self {
            bits,
            forward_secrecy: exchange.map_or(bits > 0, ephemeral),
            aead: bits > 0
                && ["_GCM_", "_CCM", "_POLY1305"]
                    .iter()
                    .any(|mode| find(cipher, mode).is_some()),
        }
    }
}

/// Where a part stands first. Names are short: what `str::find` prepares, to be fast in
/// long texts, takes longer than the search.
fn find(name: &str, part: &str) -> Option<usize> {
    let (name, part) = (name.as_bytes(), part.as_bytes());
    let mut places = name.windows(part.len());
    places.position(|place| place.first() == part.first() && place == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_suite_is_worth() {
        for (name, bits, forward_secrecy, aead) in [
            ("TLS_AES_256_GCM_SHA384", 256, true, true),
            ("TLS_AES_128_CCM_8_SHA256", 128, true, true),
            ("TLS_CHACHA20_POLY1305_SHA256", 256, true, true),
            ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 128, true, true),
            ("TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", 256, true, false),
            ("TLS_RSA_WITH_AES_256_GCM_SHA384", 256, false, true),
            ("TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384", 256, false, true),
            ("TLS_RSA_WITH_RC4_128_SHA", 0, false, false),
            ("TLS_ECDHE_RSA_WITH_NULL_SHA", 0, true, false),
            ("TLS_EMPTY_RENEGOTIATION_INFO_SCSV", 0, false, false),
            ("AES256-GCM-SHA384", 0, false, false),
            ("", 0, false, false),
        ] {
            let suite = Suite::new(name);
            assert_eq!(
                (suite.bits, suite.forward_secrecy, suite.aead),
                (bits, forward_secrecy, aead),
                "{name}"
            );
        }
    }
}
