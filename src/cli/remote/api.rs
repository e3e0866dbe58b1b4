//! Calls of the admin API: one at a time, all pages of what comes in pages, refusals as faults.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::Fault;
use super::connection::{Connection, SESSION_VARIABLE};
use super::secret::Secret;
use crate::access::id::Id;
use crate::net::fetch::{Answered, Call, FetchFault, Fetcher, Upload};

/// Items of a page; as many as the API gives.
pub(super) const PAGE: u64 = 500;

/// The admin API that was connected to. Has no `Debug`, because of the secret.
pub struct Api {
    connection: Connection,
    fetcher: Fetcher,
}

impl Api {
    pub(in crate::cli) fn new(connection: Connection) -> Result<Self, Fault> {
        let fetcher = Fetcher::new(connection.ca.as_deref());
        let fetcher = fetcher.map_err(|fault| unreachable(&connection.url.to_string(), fault))?;
        Ok(Self { connection, fetcher })
    }

    /// The same, for calls that take long.
    pub(in crate::cli) fn patient(self, deadline: Duration) -> Self {
        Self { fetcher: self.fetcher.within(deadline), ..self }
    }

    /// `METHOD /api/v1PATH`. An answer without a body is `null`.
    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Fault> {
        self.versioned(method, path, body, None).await.map(|(value, _)| value)
    }

    /// The same with the `ETag` that is there, and the one that has to be there still.
    async fn versioned(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        if_match: Option<HeaderValue>,
    ) -> Result<(Value, Option<HeaderValue>), Fault> {
        let content = body.map(|body| ("application/json", Bytes::from(body.to_string())));
        let call = Call { content, if_match, ..self.prepared(method, path)? };
        let answered = self.fetcher.call(call).await;
        self.understood(answered)
    }

    /// The same with a body that is sent as it is made.
    pub(super) async fn upload<I>(&self, path: &str, upload: Upload<I>) -> Result<Value, Fault>
    where
        I: Iterator<Item = std::io::Result<Bytes>> + Unpin + 'static,
    {
        let call = self.prepared(Method::POST, path)?;
        let answered = self.fetcher.upload(call, upload).await;
        self.understood(answered).map(|(value, _)| value)
    }

    fn prepared(&self, method: Method, path: &str) -> Result<Call<'_>, Fault> {
        let url = &self.connection.url;
        let wrong = |_| Fault::Usage(format!("`{path}` is no path of {url}"));
        let uri = format!("{url}/api/v1{path}").parse().map_err(wrong)?;
        let proof = self.connection.secret.as_ref().map(Secret::proof);
        Ok(Call { method, uri, proof, content: None, if_match: None })
    }

    /// Who asks.
    pub(super) fn asker(&self) -> Asker<'_> {
        match &self.connection.secret {
            None => Asker::Stranger,
            Some(Secret::Key(_)) => Asker::Key,
            Some(Secret::Session(_)) => Asker::Person { profile: self.connection.profile.as_deref() },
        }
    }

    fn understood(&self, answered: Result<Answered, FetchFault>) -> Result<(Value, Option<HeaderValue>), Fault> {
        let url = self.connection.url.to_string();
        let Answered { status, body, version } = answered.map_err(|fault| unreachable(&url, fault))?;
        let value = match body.is_empty() {
            true => Some(Value::Null),
            false => serde_json::from_slice(&body).ok(),
        };
        match (status, value) {
            (200..=299, Some(value)) => Ok((value, version)),
            (_, Some(body)) if body["errorCode"].is_string() => Err(refused(status, body, &self.asker())),
            _ => Err(Fault::Stranger { url, status }),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.call(Method::GET, path, None).await
    }

    /// One thing and its version.
    pub(super) async fn get_versioned(&self, path: &str) -> Result<(Value, Option<HeaderValue>), Fault> {
        self.versioned(Method::GET, path, None, None).await
    }

    /// Replaces a thing, where it is of this version still.
    pub(super) async fn put(&self, path: &str, version: Option<HeaderValue>, body: &Value) -> Result<Value, Fault> {
        self.versioned(Method::PUT, path, Some(body), version).await.map(|(value, _)| value)
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// Nothing, or what would come of it.
    pub(super) async fn delete(&self, path: &str) -> Result<Value, Fault> {
        self.call(Method::DELETE, path, None).await
    }

    /// All pages as one, or as many of them as hold `most` items. `query` is there already where it has any.
    pub(super) async fn all(&self, path: &str, query: &str, most: Option<u64>) -> Result<Value, Fault> {
        let size = most.unwrap_or(PAGE).clamp(1, PAGE);
        let address = |number: u64| format!("{path}?itemsPerPage={size}&pageNum={number}{query}");
        let first = self.get(&address(1)).await?;
        self.rest(first, address, most).await
    }

    /// A first page with those that follow it.
    pub(super) async fn rest(
        &self,
        first: Value,
        address: impl Fn(u64) -> String,
        most: Option<u64>,
    ) -> Result<Value, Fault> {
        let mut results = self.results(&first)?;
        let enough = |results: &Vec<Value>| most.is_some_and(|most| results.len() as u64 >= most);
        let mut follows = has_next(&first);
        let mut number = 1;
        while follows && !enough(&results) {
            number += 1;
            let page = self.get(&address(number)).await?;
            follows = has_next(&page);
            results.extend(self.results(&page)?);
        }
        results.truncate(most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX));
        let mut whole = json!({"results": results});
        if let Some(count) = first.get("totalCount") {
            whole["totalCount"] = count.clone();
        }
        Ok(whole)
    }

    /// The organization that is meant: the one that is named, or the profile's, or the only one that the caller sees.
    pub(super) async fn organization(&self, named: Option<Id>) -> Result<Id, Fault> {
        if let Some(id) = named.or(self.connection.organization) {
            return Ok(id);
        }
        let seen = self.get("/orgs?itemsPerPage=2").await?;
        let all = self.results(&seen)?;
        match all.as_slice() {
            [one] => one["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(|| self.stranger()),
            [] => Err(Fault::Usage("the caller sees no organization: it has no role in any".into())),
            _ => Err(Fault::Usage(
                "the caller sees more than one organization; name one by `--org` (`portcullis orgs list`)".into(),
            )),
        }
    }

    /// The address that the API sees this caller with.
    pub(super) async fn current_address(&self) -> Result<String, Fault> {
        let seen = self.get("/ipinfo").await?;
        seen["ipAddress"].as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| self.stranger())
    }

    /// The things on a page. Whatever else answers 200 to everything has none.
    fn results(&self, page: &Value) -> Result<Vec<Value>, Fault> {
        page["results"].as_array().cloned().ok_or_else(|| self.stranger())
    }

    pub(super) fn stranger(&self) -> Fault {
        Fault::Stranger { url: self.connection.url.to_string(), status: 200 }
    }
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(byte);
    let spelled = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(spelled).collect()
}

fn unreachable(url: &str, fault: FetchFault) -> Fault {
    Fault::Unreachable { url: url.to_owned(), source: Box::new(fault) }
}

fn has_next(page: &Value) -> bool {
    page["links"].as_array().is_some_and(|links| links.iter().any(|link| link["rel"] == "next"))
}

/// Who asks, since what to do about a refusal depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker<'a> {
    /// Somebody who is about to sign in.
    Stranger,
    /// A credential.
    Key,
    /// A person; of this profile, or by a variable.
    Person { profile: Option<&'a str> },
}

/// A text of the API with what the command line has in the place of a parameter.
pub(super) fn by_option(text: &str) -> String {
    text.replace("`?force=true`", "`--force`")
}

fn refused(status: u16, body: Value, asker: &Asker<'_>) -> Fault {
    let text = |name: &str| super::shown::plain(body[name].as_str().unwrap_or_default());
    let detail = by_option(&text("detail"));
    let parameters = body["parameters"].as_array().into_iter().flatten();
    let parameters: Vec<String> = parameters.filter_map(Value::as_str).map(super::shown::plain).collect();
    let fields = body["badRequestDetail"]["fields"].as_array().into_iter().flatten();
    let fields =
        fields.filter_map(|one| Some(format!("`{}`: {}", one["field"].as_str()?, one["description"].as_str()?)));
    let fields: Vec<String> = fields.map(|text| by_option(&super::shown::plain(&text))).collect();
    let detail = match (detail, fields.as_slice()) {
        (detail, []) => detail,
        (detail, [first, ..]) if detail.contains(first.as_str()) => detail,
        (detail, fields) => format!("{detail} {}", fields.join("; ")),
    };
    let way_out = way_out(&text("errorCode"), &parameters, asker);
    Fault::Refused { status, code: text("errorCode"), detail, way_out, body }
}

/// What grants a role, or part of it, to whoever asks.
fn granting(role: Option<&str>, asker: &Asker<'_>) -> String {
    let on_project = role.is_some_and(|role| role.starts_with("GROUP_"));
    let role = role.unwrap_or("ROLE");
    match (asker, on_project) {
        (Asker::Person { .. }, true) => format!(
            "somebody who has it on that project, or an owner of the organization, grants it by `portcullis users update \
             ID --role {role}@PROJECT_ID` (with all your other roles); or sign in as such a person"
        ),
        (Asker::Person { .. }, false) => format!(
            "an owner of the organization grants it by `portcullis users update ID --role {role}` (with all your other \
             roles); or sign in as a person who has it"
        ),
        (Asker::Key | Asker::Stranger, true) => format!(
            "somebody who has it on that project, or an owner of the organization, grants it by `portcullis api-keys \
             assign ID --project PROJECT_ID --role {role}`; or call with a key that has it"
        ),
        (Asker::Key | Asker::Stranger, false) => format!(
            "an owner of the organization grants it by `portcullis api-keys update ID --role {role}` (with all its other \
             roles); or call with a key that has it"
        ),
    }
}

/// What to do about a refusal, where the command line knows more than its detail says.
fn way_out(code: &str, parameters: &[String], asker: &Asker<'_>) -> Option<String> {
    let first = parameters.first().map(String::as_str);
    let address = first.unwrap_or("ADDRESS");
    let told = match (code, asker) {
        ("INVALID_CREDENTIALS", Asker::Person { profile: Some(name) }) => format!("`portcullis login --profile {name}`"),
        ("INVALID_CREDENTIALS", Asker::Person { profile: None }) => format!(
            "{SESSION_VARIABLE} holds a session that is over: unset it and sign in by `portcullis login`, or set it anew"
        ),
        ("SIGN_IN_FAILED", Asker::Stranger) => {
            "where the password is lost, an owner removes the person and invites them again (`portcullis invites create`); \
             where no owner can, `portcullis users reset-owner` on the machine that has the store"
                .into()
        }
        ("CREDENTIALS_CANNOT_SIGN_IN", _) => {
            "a key needs no login: `portcullis profiles set NAME` keeps it, and `--key-file` names its file".into()
        }
        ("SESSION_REQUIRED", _) => "sign in by `portcullis login`".into(),
        // Nobody grants themselves anything: that detail names no role.
        ("INSUFFICIENT_ROLE", _) if first.is_some() => granting(first, asker),
        (code, _) => return way_out_for_all(code, parameters, address),
    };
    Some(told)
}

fn way_out_for_all(code: &str, parameters: &[String], address: &str) -> Option<String> {
    let told = match code {
        "CREDENTIALS_REQUIRED" | "INVALID_CREDENTIALS" => {
            "call with a key of this API that is enabled (`--key-file`, PORTCULLIS_API_KEY or `--profile`), or sign in by \
             `portcullis login`"
                .into()
        }
        "IP_ADDRESS_NOT_ON_ACCESS_LIST" | "ORG_REQUIRES_ACCESS_LIST" => format!(
            "call from an address on the key's list, or let an owner add this one: `portcullis access-lists create \
             --api-key ID --ip {address}`"
        ),
        "INSUFFICIENT_ROLE" => "ask another owner of the organization".into(),
        "CHANGE_EXCLUDES_CALLER" | "CHANGE_REMOVES_RESTRICTION" | "CHANGE_EXCLUDES_RECENT_USE" => {
            "`--dry-run` tells whom it would refuse or let in; say `--force` if it is meant, which is recorded".into()
        }
        "APPLY_REFUSED" => "change the file; `--force` passes by guards (CHANGE_…), and that is recorded".into(),
        "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST" => "call with another key, or from another address".into(),
        "CANNOT_DELETE_LAST_OWNER" => {
            "make another owner first: `portcullis invites create EMAIL --role ORG_OWNER`, or `portcullis api-keys create \
             --desc NAME --role ORG_OWNER`"
                .into()
        }
        "CANNOT_DELETE_ORG_ACTIVE_GROUPS" => {
            "`portcullis projects list` shows them, `portcullis projects delete ID` deletes one".into()
        }
        "LISTS_COVER_EVERYTHING" => {
            "`portcullis access-lists replace` narrows a list, `portcullis network-sets update` a set".into()
        }
        "NETWORK_SET_IN_USE" => "`portcullis access-lists delete set:NAME --api-key ID` takes it off a list".into(),
        "NETWORK_SET_NOT_FOUND" => "`portcullis network-sets list` shows those that there are".into(),
        "DIRECTORY_READ_ONLY" => "edit the file that is named; `portcullis check` judges it before it is served".into(),
        "MISSING_ONE_OF_ATTRIBUTES" if parameters.iter().any(|one| one.ends_with("accessList")) => {
            "name its first networks: `--ip`, `--cidr` or `--current-ip`".into()
        }
        "VERSION_MISMATCH" => "look at it again, and repeat the command".into(),
        _ => return None,
    };
    Some(told)
}

#[cfg(test)]
mod tests;
