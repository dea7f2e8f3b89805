//! Databases that are sound, damaged, or something else altogether.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test ends where it fails"
)]

mod corpus;
mod mmdb;

use std::net::IpAddr;
use std::sync::Arc;

use geo::{
    Coordinates, Database, DatabaseError, DatabaseLimits, ORGANISATION_BYTES, Place, Places,
};
use proptest::prelude::*;

use mmdb::{Value, countries, database};

fn at(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn load(bytes: Vec<u8>) -> Option<Arc<Database>> {
    Some(Arc::new(Database::from_bytes(bytes).unwrap()))
}

/// Some address of each kind.
fn addresses() -> impl Iterator<Item = IpAddr> {
    [
        "1.2.3.4",
        "2.0.0.1",
        "81.2.69.142",
        "89.160.20.112",
        "216.160.83.56",
        "223.255.255.255",
        "2a00::1",
        "2001:218::1",
        "2600::1",
        "2002:102:304::1",
        "10.0.0.1",
        "::1",
    ]
    .into_iter()
    .map(at)
}

fn system(number: u32, name: &'static str) -> Value {
    Value::Map(vec![
        ("autonomous_system_number", Value::Number(number)),
        ("autonomous_system_organization", Value::Text(name)),
    ])
}

fn middle(latitude: f64, longitude: f64) -> Value {
    let location = vec![
        ("latitude", Value::Double(latitude)),
        ("longitude", Value::Double(longitude)),
    ];
    let country = vec![("iso_code", Value::Text("se"))];
    Value::Map(vec![
        ("location", Value::Map(location)),
        ("country", Value::Map(country)),
    ])
}

#[test]
fn three_databases_make_one_place() {
    let places = Places {
        country: load(countries(&[("81.0.0.0/8", "GB"), ("2a00::/16", "DE")])),
        asn: load(database(
            "ASN",
            24,
            vec![("81.2.0.0/16", system(20_712, "Andrews"))],
        )),
        city: load(database(
            "City",
            32,
            vec![
                ("81.2.69.0/24", middle(51.514_248, -0.093_145)),
                ("89.160.20.0/24", middle(58.4167, 15.6167)),
            ],
        )),
    };
    let place = places.locate(at("81.2.69.142"));
    assert_eq!(
        place,
        Place {
            country: "GB".into(),
            asn: 20_712,
            organisation: "Andrews".into(),
            coordinates: Some(Coordinates {
                latitude: 51_514_248,
                longitude: -93_145
            }),
        }
    );
    assert_eq!(places.locate(at("::ffff:81.2.69.142")), place, "mapped");
    assert_eq!(places.locate(at("2a00:1::1")).country, "DE");
    let swedish = places.locate(at("89.160.20.1"));
    assert_eq!(swedish.country, "SE", "the cities know countries too");
    assert_eq!(swedish.coordinates.unwrap().latitude, 58_416_700);
    assert_eq!(places.locate(at("9.9.9.9")), Place::default());
    assert_eq!(places.locate(at("2600::1")), Place::default());
    assert!(!places.is_empty() && Places::default().is_empty());
    assert_eq!(
        Places::default().locate(at("81.2.69.142")),
        Place::default()
    );
}

#[test]
fn other_makers_write_other_fields() {
    let flat = |bits| {
        database(
            "flat",
            bits,
            vec![
                (
                    "1.0.0.0/8",
                    Value::Map(vec![("country_code", Value::Text("AU"))]),
                ),
                (
                    "2.0.0.0/8",
                    Value::Map(vec![
                        ("country", Value::Text("fr")),
                        ("asn", Value::Text("AS3215")),
                        ("as_name", Value::Text("Orange\nS.A.")),
                        ("latitude", Value::Float(48.5)),
                        ("longitude", Value::Float(2.25)),
                    ]),
                ),
            ],
        )
    };
    let systems = |number| Value::Map(vec![("asn", number)]);
    let numbered = load(database(
        "numbered",
        24,
        vec![
            ("1.0.0.0/8", systems(Value::Short(64_512))),
            ("2.0.0.0/8", systems(Value::Number(64_512))),
            ("3.0.0.0/8", systems(Value::Long(64_512))),
            ("4.0.0.0/8", systems(Value::Text("64512"))),
            ("5.0.0.0/8", systems(Value::Long(1 << 32))),
        ],
    ));
    let places = Places {
        asn: numbered,
        ..Places::default()
    };
    for first in [1, 2, 3, 4] {
        assert_eq!(
            places.locate(at(&format!("{first}.1.1.1"))).asn,
            64_512,
            "{first}"
        );
    }
    assert_eq!(places.locate(at("5.1.1.1")).asn, 0);
    for bits in [24, 28, 32] {
        let all = load(flat(bits));
        let places = Places {
            country: all.clone(),
            asn: all.clone(),
            city: all,
        };
        assert_eq!(places.locate(at("1.2.3.4")).country, "AU");
        let place = places.locate(at("2.1.1.1"));
        assert_eq!((&*place.country, place.asn), ("FR", 3215), "{bits}");
        assert_eq!(place.organisation, "Orange S.A.");
        let coordinates = Coordinates {
            latitude: 48_500_000,
            longitude: 2_250_000,
        };
        assert_eq!(place.coordinates, Some(coordinates));
    }
}

#[test]
fn private_addresses_have_no_country_even_if_a_database_says_so() {
    let database = load(countries(&[
        ("10.0.0.0/8", "US"),
        ("fc00::/7", "US"),
        ("11.0.0.0/8", "US"),
    ]));
    let places = Places {
        country: database,
        ..Places::default()
    };
    assert_eq!(places.locate(at("10.1.1.1")), Place::default());
    assert_eq!(places.locate(at("::ffff:10.1.1.1")), Place::default());
    assert_eq!(places.locate(at("fd00::1")), Place::default());
    assert_eq!(places.locate(at("11.1.1.1")).country, "US");
}

#[test]
fn values_that_make_no_sense_are_unknown() {
    let long: &'static str = Box::leak("ü".repeat(ORGANISATION_BYTES).into_boxed_str());
    let strange = vec![
        (
            "1.0.0.0/8",
            Value::Map(vec![("country_code", Value::Text("EUR"))]),
        ),
        (
            "2.0.0.0/8",
            Value::Map(vec![("country_code", Value::Number(49))]),
        ),
        (
            "3.0.0.0/8",
            Value::Map(vec![("country_code", Value::Text("1!"))]),
        ),
        ("4.0.0.0/8", Value::Text("DE")),
        ("5.0.0.0/8", middle(90.1, 0.0)),
        ("6.0.0.0/8", middle(0.0, f64::NAN)),
        ("7.0.0.0/8", middle(f64::INFINITY, 1.0)),
        ("8.0.0.0/8", system(1, long)),
        ("9.0.0.0/8", Value::Map(vec![("asn", Value::Text("AS1x"))])),
        ("11.0.0.0/8", middle(-90.0, 180.0)),
    ];
    let all = load(database("strange", 28, strange));
    let places = Places {
        country: all.clone(),
        asn: all.clone(),
        city: all,
    };
    for first in [1, 2, 3, 4, 9] {
        let place = places.locate(at(&format!("{first}.1.1.1")));
        assert_eq!(place, Place::default(), "{first}");
    }
    for first in [5, 6, 7] {
        assert_eq!(
            places.locate(at(&format!("{first}.1.1.1"))).coordinates,
            None,
            "{first}"
        );
    }
    let place = places.locate(at("8.1.1.1"));
    assert_eq!(
        (place.asn, place.organisation.len()),
        (1, ORGANISATION_BYTES)
    );
    let corner = Coordinates {
        latitude: -90_000_000,
        longitude: 180_000_000,
    };
    assert_eq!(places.locate(at("11.1.1.1")).coordinates, Some(corner));
}

#[test]
fn a_database_says_what_it_is() {
    let database = Database::from_bytes(countries(&[("81.0.0.0/8", "GB")])).unwrap();
    assert_eq!(database.kind(), "Test-Country");
    assert_eq!(database.built(), 1_700_000_000);
    assert_eq!(database.nodes(), 104);
}

#[test]
fn files_are_read_up_to_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("country.mmdb");
    let bytes = countries(&[("81.0.0.0/8", "GB")]);
    std::fs::write(&path, &bytes).unwrap();
    let limits = |database_bytes| DatabaseLimits { database_bytes };
    assert!(Database::read(&path, limits(bytes.len())).is_ok());
    let error = Database::read(&path, limits(bytes.len() - 1)).unwrap_err();
    assert!(matches!(error, DatabaseError::TooLarge { .. }), "{error}");
    let error = Database::read(folder.path(), limits(1)).unwrap_err();
    assert!(matches!(error, DatabaseError::File(_)), "{error}");
}

#[test]
fn what_is_no_database_is_refused() {
    let marker = b"\xab\xcd\xefMaxMind.com".to_vec();
    for bytes in [
        vec![],
        b"[geo]\n".to_vec(),
        marker.clone(),
        [marker, vec![0xff; 64]].concat(),
    ] {
        let error = Database::from_bytes(bytes).unwrap_err();
        assert!(
            error.to_string().starts_with("it is no sound MaxMind DB"),
            "{error}"
        );
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = countries(&[("81.0.0.0/8", "GB"), ("2a00::/16", "DE")]);
    for end in 0..bytes.len() {
        assert!(
            Database::from_bytes(bytes[..end].to_vec()).is_err(),
            "{end}"
        );
    }
}

/// Looks everything up, which must come to an end.
fn exercise(bytes: Vec<u8>) {
    let Ok(database) = Database::from_bytes(bytes) else {
        return;
    };
    let all = Some(Arc::new(database));
    let places = Places {
        country: all.clone(),
        asn: all.clone(),
        city: all,
    };
    for address in addresses() {
        let place = places.locate(address);
        assert!(place.country.is_empty() || place.country.len() == 2);
        assert!(place.organisation.len() <= ORGANISATION_BYTES);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damage_never_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = database(
            "City",
            24,
            vec![("81.2.69.0/24", middle(51.5, -0.1)), ("2a00::/16", system(1, "one"))],
        );
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        exercise(bytes);
    }
}
