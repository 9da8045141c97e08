//! Points in time as AWS writes them.

use crate::Duration;
use alloc::format;
use alloc::string::String;

/// A moment in UTC.
pub(super) struct Date {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
}

impl Date {
    /// The moment so long after the Unix epoch.
    pub(super) fn new(unix_time: Duration) -> Self {
        let (days, second_of_day) = (unix_time.as_secs() / 86_400, unix_time.as_secs() % 86_400);
        // Years counted from March, so that the leap day comes last; eras of 400 years, from the year 0.
        let days = days.saturating_add(719_468);
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        Date { year, month, day, second_of_day }
    }

    /// `20191107`.
    pub(super) fn day(&self) -> String {
        format!("{:04}{:02}{:02}", self.year, self.month, self.day)
    }

    /// `20191107T002607Z`.
    pub(super) fn stamp(&self) -> String {
        let second = self.second_of_day;
        format!("{}T{:02}{:02}{:02}Z", self.day(), second / 3600, second / 60 % 60, second % 60)
    }
}

/// `2019-11-07T00:26:07Z`, with or without parts of a second, as the time since the Unix epoch.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let separators =
        (text.get(4..5)?, text.get(7..8)?, text.get(10..11)?, text.get(13..14)?, text.get(16..17)?);
    let in_range = (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if separators != ("-", "-", "T", ":", ":") || !text.ends_with('Z') || !in_range {
        return None;
    }
    // The reverse of `Date::new`.
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    Some(Duration::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (seconds, stamp, text) in [
            (0, "19700101T000000Z", "1970-01-01T00:00:00Z"),
            (951_782_399, "20000228T235959Z", "2000-02-28T23:59:59Z"),
            (951_782_400, "20000229T000000Z", "2000-02-29T00:00:00Z"),
            (1_573_086_367, "20191107T002607Z", "2019-11-07T00:26:07.000Z"),
            (4_107_542_400, "21000301T000000Z", "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Date::new(Duration::from_secs(seconds)).stamp(), stamp);
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)));
        }
        for text in
            ["", "2019", "2019-13-07T00:26:07Z", "2019-11-07 00:26:07Z", "2019-11-07T00:26:07", "1\u{e9}"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        let _ = Date::new(Duration::MAX).stamp();
    }
}
