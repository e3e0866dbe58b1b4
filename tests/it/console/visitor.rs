//! A browser as far as the console needs one: it keeps cookies, sends forms with their token, and follows redirects.

use std::collections::BTreeMap;

use crate::admin::office::Office;
use crate::stage::Answer;

/// A password that the console takes.
pub const PASSWORD: &str = "a password of the test 4711";

/// Somebody with a browser.
pub struct Visitor<'o> {
    office: &'o Office,
    pub cookies: BTreeMap<String, String>,
    /// The page that is looked at.
    pub page: String,
}

/// As a form has it.
pub fn encoded(fields: &[(&str, &str)]) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    let text = |text: &str| text.bytes().map(byte).collect::<String>();
    fields.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect::<Vec<_>>().join("&")
}

impl<'o> Visitor<'o> {
    pub fn new(office: &'o Office) -> Self {
        Self { office, cookies: BTreeMap::new(), page: String::new() }
    }

    /// The owner of the office, by an invitation that the office's key sends.
    pub fn owner(office: &'o Office) -> Self {
        Self::with_roles(office, "owner@example.com", r#"["ORG_OWNER"]"#)
    }

    /// Somebody who was invited with these roles, and is signed in.
    pub fn with_roles(office: &'o Office, email: &str, roles: &str) -> Self {
        let invite = office.own("POST", "/invites", &format!(r#"{{"username":"{email}","roles":{roles}}}"#));
        assert_eq!(invite.status, 201, "{}", invite.text());
        let token = invite.json()["token"].as_str().unwrap().to_owned();
        let mut visitor = Self::new(office);
        visitor.look("/invitation");
        let joined = visitor.send("/invitation", &[("token", &token), ("password", PASSWORD), ("again", PASSWORD)]);
        assert_eq!(joined.status, 303, "{}", joined.text());
        visitor
    }

    /// One request with more header lines; cookies are sent and kept.
    pub fn request(&mut self, method: &str, path: &str, body: &str, headers: &str) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/x-www-form-urlencoded\r\n" };
        let answer = self.office.raw("", method, path, body, &format!("{cookies}{kind}{headers}"));
        for (_, line) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            match line.contains("Max-Age=0") {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        answer
    }

    /// Looks at a page, wherever that leads.
    #[track_caller]
    pub fn look(&mut self, path: &str) -> &str {
        let mut answer = self.request("GET", path, "", "");
        while answer.status == 303 {
            let next = answer.header("location").unwrap().to_owned();
            answer = self.request("GET", &next, "", "");
        }
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        self.page = answer.text();
        &self.page
    }

    /// The token of the forms on the page.
    pub fn token(&self) -> String {
        let (_, after) = self.page.split_once("name=\"form\" value=\"").expect("the page has a form");
        after.split('"').next().unwrap().to_owned()
    }

    /// Sends a form with the token of the page.
    pub fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token();
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("form", token.as_str())]).collect();
        self.request("POST", path, &encoded(&fields), "Sec-Fetch-Site: same-origin\r\n")
    }

    /// The same, and looks at what it leads to.
    #[track_caller]
    pub fn done(&mut self, path: &str, fields: &[(&str, &str)]) -> &str {
        let answer = self.send(path, fields);
        assert_eq!(answer.status, 303, "{path}: {}", answer.text());
        let next = answer.header("location").unwrap().to_owned();
        self.look(&next)
    }
}
