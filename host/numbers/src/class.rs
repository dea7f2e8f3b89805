//! What a number is for: the plan's own classes, and the calling codes that belong
//! to no country.

use rlibphonenumber::PhoneNumberType;

/// What a number is for, as the national plans have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A line at a place.
    Fixed,
    /// A mobile.
    Mobile,
    /// One of the two: the plan does not tell.
    FixedOrMobile,
    /// Free for the caller.
    TollFree,
    /// At a high price; +979 too.
    Premium,
    /// The price is shared.
    SharedCost,
    /// Numbers of the Internet's services.
    Voip,
    /// Follows a person: dear to call.
    Personal,
    /// A pager.
    Pager,
    /// A company's number.
    Company,
    /// Voice mail.
    Voicemail,
    /// Satellite networks, and networks on ships and aircraft, which are reached by
    /// satellite: +870, +881, and those of +882.
    Satellite,
    /// International services and networks that are none of these: +800, +808, +878,
    /// +888, and the rest of +882 and +883.
    InternationalService,
    /// In no plan.
    Unknown,
}

/// Networks of +882 that are satellites or hang on one: ITU, list of assigned
/// numbers under E.164. 13 Telespazio, 16 Thuraya, 20 Garuda (ACeS); at sea and in
/// the air 32 Maritime Communications Partner, 37 AT&T, 39 Vodafone Malta, 42 Seanet,
/// 98 OnAir, 99 Telenor. A network of machines taken for a satellite is a call
/// refused; the other way round is a bill.
const SATELLITES_OF_882: [&str; 9] = ["13", "16", "20", "32", "37", "39", "42", "98", "99"];

/// The class of a number by its calling code, and by what the plan calls it.
pub(crate) fn class(country_code: u16, national: &str, kind: PhoneNumberType) -> Class {
    match country_code {
        870 | 881 => Class::Satellite,
        882 if SATELLITES_OF_882
            .iter()
            .any(|network| national.starts_with(network)) =>
        {
            Class::Satellite
        }
        979 => Class::Premium,
        800 | 808 | 878 | 882 | 883 | 888 => Class::InternationalService,
        _ => of_plan(kind),
    }
}

fn of_plan(kind: PhoneNumberType) -> Class {
    match kind {
        PhoneNumberType::FixedLine => Class::Fixed,
        PhoneNumberType::Mobile => Class::Mobile,
        PhoneNumberType::FixedLineOrMobile => Class::FixedOrMobile,
        PhoneNumberType::TollFree => Class::TollFree,
        PhoneNumberType::PremiumRate => Class::Premium,
        PhoneNumberType::SharedCost => Class::SharedCost,
        PhoneNumberType::VoIP => Class::Voip,
        PhoneNumberType::PersonalNumber => Class::Personal,
        PhoneNumberType::Pager => Class::Pager,
        PhoneNumberType::UAN => Class::Company,
        PhoneNumberType::VoiceMail => Class::Voicemail,
        PhoneNumberType::Unknown => Class::Unknown,
    }
}
