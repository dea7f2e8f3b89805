//! What a call costs, by the operator's list of prefixes.
//!
//! Money is counted in ten-thousandths of the currency: exact for the prices that
//! carriers write, and a counter's addition (32 bits) holds 429,496 of the currency.

use sipward_plugin_sdk::lists::ListError;
use sipward_plugin_sdk::{Request, Uri, Zone, decode_escapes, lists, numbers};

use crate::settings;

/// Ten-thousandths of the currency.
pub(crate) type Money = u32;

/// One unit of the currency.
pub(crate) const UNIT: u32 = 10_000;

/// Highest price of a minute or a call, in the currency. 1,000: beyond it an hour,
/// the longest piece that is paid at once, would be more than a counter adds.
pub(crate) const MOST: u32 = 1_000;

/// What a call costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Price {
    /// A minute of it.
    pub(crate) minute: Money,
    /// Beginning it.
    pub(crate) call: Money,
}

/// Why a call has no price.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The list has an entry that is no price.
    Entry {
        /// The prefix.
        key: String,
        /// What stands there.
        value: String,
    },
}

/// Where prices come from.
pub(crate) struct Prices {
    list: String,
    default: Price,
    internal_digits: usize,
    inbound_free: bool,
    region: String,
}

/// A price, and what the operator has to hear about it.
pub(crate) struct Priced {
    pub(crate) price: Price,
    /// The config has no list of that name.
    pub(crate) without_list: bool,
}

impl Prices {
    pub(crate) fn new(settings: settings::Prices, region: String) -> Self {
        Self {
            list: settings.list,
            default: Price {
                minute: ten_thousandths(settings.default_per_minute),
                call: 0,
            },
            internal_digits: settings.internal_digits.into(),
            inbound_free: settings.inbound_free,
            region,
        }
    }

    /// The name of the list.
    pub(crate) fn list(&self) -> &str {
        &self.list
    }

    /// What a call costs that dials this; `dialled` is what [`Uri::dialled`] says.
    pub(crate) fn of(&self, request: &Request<'_>, dialled: Option<&str>) -> Result<Priced, Fault> {
        let known = |price| {
            Ok(Priced {
                price,
                without_list: false,
            })
        };
        let inbound = request.peer().zone() == Zone::Outside && request.identity().is_none();
        if inbound && self.inbound_free {
            return known(Price::default());
        }
        let Some(dialled) = dialled else {
            return known(match has_digit(&request.request_uri()) {
                // No gateway makes a number of letters alone.
                Some(false) => Price::default(),
                _ => self.default,
            });
        };
        let digits = dialled.bytes().all(|byte| byte.is_ascii_digit());
        if digits && dialled.len() <= self.internal_digits {
            return known(Price::default());
        }
        let Ok(number) = numbers::parse(dialled, &self.region) else {
            return known(self.default);
        };
        match lists::longest_prefix(&self.list, &number.e164) {
            Ok(Some(entry)) => match parse(&entry.value) {
                Some(price) => known(price),
                None => Err(Fault::Entry {
                    key: entry.key,
                    value: entry.value,
                }),
            },
            Ok(None) => known(self.default),
            Err(ListError::NoSuchList) => Ok(Priced {
                price: self.default,
                without_list: true,
            }),
        }
    }
}

impl Price {
    /// Of so many seconds, rounded up.
    pub(crate) fn of_seconds(self, seconds: u32) -> Money {
        let exact = u64::from(self.minute) * u64::from(seconds);
        u32::try_from(exact.div_ceil(60)).unwrap_or(u32::MAX)
    }

    /// As an annotation has it.
    pub(crate) fn to_note(self) -> String {
        // Written for each call, so without `format!`, which is three times as dear.
        [&self.minute.to_string(), " ", &self.call.to_string()].concat()
    }

    /// What an annotation says; `None` if it is none of ours.
    pub(crate) fn from_note(note: &str) -> Option<Self> {
        let (minute, call) = note.split_once(' ')?;
        Some(Self {
            minute: minute.parse().ok()?,
            call: call.parse().ok()?,
        })
    }
}

/// Whether the user part has a digit; `None` if it cannot be read.
fn has_digit(uri: &Uri<'_>) -> Option<bool> {
    let decoded = decode_escapes(uri.user().unwrap_or_default())?;
    let odd = |byte: &u8| byte.is_ascii_digit() || !byte.is_ascii();
    Some(decoded.iter().any(odd))
}

/// `0.0123`, or `0.0123 0.5`: for a minute, and for the call.
fn parse(text: &str) -> Option<Price> {
    let mut amounts = text.split_ascii_whitespace().map(decimal);
    let minute = amounts.next()??;
    let call = match amounts.next() {
        Some(call) => call?,
        None => 0,
    };
    amounts.next().is_none().then_some(Price { minute, call })
}

/// A decimal number without sign, rounded up to ten-thousandths.
fn decimal(text: &str) -> Option<Money> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let mut billionths: u64 = 0;
    for digit in fraction.bytes().chain(std::iter::repeat(b'0')).take(9) {
        billionths = billionths * 10 + u64::from(digit - b'0');
    }
    let fraction = u32::try_from(billionths.div_ceil(100_000)).ok()?;
    let money = whole.checked_mul(UNIT)?.checked_add(fraction)?;
    (money <= MOST * UNIT).then_some(money)
}

/// A checked setting of at most [`MOST`], rounded up.
pub(crate) fn ten_thousandths(amount: f64) -> Money {
    // Rounded to billionths first: 0.1 is not quite a tenth.
    let billionths = (amount * 1e9).round() as u64;
    u32::try_from(billionths.div_ceil(100_000)).unwrap_or(u32::MAX)
}

/// For operators.
pub(crate) fn display(money: u64) -> String {
    let cents = money.div_ceil(u64::from(UNIT / 100));
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly_or_not_at_all() {
        let price = |minute, call| Some(Price { minute, call });
        for (text, wanted) in [
            ("0", price(0, 0)),
            ("0.01", price(100, 0)),
            ("1.99 0.5", price(19_900, 5_000)),
            ("0.00001", price(1, 0)),
            (" 12.3456 ", price(123_456, 0)),
            ("1000", price(10_000_000, 0)),
            ("1000.0001", None),
            ("", None),
            (".5", None),
            ("-1", None),
            ("1,5", None),
            ("1e3", None),
            ("1 2 3", None),
            ("1.0000000001", None),
            ("99999999999", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn amounts_round_up() {
        assert_eq!(ten_thousandths(0.5), 5_000);
        assert_eq!(ten_thousandths(0.1), 1_000);
        assert_eq!(ten_thousandths(0.00001), 1);
        let price = Price { minute: 7, call: 0 };
        assert_eq!((price.of_seconds(60), price.of_seconds(6)), (7, 1));
        assert_eq!(
            (display(0), display(101), display(123_456)),
            ("0.00".into(), "0.02".into(), "12.35".into())
        );
    }

    #[test]
    fn notes_come_back() {
        let price = Price { minute: 7, call: 9 };
        assert_eq!(Price::from_note(&price.to_note()), Some(price));
        assert_eq!(Price::from_note("7"), None);
    }
}
