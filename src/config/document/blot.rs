//! Blots out what may be a secret before a line of a file, or a parser's message, is shown to anybody.
//!
//! Errs on the side of blotting: an operator has the file, a log's reader may not.

/// Names of keys whose values are never shown.
const SENSITIVE: [&str; 6] = ["secret", "sha256", "md5", "password", "privatekey", "apikey:"];

/// Length from which a mixed run of letters and digits is taken for a secret.
const SECRET_LENGTH: usize = 20;

/// Length of the ids of organizations, projects and credentials, which are no secrets.
const ID_LENGTH: usize = 24;

/// Whether the value of a key may be a secret.
pub(super) fn is_sensitive(key: &str) -> bool {
    let key: String = key.chars().filter(|one| *one != '_' && *one != '-').collect::<String>().to_ascii_lowercase();
    SENSITIVE.iter().any(|word| key.contains(word)) && !key.ends_with("file")
}

/// A line of a file as it may be shown. `span` is a column (from 1) and a length that are blotted out in any case.
pub(super) fn line(text: &str, span: Option<(usize, usize)>) -> String {
    let mut shown: Vec<char> =
        text.chars().map(|one| if one.is_control() && one != '\t' { '\u{fffd}' } else { one }).collect();
    if let Some((column, length)) = span {
        let start = column.saturating_sub(1).min(shown.len());
        let end = start.saturating_add(length).min(shown.len());
        shown[start..end].fill('*');
    }
    blot_user_info(&mut shown);
    let mut at = 0;
    while at < shown.len() {
        let end = at + shown[at..].iter().take_while(|one| is_word(**one)).count();
        if end == at {
            at += 1;
            continue;
        }
        let word: String = shown[at..end].iter().collect();
        // A tls private_key is the name of a file.
        let names = shown.get(end) == Some(&':') && is_sensitive(&word) && word != "private_key";
        if names {
            let stop = end + 1 + shown[end + 1..].iter().take_while(|one| !matches!(one, ']' | '}' | '#')).count();
            blot(&mut shown[end + 1..stop]);
            at = stop;
        } else {
            if looks_secret(&word) {
                shown[at..end].fill('*');
            }
            at = end;
        }
    }
    shown.into_iter().collect()
}

/// User name and password of `scheme://user:password@host`.
fn blot_user_info(shown: &mut [char]) {
    let ends = |one: &char| one.is_whitespace() || matches!(one, '"' | '\'' | '/' | ',' | ']' | '}');
    for at in 3..shown.len() {
        if shown[at - 3..at] != [':', '/', '/'] {
            continue;
        }
        let end = at + shown[at..].iter().take_while(|one| !ends(one)).count();
        if let Some(sign) = shown[at..end].iter().rposition(|one| *one == '@') {
            shown[at..at + sign].fill('*');
        }
    }
}

/// A parser's message without the values that it quotes.
pub(super) fn serde_message(message: &str) -> String {
    let Some((head, rest)) = message.split_once("string \"") else {
        return message.chars().take(300).collect();
    };
    let tail = rest.rsplit_once('"').map_or("", |(_, tail)| tail);
    format!("{head}string{tail}")
}

/// Blanks, quotes and punctuation stay, so that the shape of the line can still be seen.
fn blot(part: &mut [char]) {
    for one in part.iter_mut().filter(|one| !one.is_whitespace() && !matches!(one, '[' | ',' | '"' | '\'' | '{' | ':'))
    {
        *one = '*';
    }
}

fn is_word(one: char) -> bool {
    one.is_ascii_alphanumeric() || matches!(one, '.' | '_' | '-' | '+' | '/' | '=' | '~')
}

fn looks_secret(word: &str) -> bool {
    let mixed = word.bytes().any(|byte| byte.is_ascii_digit()) && word.bytes().any(|byte| byte.is_ascii_alphabetic());
    let id = word.len() == ID_LENGTH && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let path_like = word.contains('/') && word.len() < 2 * SECRET_LENGTH;
    mixed && word.len() >= SECRET_LENGTH && !id && !path_like && !word.starts_with("pcl_sa_id_")
}
