//! Words for people: roles, positions of the switch, and times.

use crate::access::credential::AccessListMode;
use crate::access::role::Role;
use crate::clock::Timestamp;

/// What a role is called, and what it lets one do.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoleWord {
    /// Its name in the API.
    pub(super) role: &'static str,
    pub(super) called: &'static str,
    pub(super) hint: &'static str,
}

/// Roles on an organization.
pub(super) const ORGANIZATION_ROLES: [RoleWord; 4] = [
    RoleWord {
        role: "ORG_OWNER",
        called: "Organization owner",
        hint: "May change everything here: settings, people, projects and credentials.",
    },
    RoleWord { role: "ORG_GROUP_CREATOR", called: "Project creator", hint: "May make projects." },
    RoleWord {
        role: "ORG_MEMBER",
        called: "Organization member",
        hint: "May see the organization and what belongs to it.",
    },
    RoleWord {
        role: "ORG_READ_ONLY",
        called: "Organization reader",
        hint: "May see everything here and change nothing.",
    },
];

/// Roles on a project.
pub(super) const PROJECT_ROLES: [RoleWord; 3] = [
    RoleWord { role: "GROUP_OWNER", called: "Project owner", hint: "May change everything in the project." },
    RoleWord {
        role: "GROUP_USER_ADMIN",
        called: "Project access admin",
        hint: "May manage the project’s credentials and their access lists.",
    },
    RoleWord { role: "GROUP_READ_ONLY", called: "Project reader", hint: "May see the project and change nothing." },
];

/// What a role is called.
pub(super) fn called(role: &Role) -> &str {
    let name = role.name();
    let known = ORGANIZATION_ROLES.iter().chain(&PROJECT_ROLES).find(|word| word.role == name);
    match known {
        Some(word) => word.called,
        None if name == "GATEWAY" => "Gateway",
        None => name,
    }
}

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

/// A time, or nothing for one that never comes.
pub(super) fn until(at: Timestamp) -> String {
    if at == Timestamp::NEVER { String::new() } else { at.to_string() }
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
