//! The part of regular expressions that says where a text begins or ends, or what it is; and texts with variables in them.
//!
//! Never takes an expression for something that it only resembles: what is not understood is nothing.

use super::super::reasoning::How;

/// Most texts that one expression stands for.
const MOST: usize = 200;

/// What an expression compares with, where that is a list of plain texts.
pub(in super::super) fn expression(text: &str) -> Option<Vec<(How, String)>> {
    let (begins, text) = text.strip_prefix('^').map_or((false, text), |rest| (true, rest));
    let text = if begins { text.strip_suffix(".*").unwrap_or(text) } else { text };
    let (ends, text) = match text.strip_suffix('$').filter(|rest| !rest.ends_with('\\')) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let how = match (begins, ends) {
        (true, true) => How::Whole,
        (true, false) => How::Beginning,
        (false, true) => How::End,
        (false, false) => How::Within,
    };
    let texts = match text.split_once('(').filter(|(before, _)| !before.ends_with('\\')) {
        None => vec![literal(text)?],
        Some((before, rest)) => {
            let (inner, behind) = rest.rsplit_once(')')?;
            let (before, behind) = (literal(before)?, literal(behind)?);
            let choices = inner.strip_prefix("?:").unwrap_or(inner).split('|').map(literal);
            choices.map(|one| Some(format!("{before}{}{behind}", one?))).collect::<Option<Vec<_>>>()?
        }
    };
    (texts.len() <= MOST).then(|| texts.into_iter().map(|text| (how, text)).collect())
}

/// The text that an expression without any operator stands for.
fn literal(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.push(letters.next().filter(char::is_ascii_punctuation)?),
            '.' | '[' | ']' | '{' | '}' | '(' | ')' | '*' | '+' | '?' | '|' | '^' | '$' => return None,
            letter => plain.push(letter),
        }
    }
    Some(plain)
}

/// A piece of a text with variables.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Piece<'t> {
    Plain(&'t str),
    Variable(&'t str),
}

/// Takes a text with `$name` and `${name}` apart.
pub(in super::super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let behind = &rest[at + 1..];
        let (name, after) = match behind.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None => behind.split_at(
                behind.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(behind.len()),
            ),
        };
        if at > 0 {
            all.push(Piece::Plain(&rest[..at]));
        }
        all.push(Piece::Variable(name));
        rest = after;
    }
    if !rest.is_empty() {
        all.push(Piece::Plain(rest));
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expressions_that_are_plain_texts() {
        type Expected = Option<(How, &'static [&'static str])>;
        let cases: [(&str, Expected); 12] = [
            (r"^key@198\.51\.100\.", Some((How::Beginning, &["key@198.51.100."]))),
            (r"^key@198\.51\.100\.7$", Some((How::Whole, &["key@198.51.100.7"]))),
            (r"^k@(10\.|192\.168\.)", Some((How::Beginning, &["k@10.", "k@192.168."]))),
            (r"^k@(?:10\.).*", Some((How::Beginning, &["k@10."]))),
            ("^$", Some((How::Whole, &[""]))),
            ("abc", Some((How::Within, &["abc"]))),
            (r"\.com$", Some((How::End, &[".com"]))),
            ("^k.y", None),
            (r"^\d+", None),
            (r"^(a(b|c))", None),
            ("^a|b", None),
            (r"^a\$", Some((How::Beginning, &["a$"]))),
        ];
        for (text, expected) in cases {
            let expected =
                expected.map(|(how, texts)| texts.iter().map(|text| (how, (*text).to_owned())).collect::<Vec<_>>());
            assert_eq!(expression(text), expected, "{text}");
        }
    }

    #[test]
    fn texts_with_variables() {
        use Piece::{Plain, Variable};
        assert_eq!(pieces("$a@${b}c"), [Variable("a"), Plain("@"), Variable("b"), Plain("c")]);
        assert_eq!(pieces("plain"), [Plain("plain")]);
        assert_eq!(pieces("$"), [Variable("")]);
        assert!(pieces("").is_empty());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[a$\\{}()|^.*\\\\é]{0,40}") {
            let _ = (expression(&text), pieces(&text));
        }
    }
}
