//! When a line was written, in the spellings of the logs that are read. Without a zone it is UTC.

/// Reads times; lines that follow each other mostly share theirs.
#[derive(Debug, Default)]
pub(in crate::cli::plan) struct Stamps {
    text: String,
    seconds: i64,
}

impl Stamps {
    /// Seconds since 1970; `None` where it is no time.
    pub(in crate::cli::plan) fn read(&mut self, text: &str) -> Option<i64> {
        // Parts of a second are not counted.
        if self.text != text {
            self.seconds = of(text)?;
            text.clone_into(&mut self.text);
        }
        Some(self.seconds)
    }
}

fn of(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let bytes = text.as_bytes();
    if bytes.get(2) == Some(&b'/') {
        // 29/Nov/2026:05:01:53 +0100, and 29/Nov/2026:05:01:53.123
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = MONTHS.iter().position(|month| text.get(3..6) == Some(month))? as i64 + 1;
        let day = days(number(7, 11)?, month, number(0, 2)?)?;
        let second = number(12, 14)? * 3600 + number(15, 17)? * 60 + number(18, 20)?;
        return Some(day * 86_400 + second - text.split_once(' ').map_or(Some(0), |(_, zone)| offset(zone))?);
    }
    if bytes.get(4) == Some(&b'-') {
        // 2026-11-29T05:01:53.123Z, and with +01:00
        let day = days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
        let second = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
        let zone = text.get(19..)?.trim_start_matches(|at: char| at == '.' || at.is_ascii_digit());
        return Some(day * 86_400 + second - if matches!(zone, "" | "Z") { 0 } else { offset(zone)? });
    }
    // 1795928513.123
    let (seconds, _) = text.split_once('.').unwrap_or((text, ""));
    seconds.parse().ok().filter(|at| *at > 0)
}

/// `+0100` or `+01:00`, in seconds.
fn offset(zone: &str) -> Option<i64> {
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits = zone.strip_prefix(['+', '-'])?;
    let (hours, minutes) = (digits.get(..2)?, digits.get(digits.len().checked_sub(2)?..)?);
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

/// Days since 1970-01-01 of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let date = jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let epoch = jiff::civil::Date::new(1970, 1, 1).ok()?;
    Some(i64::from(epoch.until(date.ok()?).ok()?.get_days()))
}
