//! The cookies of the console, and the token of its forms.
//!
//! All are `__Host-` cookies: no other host and no plain connection can have set them. A form's token is made from the cookie
//! that it goes with, so that nothing has to be remembered of it, and a page that can't read the cookie can't make one.

use axum::http::header::COOKIE;
use axum::http::request::Parts;
use subtle::ConstantTimeEq as _;

use crate::control::SESSION_PREFIX;

/// Holds the session of whoever is signed in.
const SESSION: &str = "__Host-portcullis-session";

/// Holds what the forms of a visitor who is not signed in go with.
const VISITOR: &str = "__Host-portcullis-visitor";

/// Holds the ticket of whoever has left for the provider of single sign-on, and where they wanted to go.
const TICKET: &str = "__Host-portcullis-ticket";

/// Seconds that somebody may take at the provider.
const TICKET_LIFE: u32 = 600;

/// Bytes of a visitor's cookie, before they are written as text.
const VISITOR_LENGTH: usize = 16;

/// What a browser brings.
#[derive(Debug, Default)]
pub(super) struct Cookies {
    pub(super) session: Option<String>,
    pub(super) visitor: Option<String>,
    /// As [`set_ticket`] has put it.
    pub(super) ticket: Option<String>,
}

impl Cookies {
    /// Of a request. Whatever is not of the form of ours is none.
    pub(super) fn of(head: &Parts) -> Self {
        let mut cookies = Self::default();
        let lines = head.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        for (name, value) in lines.flat_map(|line| line.split(';')).filter_map(|one| one.trim().split_once('=')) {
            match name {
                SESSION if value.starts_with(SESSION_PREFIX) => cookies.session = Some(value.to_owned()),
                VISITOR if is_visitor(value) => cookies.visitor = Some(value.to_owned()),
                TICKET if !value.is_empty() => cookies.ticket = Some(value.to_owned()),
                _ => {}
            }
        }
        cookies
    }
}

fn is_visitor(value: &str) -> bool {
    value.len() == 2 * VISITOR_LENGTH && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A new visitor's cookie.
///
/// # Errors
/// There are no random numbers.
pub(super) fn draw_visitor() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; VISITOR_LENGTH];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// `Set-Cookie` for a session.
pub(super) fn set_session(token: &str) -> String {
    set(SESSION, token)
}

/// `Set-Cookie` for a visitor.
pub(super) fn set_visitor(value: &str) -> String {
    set(VISITOR, value)
}

/// `Set-Cookie` for a ticket, with where its owner wants to go.
pub(super) fn set_ticket(ticket: &str, next: &str) -> String {
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("{}; Max-Age={TICKET_LIFE}", set(TICKET, &format!("{ticket}~{next}")))
}

/// A ticket, and where its owner wanted to go.
pub(super) fn ticket(value: &str) -> (String, String) {
    let (ticket, next) = value.split_once('~').unwrap_or((value, ""));
    let next = form_urlencoded::parse(next.as_bytes()).next().map(|(next, _)| next.into_owned());
    (ticket.to_owned(), next.unwrap_or_default())
}

/// `Set-Cookie` that ends a ticket.
pub(super) fn end_ticket() -> String {
    format!("{}; Max-Age=0", set(TICKET, ""))
}

/// `Set-Cookie` that ends a session.
pub(super) fn end_session() -> String {
    format!("{}; Max-Age=0", set(SESSION, ""))
}

fn set(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax")
}

/// The token of the forms that go with a cookie.
pub(super) fn form_token(cookie: &str) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(b"portcullis form\0");
    context.update(cookie.as_bytes());
    hex(context.finish().as_ref())
}

/// Whether a form's token goes with this cookie.
pub(super) fn goes_with(cookie: &str, token: &str) -> bool {
    form_token(cookie).as_bytes().ct_eq(token.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(line: &str) -> Cookies {
        let request = axum::http::Request::builder().header(COOKIE, line).body(()).unwrap();
        Cookies::of(&request.into_parts().0)
    }

    #[test]
    fn only_cookies_of_ours_are_read() {
        let visitor = draw_visitor().unwrap();
        let read =
            cookies(&format!("a=b; {VISITOR}={visitor}; portcullis-session=pcl_session_x; {SESSION}=pcl_session_y"));
        assert_eq!((read.visitor, read.session.as_deref()), (Some(visitor), Some("pcl_session_y")));
        let read = cookies(&format!("{VISITOR}=short; {SESSION}=other"));
        assert_eq!((read.visitor, read.session), (None, None));
    }

    #[test]
    fn a_ticket_comes_back_as_it_was_given() {
        let line = set_ticket("abc-_", "/orgs/1/keys?search=a+b&c=~;");
        let value = line.split(';').next().unwrap().split_once('=').unwrap().1;
        let read = cookies(&format!("{TICKET}={value}")).ticket.unwrap();
        assert_eq!(ticket(&read), ("abc-_".to_owned(), "/orgs/1/keys?search=a+b&c=~;".to_owned()));
        assert_eq!(ticket("abc"), ("abc".to_owned(), String::new()));
    }

    #[test]
    fn a_token_goes_with_its_cookie_alone() {
        let token = form_token("pcl_session_a");
        assert!(goes_with("pcl_session_a", &token));
        assert!(!goes_with("pcl_session_b", &token));
        assert!(!goes_with("pcl_session_a", ""));
        assert!(!token.contains("pcl_session"));
    }
}
