//! The day, for chat templates that write it down.

use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that stands before this year has not been set: this program is younger.
const FIRST_YEAR: i64 = 2025;

/// Today in UTC, like 2026-01-31; `None` if the clock does not know.
pub fn today() -> Option<String> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let days = i64::try_from(seconds / (24 * 60 * 60)).ok()?;
    Some(civil(days)).filter(|[year, ..]| (FIRST_YEAR..10_000).contains(year)).map(written)
}

/// A moment in UTC, like 2026-01-31 23:59 UTC; of a number of seconds since 1970.
pub fn moment(seconds: u64) -> String {
    let (minutes, days) = (seconds / 60, seconds / (24 * 60 * 60));
    let day = written(civil(i64::try_from(days).unwrap_or(0)));
    format!("{day} {:02}:{:02} UTC", minutes / 60 % 24, minutes % 60)
}

fn written([year, month, day]: [i64; 3]) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of a number of days since 1970: eras of 400 years, years from March on,
/// so that a leap day is a year's last (<https://howardhinnant.github.io/date_algorithms.html>).
fn civil(days: i64) -> [i64; 3] {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    [era * 400 + year + i64::from(month <= 2), month, day]
}

/// Days of a month, as [`civil`] counts them.
fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether a text is a day as [`today`] writes it.
pub fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |i: usize, len: usize| {
        let part = parts.get(i).filter(|part| part.len() == len)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u32>().ok())?
    };
    let [Some(year), Some(month), Some(day)] = [number(0, 4), number(1, 2), number(2, 2)] else {
        return false;
    };
    let in_year = parts.len() == 3 && (1..=12).contains(&month);
    in_year && (1..=days_in(year, month)).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, day) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_118, "2025-01-30"),
            (20_512, "2026-02-28"),
            (20_513, "2026-03-01"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(written(civil(days)), day);
            assert!(is_day(day));
        }
        for text in ["2026-1-31", "2026-13-01", "2026-01-32", "2026-01", "2026-01-00", "+026-01-01"]
        {
            assert!(!is_day(text), "{text}");
        }
        for text in ["2026-02-29", "2100-02-29", "2026-02-31", "2026-04-31", "2026-01-31-01"] {
            assert!(!is_day(text), "{text}");
        }
    }

    #[test]
    fn moments_are_in_utc() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(1_764_565_199), "2025-12-01 04:59 UTC");
    }

    #[test]
    fn months_are_as_long_as_in_the_calendar() {
        // An era, of which others are repetitions.
        let days: Vec<_> = (0..146_097).map(civil).collect();
        let [mut year, mut month, mut day] = [1970, 1, 1];
        for found in days {
            assert_eq!(found, [year, month, day].map(i64::from));
            let lasts = day < days_in(year, month);
            (day, month) = if lasts { (day + 1, month) } else { (1, month % 12 + 1) };
            year += u32::from((month, day) == (1, 1));
        }
    }
}
