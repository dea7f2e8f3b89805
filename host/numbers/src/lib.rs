//! Telephone numbers as ITU-T E.164 has them: what was dialled, understood by the
//! plan of the country it was dialled in, and what the number is for.
//!
//! ```text
//! Plans::new()                            the plans of all countries
//! plans.parse("0049 30 23125000", "FR")   +493023125000, DE, fixed
//! ```
//!
//! A number takes one to ten microseconds. The first one of a country takes some
//! milliseconds, because the patterns of its plan are compiled then, and a megabyte of
//! memory from then on; all countries together take 130.
//!
//! The plans are those of Google's libphonenumber, in the port of `rlibphonenumber`.
//! That library reads what people write; this crate reads what a peer sends, so it
//! is stricter about characters: ASCII digits, one leading `+` and the visual
//! separators of RFC 3966 section 5.1.1. What the library would turn into digits
//! (letters, full-width and Arabic digits, extensions) is no number here.

mod class;
mod dialled;

pub use class::Class;
pub use dialled::DIALLED_BYTES;

use std::fmt::Write;

use arrayvec::ArrayString;
use rlibphonenumber::{
    ParseError, PhoneNumber, PhoneNumberType, PhoneNumberUtil, Region,
    get_national_significant_number_owned,
};

/// Digits of a number. 15: ITU-T E.164 section 6.
pub const E164_DIGITS: usize = 15;

/// Shortest national number that a longer one is cut to when its class is looked
/// for. 4: shorter numbers are dialled within one network only.
const SHORTEST_NATIONAL: usize = 4;

/// A number, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// `+` and up to [`E164_DIGITS`] digits.
    pub e164: ArrayString<{ E164_DIGITS + 1 }>,
    /// The calling code, 1 to 999.
    pub country_code: u16,
    /// ISO 3166-1 alpha-2, upper case; `001` for numbers of no country. If several
    /// countries share a calling code and none has such a number, the main one.
    pub region: ArrayString<3>,
    /// What it is for. A number that no plan has, because it is too long, has the
    /// class (and region) of its longest beginning that is one: switches connect
    /// when they have enough digits and let the rest go.
    pub class: Class,
    /// Whether the plan of its country has such a number.
    pub valid: bool,
}

impl Number {
    /// The digits of `e164`, four bits each, the first one in the highest; what is left
    /// over is ones. They fit: there are [`E164_DIGITS`].
    pub fn packed_e164(&self) -> u64 {
        let digits = self.e164.bytes().filter(u8::is_ascii_digit);
        let places = (0..u64::BITS).step_by(4);
        digits.zip(places).fold(u64::MAX, |packed, (digit, place)| {
            let missing = u64::from(b'?' - digit) << (u64::BITS - 4);
            packed ^ (missing >> place)
        })
    }

    /// The characters of `region`, the first one in the highest byte.
    pub fn packed_region(&self) -> u32 {
        let places = (0..u32::BITS).step_by(8);
        let bytes = self.region.bytes().zip(places);
        bytes.fold(0, |packed, (byte, place)| {
            packed | (u32::from(byte) << (u32::BITS - 8)) >> place
        })
    }
}

/// Why it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Other characters than digits, a leading `+` and separators.
    #[error("it has other characters than digits, a leading + and separators")]
    NotANumber,
    /// Too short for any number, or longer than [`E164_DIGITS`] digits.
    #[error("it is too short or too long for a number")]
    WrongLength,
    /// Its country code belongs to nobody.
    #[error("its country code belongs to nobody")]
    NoSuchCountry,
    /// The region is no country.
    #[error("the region is no country with a plan")]
    NoSuchRegion,
}

/// The plans that came with the program cannot be read, which is a fault of the
/// build.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the numbering plans: {0}")]
pub struct PlansError(String);

/// The plans of all countries. Patterns are compiled when they are first needed and
/// kept; threads may share it.
pub struct Plans {
    library: PhoneNumberUtil,
}

impl std::fmt::Debug for Plans {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Plans").finish_non_exhaustive()
    }
}

impl Plans {
    /// Reads the plans that came with the program, in some ten milliseconds.
    ///
    /// # Errors
    /// They are damaged.
    pub fn new() -> Result<Self, PlansError> {
        let library = PhoneNumberUtil::new().map_err(|error| PlansError(error.to_string()))?;
        let plans = Self { library };
        // What all countries share is compiled with the first number.
        plans
            .parse("+18002345678", "US")
            .map_err(|error| PlansError(format!("a number is not understood: {error}")))?;
        Ok(plans)
    }

    /// Understands what was dialled in `region` (ISO 3166-1 alpha-2, case aside): a
    /// leading `+`, or the region's international or national prefix, or neither.
    /// Percent escapes are not decoded here.
    ///
    /// # Errors
    /// See [`NumberError`]; a wrong region comes first.
    pub fn parse(&self, dialled: &str, region: &str) -> Result<Number, NumberError> {
        let region = self.region(region)?;
        let digits = dialled::screened(dialled)?;
        let number = self
            .library
            .parse(digits.as_str(), Some(region))
            .map_err(error)?;
        self.understood(&number)
    }

    fn region(&self, name: &str) -> Result<Region, NumberError> {
        // `001` is a name to the library, but nobody dials there.
        let region = match name.len() {
            2 => Region::from_code(name).map_err(|_| NumberError::NoSuchRegion)?,
            _ => return Err(NumberError::NoSuchRegion),
        };
        match self.library.get_country_code_for_region(region) {
            Some(_) => Ok(region),
            None => Err(NumberError::NoSuchRegion),
        }
    }

    fn understood(&self, number: &PhoneNumber) -> Result<Number, NumberError> {
        let national = get_national_significant_number_owned(number);
        let country_code =
            u16::try_from(number.country_code).map_err(|_| NumberError::NoSuchCountry)?;
        let mut e164 = ArrayString::new();
        write!(e164, "+{country_code}{national}").map_err(|_| NumberError::WrongLength)?;
        let kind = self.library.get_number_type(number);
        let valid = kind != PhoneNumberType::Unknown;
        let cut = match valid {
            true => None,
            false => self.longest_beginning(number, national.len()),
        };
        let (known, kind) = cut
            .as_ref()
            .map_or((number, kind), |(cut, kind)| (cut, *kind));
        let region = self
            .library
            .get_region_for_number(known)
            .or_else(|| {
                self.library
                    .get_region_for_country_code(number.country_code)
            })
            .unwrap_or(Region::World);
        let region = region.as_region_str();
        Ok(Number {
            e164,
            country_code,
            region: ArrayString::from(region.as_str()).unwrap_or_default(),
            class: class::class(country_code, &national, kind),
            valid,
        })
    }

    /// The longest beginning of a number that its plan has, and what it is for.
    fn longest_beginning(
        &self,
        number: &PhoneNumber,
        digits: usize,
    ) -> Option<(PhoneNumber, PhoneNumberType)> {
        let mut cut = number.clone();
        for _ in SHORTEST_NATIONAL..digits {
            cut.national_number /= 10;
            // Most plans have few lengths; asking for those is cheap.
            if !self.library.is_possible_number(&cut) {
                continue;
            }
            let kind = self.library.get_number_type(&cut);
            if kind != PhoneNumberType::Unknown {
                return Some((cut, kind));
            }
        }
        None
    }
}

/// The library's words in ours.
fn error(error: ParseError) -> NumberError {
    match error {
        ParseError::InvalidCountryCode => NumberError::NoSuchCountry,
        // Characters were screened before: what it calls no number has no digits, or
        // a single one.
        ParseError::NotANumber(_)
        | ParseError::TooShortAfterIdd
        | ParseError::TooShortNsn
        | ParseError::TooLongNsn => NumberError::WrongLength,
    }
}
