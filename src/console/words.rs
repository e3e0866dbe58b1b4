//! Words for people: positions of the switch, and times.

use crate::access::credential::AccessListMode;
use crate::clock::Timestamp;

/// A position of the switch *Require IP access list*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) mode: AccessListMode,
    pub(super) name: &'static str,
    pub(super) called: &'static str,
    pub(super) means: &'static str,
    /// How its tag looks.
    pub(super) tone: &'static str,
}

/// All positions.
pub(super) const POSITIONS: [Position; 3] = [
    Position {
        mode: AccessListMode::Required,
        name: "required",
        called: "Required",
        means: "A credential without an access list is refused. A list that has entries is enforced in any position.",
        tone: "good",
    },
    Position {
        mode: AccessListMode::Report,
        name: "report",
        called: "Report only",
        means: "A credential without an access list still works from anywhere. What “Required” would refuse is recorded, so that \
                you can see it before you switch on.",
        tone: "warn",
    },
    Position {
        mode: AccessListMode::Off,
        name: "off",
        called: "Off",
        means: "A credential without an access list works from anywhere.",
        tone: "bad",
    },
];

/// The words for a position.
pub(super) fn position(mode: AccessListMode) -> &'static Position {
    // There is one for each.
    POSITIONS.iter().find(|one| one.mode == mode).unwrap_or(&POSITIONS[2])
}

/// How long ago something was.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    match now.unix_seconds() - at.unix_seconds() {
        seconds if seconds < -60 => format!("in {}", span(-seconds)),
        seconds if seconds < 60 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

fn span(seconds: i64) -> String {
    let counted = |number: i64, one: &str| match number {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    };
    match seconds {
        0..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        172_800..5_184_000 => counted(seconds / 86_400, "day"),
        _ => counted(seconds / 2_592_000, "month"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_words() {
        let now = Timestamp::from_unix_seconds(100_000_000);
        let told = |seconds: i64| ago(Timestamp::from_unix_seconds(100_000_000 - seconds), now);
        assert_eq!(told(5), "just now");
        assert_eq!(told(125), "2 min ago");
        assert_eq!(told(7300), "2 h ago");
        assert_eq!(told(3 * 86_400), "3 days ago");
        assert_eq!(told(-7200), "in 2 h");
        assert_eq!(told(90 * 86_400), "3 months ago");
    }
}
