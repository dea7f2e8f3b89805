//! What people and switches dial, and what it comes to.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it fails"
)]

use std::sync::LazyLock;

use numbers::{Class, NumberError, Plans};
use proptest::prelude::*;

static PLANS: LazyLock<Plans> = LazyLock::new(|| Plans::new().unwrap());

#[track_caller]
fn is(dialled: &str, region: &str, e164: &str, country: &str, class: Class, valid: bool) {
    let number = PLANS
        .parse(dialled, region)
        .unwrap_or_else(|error| panic!("{dialled} in {region}: {error}"));
    let found = (&*number.e164, &*number.region, number.class, number.valid);
    assert_eq!(
        found,
        (e164, country, class, valid),
        "{dialled} in {region}"
    );
    let code = number.country_code.to_string();
    assert!(e164.get(1..).unwrap().starts_with(&code), "{dialled}");
}

#[track_caller]
fn is_not(dialled: &str, region: &str, error: NumberError) {
    assert_eq!(
        PLANS.parse(dialled, region),
        Err(error),
        "{dialled} in {region}"
    );
}

#[test]
fn digits_and_region_are_packed() {
    let number = PLANS.parse("030 23125000", "DE").unwrap();
    assert_eq!(number.packed_e164(), 0x4930_2312_5000_ffff);
    assert_eq!(number.packed_region().to_be_bytes(), *b"DE\0\0");
    let nowhere = PLANS.parse("+80012345678", "DE").unwrap();
    assert_eq!(nowhere.packed_e164(), 0x8001_2345_678f_ffff);
    assert_eq!(nowhere.packed_region().to_be_bytes(), *b"001\0");
}

#[test]
fn one_number_dialled_in_many_ways() {
    for (dialled, region) in [
        ("+493023125000", "DE"),
        ("+49 (30) 2312-5000", "US"),
        ("+49 (0)30 23125000", "DE"),
        ("03023125000", "DE"),
        ("(030) 2312.5000", "DE"),
        ("3023125000", "DE"),
        ("00493023125000", "DE"),
        ("004903023125000", "DE"),
        ("0049-30-23125000", "fr"),
        ("011493023125000", "US"),
        ("0011493023125000", "AU"),
        ("8104930 23125000", "RU"),
        ("010493023125000", "JP"),
        ("0021493023125000", "BR"),
    ] {
        is(dialled, region, "+493023125000", "DE", Class::Fixed, true);
    }
}

#[test]
fn what_is_dialled_at_home_stays_at_home() {
    is(
        "(202) 555-0123",
        "US",
        "+12025550123",
        "US",
        Class::FixedOrMobile,
        true,
    );
    is(
        "1-876-555-1234",
        "US",
        "+18765551234",
        "JM",
        Class::Mobile,
        true,
    );
    is(
        "06 12 34 56 78",
        "FR",
        "+33612345678",
        "FR",
        Class::Mobile,
        true,
    );
    is(
        "02 1234 5678",
        "IT",
        "+390212345678",
        "IT",
        Class::Fixed,
        true,
    );
    is(
        "8 (916) 123-45-67",
        "RU",
        "+79161234567",
        "RU",
        Class::Mobile,
        true,
    );
    is(
        "+77017112233",
        "RU",
        "+77017112233",
        "KZ",
        Class::Mobile,
        true,
    );
    is(
        "07400 123456",
        "GB",
        "+447400123456",
        "GB",
        Class::Mobile,
        true,
    );
    // Argentina writes 15 for mobiles at home and 9 from abroad.
    is(
        "011 15 2345-6789",
        "AR",
        "+5491123456789",
        "AR",
        Class::Mobile,
        true,
    );
}

#[test]
fn classes_of_national_plans() {
    for (number, country, class) in [
        ("+49900512345 6", "DE", Class::Premium),
        ("+448712345678", "GB", Class::Premium),
        ("+19002345678", "US", Class::Premium),
        ("+498001234567", "DE", Class::TollFree),
        ("+18002345678", "US", Class::TollFree),
        ("+491801123456", "DE", Class::SharedCost),
        ("+445612345678", "GB", Class::Voip),
        ("+447012345678", "GB", Class::Personal),
        ("+447640123456", "GB", Class::Pager),
        ("+445512345678", "GB", Class::Company),
        ("+4915123456789", "DE", Class::Mobile),
        ("+442079460000", "GB", Class::Fixed),
    ] {
        let number: String = number.replace(' ', "");
        is(&number, "FR", &number, country, class, true);
    }
}

#[test]
fn numbers_of_no_country() {
    for (number, class) in [
        ("+870773111632", Class::Satellite),
        ("+881612345678", Class::Satellite),
        ("+881812345678", Class::Satellite),
        ("+8821612345678", Class::Satellite),
        ("+88213012345", Class::Satellite),
        ("+882980001234", Class::Satellite),
        ("+88299123456", Class::Satellite),
        ("+883510001234567", Class::InternationalService),
        ("+80012345678", Class::InternationalService),
        ("+80812345678", Class::InternationalService),
        ("+878101234567890", Class::InternationalService),
        ("+88812345678901", Class::InternationalService),
        ("+979123456789", Class::Premium),
    ] {
        let found = PLANS.parse(number, "DE");
        let found = found.unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!((&*found.e164, &*found.region), (number, "001"));
        assert_eq!(found.class, class, "{number}");
        let at_home = PLANS.parse(&number.replacen('+', "00", 1), "DE");
        assert_eq!(at_home, Ok(found), "{number}");
    }
}

#[test]
fn tricks_with_prefixes_lead_to_the_same_place() {
    // What a sloppy switch would make of it.
    is(
        "+00881612345678",
        "DE",
        "+881612345678",
        "001",
        Class::Satellite,
        true,
    );
    is(
        "00 (88) 1.6-1234.5678",
        "DE",
        "+881612345678",
        "001",
        Class::Satellite,
        true,
    );
    is(
        "011-881612345678",
        "US",
        "+881612345678",
        "001",
        Class::Satellite,
        true,
    );
}

#[test]
fn digits_too_many_do_not_hide_what_a_number_is() {
    let premium = Class::Premium;
    is(
        "+4990051234567",
        "DE",
        "+4990051234567",
        "DE",
        premium,
        false,
    );
    is(
        "+4990051234567899".get(..16).unwrap(),
        "DE",
        "+499005123456789",
        "DE",
        premium,
        false,
    );
    is(
        "+190023456781234",
        "DE",
        "+190023456781234",
        "US",
        premium,
        false,
    );
    is(
        "+18765551234999",
        "DE",
        "+18765551234999",
        "JM",
        Class::Mobile,
        false,
    );
    is(
        "+88161234567890",
        "DE",
        "+88161234567890",
        "001",
        Class::Satellite,
        false,
    );
    is_not("+4990051234567899", "DE", NumberError::WrongLength);
    // Too few are nobody's number, and a switch waits for the rest.
    is(
        "+1876555123",
        "DE",
        "+1876555123",
        "JM",
        Class::Unknown,
        false,
    );
}

#[test]
fn short_and_unknown_numbers_are_not_valid() {
    is("112", "DE", "+49112", "DE", Class::Unknown, false);
    is("911", "US", "+1911", "US", Class::Unknown, false);
    is(
        "+1 555 555 5555",
        "US",
        "+15555555555",
        "US",
        Class::Unknown,
        false,
    );
}

#[test]
fn lengths_on_both_sides() {
    is(
        "+49301234567890",
        "US",
        "+49301234567890",
        "DE",
        Class::Fixed,
        true,
    );
    is(
        "+491234567890123",
        "US",
        "+491234567890123",
        "DE",
        Class::Unknown,
        false,
    );
    is_not("+4912345678901234", "US", NumberError::WrongLength);
    for dialled in ["", "+", "1", "+4", "()", "00", "+49", "0049"] {
        let error = PLANS.parse(dialled, "DE").unwrap_err();
        assert!(
            matches!(error, NumberError::WrongLength | NumberError::NoSuchCountry),
            "{dialled}: {error:?}"
        );
    }
    let spaced = "+ 4 9 3 0 2 3 1 2 5 0 0 0".to_owned();
    let padding = " ".repeat(numbers::DIALLED_BYTES - spaced.len());
    assert!(PLANS.parse(&format!("{spaced}{padding}"), "DE").is_ok());
    is_not(
        &format!("{spaced}{padding} "),
        "DE",
        NumberError::WrongLength,
    );
}

#[test]
fn what_is_no_number_and_what_is_no_country() {
    for dialled in [
        "alice",
        "0800FLOWERS",
        "*21#",
        "030 1234 ext. 5",
        "\u{0661}\u{0661}\u{0662}",
        "+49\u{ff10}30",
    ] {
        is_not(dialled, "DE", NumberError::NotANumber);
    }
    for dialled in ["+999123456", "+210123456", "00999123456", "+0301234567"] {
        is_not(dialled, "DE", NumberError::NoSuchCountry);
    }
    for region in [
        "",
        "D",
        "DEU",
        "ZZ",
        "UK",
        "001",
        "d\u{e9}",
        "\u{ff24}\u{ff25}",
        "EU",
        "1A",
    ] {
        is_not("alice", region, NumberError::NoSuchRegion);
    }
    assert!(PLANS.parse("030123456", "de").is_ok());
}

#[test]
fn the_plan_says_which_numbers_of_no_country_exist() {
    for (number, valid) in [
        ("+881612345678", true),
        ("+88161234", false),
        ("+80012345678", true),
        ("+8001234567", false),
    ] {
        assert_eq!(PLANS.parse(number, "DE").unwrap().valid, valid, "{number}");
    }
}

proptest! {
    #[test]
    fn whatever_is_dialled_is_answered(dialled in ".{0,70}", region in ".{0,4}") {
        let _answered = PLANS.parse(&dialled, &region);
    }

    #[test]
    fn what_is_understood_has_the_form_of_e164(
        dialled in "[+]?[0-9 ().-]{1,22}",
        region in prop::sample::select(vec!["DE", "US", "BR", "RU", "IT", "AR"]),
    ) {
        if let Ok(number) = PLANS.parse(&dialled, region) {
            let digits = number.e164.strip_prefix('+').unwrap();
            prop_assert!((3..=numbers::E164_DIGITS).contains(&digits.len()), "{}", number.e164);
            prop_assert!(digits.bytes().all(|digit| digit.is_ascii_digit()));
            prop_assert!(number.valid || number.class != Class::Unknown || !number.region.is_empty());
            // Understanding what was understood changes nothing.
            let again = PLANS.parse(&number.e164, region);
            prop_assert!(again.is_ok_and(|it| !number.valid || it == number), "{}", number.e164);
        }
    }
}
