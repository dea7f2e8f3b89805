//! Databases made by MaxMind for tests, where they are present beside the
//! repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use geo::{Database, DatabaseLimits, Places};

use crate::{at, exercise};

fn corpus() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/mmdb");
    folder.is_dir().then_some(folder)
}

fn read(name: &str) -> Option<Arc<Database>> {
    let database = Database::read(&corpus()?.join(name), DatabaseLimits::default());
    Some(Arc::new(database.unwrap()))
}

#[test]
fn sound_ones_are_read() {
    let (Some(country), Some(asn)) = (
        read("GeoIP2-Country-Test.mmdb"),
        read("GeoLite2-ASN-Test.mmdb"),
    ) else {
        return;
    };
    assert_eq!(country.kind(), "GeoIP2-Country");
    assert!(country.built() > 1_000_000_000 && country.nodes() > 100);
    let places = Places {
        country: Some(country),
        asn: Some(asn),
        city: None,
    };
    for (address, country) in [
        ("81.2.69.160", "GB"),
        ("89.160.20.112", "SE"),
        ("216.160.83.56", "US"),
        ("2001:218::1", "JP"),
        ("::ffff:81.2.69.160", "GB"),
        ("192.168.1.1", ""),
    ] {
        assert_eq!(places.locate(at(address)).country, country, "{address}");
    }
    let place = places.locate(at("1.128.0.1"));
    assert_eq!((place.asn, &*place.organisation), (1221, "Telstra Pty Ltd"));
}

#[test]
fn broken_ones_are_refused() {
    let Some(folder) = corpus() else { return };
    let mut broken = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".mmdb") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        if name.starts_with("bad-") {
            broken += 1;
            let error = Database::from_bytes(bytes.clone()).unwrap_err();
            assert!(
                error.to_string().contains("no sound MaxMind DB"),
                "{name}: {error}"
            );
        }
        // And every byte of them changed, and every tail gone.
        for place in (0..bytes.len()).step_by(1 + bytes.len() / 400) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x5a;
            exercise(damaged);
            exercise(bytes[..place].to_vec());
        }
    }
    assert!(broken >= 3);
}
