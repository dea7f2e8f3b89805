//! The interface `numbers`, by the plans that the host has.

use std::sync::LazyLock;

use rlibphonenumber::{
    ParseError, PhoneNumber, PhoneNumberType, PhoneNumberUtil, Region,
    get_national_significant_number_owned,
};

use super::with;
use crate::bindings::numbers::{Number, NumberClass, NumberError};

/// Digits of a number: ITU-T E.164 section 6.
const DIGITS: usize = 15;

static PLANS: LazyLock<PhoneNumberUtil> =
    LazyLock::new(|| PhoneNumberUtil::new().unwrap_or_else(|error| panic!("no plans: {error}")));

pub(crate) fn parse(dialled: &str, region: &str) -> Result<Number, NumberError> {
    // Counts as a call of the host.
    with(|_| ());
    let home = match region.len() {
        2 => Region::from_code(region).map_err(|_| NumberError::NoSuchRegion)?,
        _ => return Err(NumberError::NoSuchRegion),
    };
    if PLANS.get_country_code_for_region(home).is_none() {
        return Err(NumberError::NoSuchRegion);
    }
    let number = PLANS.parse(screened(dialled)?, Some(home));
    understood(&number.map_err(|error| match error {
        ParseError::InvalidCountryCode => NumberError::NoSuchCountry,
        _ => NumberError::WrongLength,
    })?)
}

/// The `+` and the digits, without the separators of RFC 3966.
fn screened(dialled: &str) -> Result<String, NumberError> {
    let mut digits = String::new();
    for character in dialled.chars() {
        match character {
            '0'..='9' => digits.push(character),
            '+' if digits.is_empty() => digits.push(character),
            '-' | '.' | '(' | ')' | ' ' => {}
            _ => return Err(NumberError::NotANumber),
        }
    }
    Ok(digits)
}

fn understood(number: &PhoneNumber) -> Result<Number, NumberError> {
    let national = get_national_significant_number_owned(number);
    let country_code =
        u16::try_from(number.country_code).map_err(|_| NumberError::NoSuchCountry)?;
    let e164 = format!("+{country_code}{national}");
    if e164.len() > DIGITS + 1 {
        return Err(NumberError::WrongLength);
    }
    let kind = PLANS.get_number_type(number);
    let region = PLANS
        .get_region_for_number(number)
        .or_else(|| PLANS.get_region_for_country_code(number.country_code))
        .unwrap_or(Region::World);
    Ok(Number {
        e164,
        country_code,
        region: region.as_region_str().to_string(),
        class: class(country_code, &national, kind),
        valid: kind != PhoneNumberType::Unknown,
    })
}

/// Networks of +882 that are satellites or hang on one.
const SATELLITES_OF_882: [&str; 9] = ["13", "16", "20", "32", "37", "39", "42", "98", "99"];

fn class(country_code: u16, national: &str, kind: PhoneNumberType) -> NumberClass {
    match (country_code, kind) {
        (870 | 881, _) => NumberClass::Satellite,
        (882, _) if SATELLITES_OF_882.iter().any(|of| national.starts_with(of)) => {
            NumberClass::Satellite
        }
        (979, _) => NumberClass::Premium,
        (800 | 808 | 878 | 882 | 883 | 888, _) => NumberClass::InternationalService,
        (_, PhoneNumberType::FixedLine) => NumberClass::Fixed,
        (_, PhoneNumberType::Mobile) => NumberClass::Mobile,
        (_, PhoneNumberType::FixedLineOrMobile) => NumberClass::FixedOrMobile,
        (_, PhoneNumberType::TollFree) => NumberClass::TollFree,
        (_, PhoneNumberType::PremiumRate) => NumberClass::Premium,
        (_, PhoneNumberType::SharedCost) => NumberClass::SharedCost,
        (_, PhoneNumberType::VoIP) => NumberClass::Voip,
        (_, PhoneNumberType::PersonalNumber) => NumberClass::Personal,
        (_, PhoneNumberType::Pager) => NumberClass::Pager,
        (_, PhoneNumberType::UAN) => NumberClass::Company,
        (_, PhoneNumberType::VoiceMail) => NumberClass::Voicemail,
        (_, PhoneNumberType::Unknown) => NumberClass::Unknown,
    }
}
