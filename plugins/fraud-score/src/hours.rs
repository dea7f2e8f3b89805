//! Hours of the week, on the operator's clock.

use schemars::JsonSchema;
use serde::Deserialize;

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// The operator's clock.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Clock {
    /// Minutes ahead of UTC. -720 to 840.
    #[schemars(range(min = -720, max = 840))]
    pub utc_offset_minutes: i32,
}

/// Some hours of some days.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hours {
    /// First minute, as `07:00`.
    pub from: String,
    /// First minute after them, as `20:00`, and `24:00` for the end of the day. An
    /// earlier one than `from` is of the next day.
    pub to: String,
    /// Days on which they begin.
    pub days: Vec<Day>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Default for Hours {
    /// What an office has.
    fn default() -> Self {
        Self {
            from: "07:00".to_owned(),
            to: "20:00".to_owned(),
            days: vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri],
        }
    }
}

/// A time of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// 0 is Monday.
    weekday: u32,
    minute: u32,
}

impl Clock {
    /// What the clock says.
    pub(crate) fn read(self, now_ms: u64) -> Moment {
        let offset_ms = i64::from(self.utc_offset_minutes) * 60_000;
        let minutes = now_ms.saturating_add_signed(offset_ms) / 60_000;
        let days = minutes / u64::from(DAY);
        // 1 January 1970 was a Thursday.
        let small = |value: u64| u32::try_from(value).unwrap_or_default();
        Moment {
            weekday: small((days + 3) % 7),
            minute: small(minutes % u64::from(DAY)),
        }
    }
}

/// Checked hours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Bit 0 is Monday.
    days: u8,
    from: u32,
    to: u32,
}

impl Span {
    /// Checks hours; names the wrong field.
    pub(crate) fn new(hours: &Hours) -> Result<Self, (&'static str, String)> {
        let read = |field: &'static str, text: &str, most: u32| {
            let wrong = || (field, format!("`{text}` is no time; write it as 07:30"));
            minute(text)
                .filter(|minute| *minute <= most)
                .ok_or_else(wrong)
        };
        let from = read("from", &hours.from, DAY - 1)?;
        let to = read("to", &hours.to, DAY)?;
        if hours.days.is_empty() {
            return Err(("days", "is empty; name at least one day".to_owned()));
        }
        if from == to {
            return Err((
                "to",
                "is when it begins; write 00:00 and 24:00 for all day".to_owned(),
            ));
        }
        let days = hours
            .days
            .iter()
            .fold(0, |days: u8, day| days | (1 << (*day as u8)));
        Ok(Self { days, from, to })
    }

    /// Whether a time lies within.
    pub(crate) fn contains(self, moment: Moment) -> bool {
        let on = |weekday: u32| (self.days >> (weekday % 7)) & 1 == 1;
        let Moment { weekday, minute } = moment;
        match self.from < self.to {
            true => on(weekday) && (self.from..self.to).contains(&minute),
            // Over midnight: tonight from its beginning, or last night until its end.
            false => (on(weekday) && minute >= self.from) || (on(weekday + 6) && minute < self.to),
        }
    }
}

/// `07:30` as minutes.
fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| -> Option<u32> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: &str, to: &str, days: &[Day]) -> Result<Span, &'static str> {
        let hours = Hours {
            from: from.to_owned(),
            to: to.to_owned(),
            days: days.to_vec(),
        };
        Span::new(&hours).map_err(|(field, _)| field)
    }

    #[test]
    fn times_and_days_have_two_edges() {
        let span = span("08:00", "18:00", &[Day::Mon]).unwrap();
        let at = |weekday, minute| span.contains(Moment { weekday, minute });
        assert!(!at(0, 479) && at(0, 480) && at(0, 1_079) && !at(0, 1_080) && !at(1, 600));
    }

    #[test]
    fn nights_belong_to_the_day_on_which_they_begin() {
        let night = span("20:00", "06:00", &[Day::Sun]).unwrap();
        let at = |weekday, minute| night.contains(Moment { weekday, minute });
        assert!(at(6, 1_200) && at(6, 1_439) && at(0, 0) && at(0, 359));
        assert!(!at(6, 1_199) && !at(0, 360) && !at(6, 0) && !at(0, 1_300));
    }

    #[test]
    fn the_clock_knows_the_day_of_the_week() {
        let read = |offset, now_ms| {
            Clock {
                utc_offset_minutes: offset,
            }
            .read(now_ms)
        };
        let moment = |weekday, minute| Moment { weekday, minute };
        assert_eq!(read(0, 0), moment(3, 0));
        // 30 December 2024, 23:30 UTC, a Monday.
        assert_eq!(read(0, 1_735_601_400_000), moment(0, 1_410));
        assert_eq!(read(60, 1_735_601_400_000), moment(1, 30));
        assert_eq!(read(-60, 0), moment(3, 0), "there is nothing before 1970");
    }

    #[test]
    fn wrong_times_are_named() {
        let mon = &[Day::Mon];
        assert!(span("00:00", "24:00", mon).is_ok());
        for (from, to, days, field) in [
            ("7:00", "20:00", &mon[..], "from"),
            ("24:00", "20:00", mon, "from"),
            ("07:60", "20:00", mon, "from"),
            ("07:00", "24:01", mon, "to"),
            ("07:00", "+1:00", mon, "to"),
            ("07:00", "07:00", mon, "to"),
            ("07:00", "08:00", &[], "days"),
        ] {
            assert_eq!(span(from, to, days).err(), Some(field), "{from} {to}");
        }
    }
}
