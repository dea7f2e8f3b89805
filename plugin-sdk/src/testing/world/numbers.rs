//! The interface `numbers`, by the host's own plans.

use std::sync::LazyLock;

use ::numbers::{Class, Plans};

use super::with;
use crate::bindings::numbers::{Digits, NumberClass, NumberError};

/// Some milliseconds to read: once for all tests of a program.
static PLANS: LazyLock<Plans> = LazyLock::new(|| match Plans::new() {
    Ok(plans) => plans,
    Err(error) => panic!("{error}"),
});

pub(crate) fn parse_digits(dialled: &str, region: &str) -> Result<Digits, NumberError> {
    // Counts as a call of the host.
    with(|_| ());
    let number = PLANS.parse(dialled, region).map_err(|error| match error {
        ::numbers::NumberError::NotANumber => NumberError::NotANumber,
        ::numbers::NumberError::WrongLength => NumberError::WrongLength,
        ::numbers::NumberError::NoSuchCountry => NumberError::NoSuchCountry,
        ::numbers::NumberError::NoSuchRegion => NumberError::NoSuchRegion,
    })?;
    Ok(Digits {
        e164: number.packed_e164(),
        country_code: number.country_code,
        region: number.packed_region(),
        class: class(number.class),
        valid: number.valid,
    })
}

const fn class(class: Class) -> NumberClass {
    match class {
        Class::Fixed => NumberClass::Fixed,
        Class::Mobile => NumberClass::Mobile,
        Class::FixedOrMobile => NumberClass::FixedOrMobile,
        Class::TollFree => NumberClass::TollFree,
        Class::Premium => NumberClass::Premium,
        Class::SharedCost => NumberClass::SharedCost,
        Class::Voip => NumberClass::Voip,
        Class::Personal => NumberClass::Personal,
        Class::Pager => NumberClass::Pager,
        Class::Company => NumberClass::Company,
        Class::Voicemail => NumberClass::Voicemail,
        Class::Satellite => NumberClass::Satellite,
        Class::InternationalService => NumberClass::InternationalService,
        Class::Unknown => NumberClass::Unknown,
    }
}
