//! How long secrets of service accounts may last, said once for an organization or the same everywhere.

use super::{At, Resolve, raw};
use crate::access::id::Id;
use crate::access::record::{LONGEST_SECRET_HOURS, SHORTEST_SECRET_HOURS};

const KEY: &str = "max_service_account_secret_validity_in_hours";

impl Resolve<'_> {
    pub(super) fn secret_hours(&mut self, id: Id, parts: &[At], raws: &[raw::File]) -> Option<u32> {
        let mut known: Option<(u32, At)> = None;
        for at in parts {
            let Some(hours) = raws[at.file].organizations[at.organization].max_service_account_secret_validity_in_hours
            else {
                continue;
            };
            if !(SHORTEST_SECRET_HOURS..=LONGEST_SECRET_HOURS).contains(&hours) {
                let message =
                    format!("`{hours}` is not between {SHORTEST_SECRET_HOURS} and {LONGEST_SECRET_HOURS} hours");
                self.fault(at.key(KEY), message);
                continue;
            }
            match known {
                Some((other, first)) if other != hours => {
                    let message =
                        format!("organization {id} has `{KEY}` set otherwise elsewhere; say it once, or the same");
                    self.clash(at.key(KEY), message, first.key(KEY), "the other is here");
                }
                Some(_) => {}
                None => known = Some((hours, *at)),
            }
        }
        known.map(|(hours, _)| hours)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::directory::parse;

    #[track_caller]
    fn check(line: &str, expected: Result<Option<u32>, &str>) {
        let text =
            format!("organizations:\n- id: 5f0000000000000000000001\n  name: a\n  require_access_list: false\n{line}");
        match (parse("d.yaml", &text, Path::new("")), expected) {
            (Ok((directory, _)), Ok(hours)) => assert_eq!(directory.organizations[0].secret_hours, hours, "{line}"),
            (Err(problems), Err(told)) => {
                let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
                assert!(all.len() == 1 && all[0].contains(told) && all[0].starts_with("d.yaml:5:"), "{line}: {all:?}");
            }
            (Ok(_), Err(told)) => panic!("{line} is taken, and not refused as {told}"),
            (Err(problems), Ok(_)) => panic!("{}", problems.render(false)),
        }
    }

    #[test]
    fn hours_are_between_eight_and_a_year() {
        check("", Ok(None));
        for hours in [8, 720, 8760] {
            check(&format!("  max_service_account_secret_validity_in_hours: {hours}\n"), Ok(Some(hours)));
        }
        for wrong in ["0", "7", "8761"] {
            let line = format!("  max_service_account_secret_validity_in_hours: {wrong}\n");
            check(&line, Err("is not between 8 and 8760 hours"));
        }
        check("  max_service_account_secret_validity_in_hours: -8\n", Err("a whole number from 8 to 8760"));
    }
}
