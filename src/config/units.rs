//! Durations and sizes as people write them: `500ms`, `10s`, `2m`, `1h`; `512B`, `64KiB`, `10MiB`.
//!
//! Never guesses a unit: a bare number is refused.

use std::time::Duration;

/// Longest duration that is taken; timers of every platform hold it.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Parses a duration above zero.
///
/// # Errors
/// What is wrong with it, lower case, with the way out.
pub fn duration(text: &str) -> Result<Duration, String> {
    let fault = || format!("`{}` is not a duration; write it like 500ms, 10s, 2m or 1h", short(text));
    let (number, unit) = split(text).ok_or_else(fault)?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(fault()),
    };
    let duration = milliseconds.map(Duration::from_millis).filter(|duration| *duration <= LONGEST);
    let duration =
        duration.ok_or_else(|| format!("`{}` is longer than 720h; write a shorter duration", short(text)))?;
    match duration.is_zero() {
        true => Err(format!("`{}` leaves no time at all; write a duration above zero", short(text))),
        false => Ok(duration),
    }
}

/// Parses a size in bytes, above zero.
///
/// # Errors
/// What is wrong with it, lower case, with the way out.
pub fn size(text: &str) -> Result<u64, String> {
    let fault = || format!("`{}` is not a size; write it like 512B, 64KiB, 10MiB or 1GiB", short(text));
    let (number, unit) = split(text).ok_or_else(fault)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(fault()),
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(fault)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

fn short(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let good = [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000)];
        for (text, milliseconds) in good {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "10",
            "10 s",
            "s",
            "-1s",
            "1.5s",
            "0s",
            "721h",
            "99999999999999999999s",
            "10S",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        let good = [("512B", 512), ("64KiB", 65_536), ("10MiB", 10_485_760), ("1GiB", 1 << 30)];
        for (text, bytes) in good {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "64", "64KB", "64kib", "0B", "KiB", "-1B", "18446744073709551615GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
