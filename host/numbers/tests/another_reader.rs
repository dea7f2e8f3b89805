//! Some two thousand numbers, held against another port of the same plans.

use numbers::{Class, Plans};
use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, Type};
use rlibphonenumber::{PhoneNumberFormat, PhoneNumberType, PhoneNumberUtil};

const TYPES: [PhoneNumberType; 11] = [
    PhoneNumberType::FixedLine,
    PhoneNumberType::Mobile,
    PhoneNumberType::FixedLineOrMobile,
    PhoneNumberType::TollFree,
    PhoneNumberType::PremiumRate,
    PhoneNumberType::SharedCost,
    PhoneNumberType::VoIP,
    PhoneNumberType::PersonalNumber,
    PhoneNumberType::Pager,
    PhoneNumberType::UAN,
    PhoneNumberType::VoiceMail,
];

/// The other port's words in ours.
fn class(kind: Type) -> Class {
    match kind {
        Type::FixedLine => Class::Fixed,
        Type::Mobile => Class::Mobile,
        Type::FixedLineOrMobile => Class::FixedOrMobile,
        Type::TollFree => Class::TollFree,
        Type::PremiumRate => Class::Premium,
        Type::SharedCost => Class::SharedCost,
        Type::PersonalNumber => Class::Personal,
        Type::Voip => Class::Voip,
        Type::Pager => Class::Pager,
        Type::Uan => Class::Company,
        Type::Voicemail => Class::Voicemail,
        _ => Class::Unknown,
    }
}

/// The other port takes digits off numbers that begin as the national prefix does, as
/// +7 800, and knows no class of numbers that begin with a zero. Its edition of the
/// plans is an older one, too.
#[test]
fn examples_of_all_countries_are_read_alike() {
    let library = PhoneNumberUtil::new().unwrap();
    let plans = Plans::new().unwrap();
    let (mut compared, mut otherwise) = (0, Vec::new());
    for region in library.get_supported_regions() {
        let home: phonenumber::country::Id = match region.as_region_str().parse() {
            Ok(home) => home,
            Err(_) => continue,
        };
        for kind in TYPES {
            let Ok(example) = library.get_example_number_for_type_and_region(region, kind) else {
                continue;
            };
            for format in [PhoneNumberFormat::E164, PhoneNumberFormat::National] {
                let dialled = library.format(&example, format);
                // Some plans write stars and slashes.
                let Ok(ours) = plans.parse(&dialled, &region.as_region_str()) else {
                    continue;
                };
                let Ok(theirs) = phonenumber::parse(Some(home), &dialled) else {
                    otherwise.push(format!("{region} {dialled}: theirs is none"));
                    continue;
                };
                compared += 1;
                let e164 = theirs.format().mode(Mode::E164).to_string();
                let same = *ours.e164 == e164
                    && ours.class == class(theirs.number_type(&DATABASE))
                    && ours.valid == theirs.is_valid();
                if !same {
                    otherwise.push(format!("{region} {dialled}: {ours:?}, theirs {e164}"));
                }
            }
        }
    }
    assert!(compared > 1_500, "{compared}");
    assert!(otherwise.len() * 30 < compared, "{otherwise:#?}");
}
