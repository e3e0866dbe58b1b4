//! The closed set of error codes and the one body that every refusal has (decision.md §2).
//!
//! The same code stands in the answer, the log line and the metric. Never carries a secret, nor anything that the caller did
//! not send or is not entitled to know.

use crate::access::client_address::ClientAddress;
use crate::access::decision::Reason;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $title:literal;)*) => {
        /// An error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of their declaration: `code as usize` is its position here.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The `errorCode`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The HTTP status that it comes with.
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }

            /// The reason phrase of the status.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }
        }
    };
}

codes! {
    /// The request's head is not HTTP as it should be.
    MalformedRequest = "MALFORMED_REQUEST", 400, "Bad Request";
    /// A credential header that does not parse.
    MalformedCredentials = "MALFORMED_CREDENTIALS", 400, "Bad Request";
    /// More than one credential.
    AmbiguousCredentials = "AMBIGUOUS_CREDENTIALS", 400, "Bad Request";
    /// Two readings of the path select different routes.
    AmbiguousPath = "AMBIGUOUS_PATH", 400, "Bad Request";
    /// None presented.
    CredentialsRequired = "CREDENTIALS_REQUIRED", 401, "Unauthorized";
    /// Unknown, wrong, disabled, expired or revoked.
    InvalidCredentials = "INVALID_CREDENTIALS", 401, "Unauthorized";
    /// The address is not on the credential's list.
    IpAddressNotOnAccessList = "IP_ADDRESS_NOT_ON_ACCESS_LIST", 403, "Forbidden";
    /// The organization requires lists and the credential has none.
    OrgRequiresAccessList = "ORG_REQUIRES_ACCESS_LIST", 403, "Forbidden";
    /// The route requires lists and the credential has none.
    ResourceRequiresAccessList = "RESOURCE_REQUIRES_ACCESS_LIST", 403, "Forbidden";
    /// The route is for other organizations.
    OrgNotAllowedOnRoute = "ORG_NOT_ALLOWED_ON_ROUTE", 403, "Forbidden";
    /// The credential's roles do not reach so far.
    InsufficientRole = "INSUFFICIENT_ROLE", 403, "Forbidden";
    /// No client address could be derived.
    ClientAddressUnresolved = "CLIENT_ADDRESS_UNRESOLVED", 403, "Forbidden";
    /// No route.
    RouteNotFound = "ROUTE_NOT_FOUND", 404, "Not Found";
    /// The client was too slow with its request.
    RequestTimeout = "REQUEST_TIMEOUT", 408, "Request Timeout";
    /// The request body is over the limit.
    ContentTooLarge = "CONTENT_TOO_LARGE", 413, "Content Too Large";
    /// The request's target is over the limit.
    UriTooLong = "URI_TOO_LONG", 414, "URI Too Long";
    /// The client was let in for another name than the request's host.
    MisdirectedRequest = "MISDIRECTED_REQUEST", 421, "Misdirected Request";
    /// Too many requests, or too many failed attempts.
    RateLimited = "RATE_LIMITED", 429, "Too Many Requests";
    /// The request head is over the limit.
    HeadersTooLarge = "HEADERS_TOO_LARGE", 431, "Request Header Fields Too Large";
    /// A fault of the gateway itself.
    InternalError = "INTERNAL_ERROR", 500, "Internal Server Error";
    /// The gateway has as many requests under way as it may.
    GatewayOverloaded = "GATEWAY_OVERLOADED", 503, "Service Unavailable";
    /// No endpoint of the upstream took a connection.
    UpstreamUnreachable = "UPSTREAM_UNREACHABLE", 502, "Bad Gateway";
    /// The upstream's answer is not HTTP as it should be, or ended early.
    UpstreamProtocolError = "UPSTREAM_PROTOCOL_ERROR", 502, "Bad Gateway";
    /// The upstream is given nothing more to do: its line is full, or all its endpoints are out.
    UpstreamOverloaded = "UPSTREAM_OVERLOADED", 503, "Service Unavailable";
    /// No snapshot yet.
    NotReady = "NOT_READY", 503, "Service Unavailable";
    /// The upstream was too slow.
    UpstreamTimeout = "UPSTREAM_TIMEOUT", 504, "Gateway Timeout";

    // From here on: the admin API alone.

    /// The body is no JSON, or not of the shape that is expected.
    InvalidJson = "INVALID_JSON", 400, "Bad Request";
    /// An attribute has a value that it can't have.
    InvalidAttribute = "INVALID_ATTRIBUTE", 400, "Bad Request";
    /// An attribute that nobody knows here.
    UnknownAttribute = "UNKNOWN_ATTRIBUTE", 400, "Bad Request";
    /// A browser sends it on behalf of another site's page.
    CrossSiteRequest = "CROSS_SITE_REQUEST", 403, "Forbidden";
    /// A credential tries to be a person.
    CredentialsCannotSignIn = "CREDENTIALS_CANNOT_SIGN_IN", 403, "Forbidden";
    /// An email address and a password that do not belong together.
    SignInFailed = "SIGN_IN_FAILED", 401, "Unauthorized";
    /// The provider of single sign-on can't be asked.
    SignOnUnavailable = "SIGN_ON_UNAVAILABLE", 503, "Service Unavailable";
    /// A token of an invitation that is unknown, used or lapsed.
    InviteTokenInvalid = "INVITE_TOKEN_INVALID", 401, "Unauthorized";
    /// Only a session can do it.
    SessionRequired = "SESSION_REQUIRED", 403, "Forbidden";
    /// No such user.
    UserNotFound = "USER_NOT_FOUND", 404, "Not Found";
    /// No such invitation.
    InviteNotFound = "INVITE_NOT_FOUND", 404, "Not Found";
    /// None of several attributes, of which one is needed.
    MissingOneOfAttributes = "MISSING_ONE_OF_ATTRIBUTES", 400, "Bad Request";
    /// A query parameter that is unknown or has a value that it can't have.
    InvalidQueryParameter = "INVALID_QUERY_PARAMETER", 400, "Bad Request";
    /// A part of the path that is no id, address or network.
    PathParamParseError = "PATH_PARAM_PARSE_ERROR", 400, "Bad Request";
    /// One network twice in one request.
    DuplicateAddressesInInput = "DUPLICATE_ADDRESSES_IN_INPUT", 400, "Bad Request";
    /// An entry with an address and a network.
    BadAccessListAddRequest = "BAD_ACCESS_LIST_ADD_REQUEST", 400, "Bad Request";
    /// An entry that the list can't take.
    CannotAddIpAddress = "CANNOT_ADD_IP_ADDRESS_TO_API_KEY_ACCESS_LIST", 400, "Bad Request";
    /// A credential would shut itself out by taking an entry from its own list.
    CannotRemoveCaller = "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST", 400, "Bad Request";
    /// Nothing is at this path.
    ResourceNotFound = "RESOURCE_NOT_FOUND", 404, "Not Found";
    /// No such organization, or none that the caller may know of.
    OrgNotFound = "ORG_NOT_FOUND", 404, "Not Found";
    /// No such project, or none that the caller may know of.
    GroupNotFound = "GROUP_NOT_FOUND", 404, "Not Found";
    /// No such API key.
    ApiKeyNotFound = "API_KEY_NOT_FOUND", 404, "Not Found";
    /// No such service account.
    ServiceAccountNotFound = "SERVICE_ACCOUNT_NOT_FOUND", 404, "Not Found";
    /// No such entry.
    AccessListEntryNotFound = "API_KEY_ACCESS_LIST_NOT_FOUND", 404, "Not Found";
    /// No such network set of the organization.
    NetworkSetNotFound = "NETWORK_SET_NOT_FOUND", 404, "Not Found";
    /// No such secret of the credential.
    SecretNotFound = "SECRET_NOT_FOUND", 404, "Not Found";
    /// No such event.
    EventNotFound = "EVENT_NOT_FOUND", 404, "Not Found";
    /// What is at this path does not know the method.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", 405, "Method Not Allowed";
    /// Something of this name, or this very thing, is there already.
    AlreadyExists = "ALREADY_EXISTS", 409, "Conflict";
    /// Lines of an import that are at fault, or do not go together with what is there.
    ImportRefused = "IMPORT_REFUSED", 409, "Conflict";
    /// There are as many as are allowed.
    LimitReached = "LIMIT_REACHED", 409, "Conflict";
    /// An organization that still has projects.
    CannotDeleteOrgActiveGroups = "CANNOT_DELETE_ORG_ACTIVE_GROUPS", 409, "Conflict";
    /// Nobody could manage the organization any more.
    CannotDeleteLastOwner = "CANNOT_DELETE_LAST_OWNER", 409, "Conflict";
    /// The directory comes from elsewhere and is not changed here.
    DirectoryReadOnly = "DIRECTORY_READ_ONLY", 409, "Conflict";
    /// The calling credential would shut itself out.
    ChangeExcludesCaller = "CHANGE_EXCLUDES_CALLER", 409, "Conflict";
    /// A credential would be refused from where it has just been used.
    ChangeExcludesRecentUse = "CHANGE_EXCLUDES_RECENT_USE", 409, "Conflict";
    /// A list would become empty, which means "from anywhere".
    ChangeRemovesRestriction = "CHANGE_REMOVES_RESTRICTION", 409, "Conflict";
    /// Lists cover everything, which the switch rules out.
    ListsCoverEverything = "LISTS_COVER_EVERYTHING", 409, "Conflict";
    /// The entry is there already, and the caller asked to be told.
    AddressAlreadyInAccessList = "ADDRESS_ALREADY_IN_ACCESS_LIST", 409, "Conflict";
    /// Steps by which a directory would be applied.
    ApplyRefused = "APPLY_REFUSED", 409, "Conflict";
    /// A network set that access lists refer to.
    NetworkSetInUse = "NETWORK_SET_IN_USE", 409, "Conflict";
    /// Somebody changed it since the caller read it.
    VersionMismatch = "VERSION_MISMATCH", 412, "Precondition Failed";
    /// The body is of another media type.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", 415, "Unsupported Media Type";
    /// The store can't take changes now.
    StoreUnavailable = "STORE_UNAVAILABLE", 503, "Service Unavailable";
}

impl Code {
    /// Whether the admin API alone answers with it.
    pub const fn is_administrative(self) -> bool {
        self as usize > Self::UpstreamTimeout as usize
    }
}

impl From<Reason> for Code {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::ClientAddressUnresolved(_) => Self::ClientAddressUnresolved,
            Reason::CredentialsRequired => Self::CredentialsRequired,
            Reason::MalformedCredentials(_) => Self::MalformedCredentials,
            Reason::AmbiguousCredentials(_) => Self::AmbiguousCredentials,
            Reason::InvalidCredentials(_) | Reason::StaleNonce(_) => Self::InvalidCredentials,
            Reason::IpAddressNotOnAccessList => Self::IpAddressNotOnAccessList,
            Reason::OrgRequiresAccessList => Self::OrgRequiresAccessList,
            Reason::ResourceRequiresAccessList => Self::ResourceRequiresAccessList,
            Reason::OrgNotAllowedOnRoute => Self::OrgNotAllowedOnRoute,
            Reason::InsufficientRole => Self::InsufficientRole,
            Reason::AmbiguousPath => Self::AmbiguousPath,
            Reason::RouteNotFound => Self::RouteNotFound,
        }
    }
}

/// What the `type` of a refusal begins with. A name and no address: `.invalid` never resolves (RFC 2606), so that nobody can
/// publish anything under it.
pub const DOCUMENTATION: &str = "https://portcullis.invalid/errors/";

impl Code {
    /// What the caller is told in words.
    pub fn detail(self, client: Option<ClientAddress>) -> String {
        let address = || client.map_or_else(|| "of this request".to_owned(), |client| client.to_string());
        match self {
            Self::MalformedRequest => "The request is not well-formed HTTP, or contradicts itself.".into(),
            Self::MalformedCredentials => "The credential in this request is not well-formed.".into(),
            Self::AmbiguousCredentials => "The request carries more than one credential; send exactly one.".into(),
            Self::AmbiguousPath => "The path can be read in more than one way; send it in its normalised form.".into(),
            Self::CredentialsRequired => "This resource needs a credential and the request has none.".into(),
            Self::InvalidCredentials => "The credential is not valid.".into(),
            Self::IpAddressNotOnAccessList => {
                format!("IP address {} is not allowed to access this resource.", address())
            }
            Self::OrgRequiresAccessList => format!(
                "The organization requires an access list and this credential has none; IP address {} is not allowed.",
                address()
            ),
            Self::ResourceRequiresAccessList => {
                "This resource requires an access list and this credential has none.".into()
            }
            Self::OrgNotAllowedOnRoute => "The credential's organization may not use this resource.".into(),
            Self::InsufficientRole => "The credential's roles do not allow this.".into(),
            Self::ClientAddressUnresolved => "The address of the client could not be determined.".into(),
            Self::RouteNotFound => "There is nothing at this host and path.".into(),
            Self::RequestTimeout => "The request did not arrive in time.".into(),
            Self::ContentTooLarge => "The request body is larger than is allowed.".into(),
            Self::UriTooLong => "The request target is longer than is allowed.".into(),
            Self::MisdirectedRequest => "This connection was made for another host.".into(),
            Self::RateLimited => "There were too many requests; try again after the time that Retry-After says.".into(),
            Self::GatewayOverloaded => "The gateway takes no more requests now.".into(),
            Self::HeadersTooLarge => "The request head is larger than is allowed.".into(),
            Self::InternalError => "The gateway failed to handle this request.".into(),
            Self::UpstreamUnreachable => "The service behind the gateway can't be reached.".into(),
            Self::UpstreamProtocolError => "The service behind the gateway gave no valid answer.".into(),
            Self::UpstreamOverloaded => "The service behind the gateway takes no more requests now.".into(),
            Self::NotReady => "The gateway has no directory yet.".into(),
            Self::UpstreamTimeout => "The service behind the gateway did not answer in time.".into(),
            // The admin API always says more; see `Refusal`.
            code => format!("{}.", code.title()),
        }
    }

    /// Whether `parameters` names the client address, as clients of Cloud Manager expect.
    fn names_client(self) -> bool {
        matches!(self, Self::IpAddressNotOnAccessList | Self::OrgRequiresAccessList)
    }
}

/// The JSON body of a refusal: a superset of Cloud Manager's and of RFC 9457.
pub fn body(code: Code, client: Option<ClientAddress>, request_id: &str) -> Vec<u8> {
    let parameters: Vec<String> = match code.names_client() {
        true => client.iter().map(ToString::to_string).collect(),
        false => Vec::new(),
    };
    shape(code, &code.detail(client), &parameters, request_id).to_string().into_bytes()
}

fn shape(code: Code, detail: &str, parameters: &[String], request_id: &str) -> serde_json::Value {
    serde_json::json!({
        "type": format!("{DOCUMENTATION}{}", code.as_str()),
        "title": code.title(),
        "status": code.status(),
        "detail": detail,
        "error": code.status(),
        "errorCode": code.as_str(),
        "parameters": parameters,
        "reason": code.title(),
        "requestId": request_id,
    })
}

/// A refusal of the admin API: a code, with what exactly is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// For the caller.
    pub detail: String,
    /// Values that a program may want: an id, an address, the name of a field.
    pub parameters: Vec<String>,
    /// The fields of the body that are at fault, each with what is wrong.
    pub fields: Vec<(String, String)>,
    /// What a 401 asks for: one value of `WWW-Authenticate` each.
    pub challenges: Vec<String>,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
}

impl Refusal {
    /// A refusal that says no more.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (parameters, fields, challenges) = (Vec::new(), Vec::new(), Vec::new());
        Self { code, detail: detail.into(), parameters, fields, challenges, retry_after: None }
    }

    /// With a value that a program may want.
    pub fn with(mut self, parameter: impl ToString) -> Self {
        self.parameters.push(parameter.to_string());
        self
    }

    /// One field of a body that is at fault.
    pub fn field(code: Code, field: impl Into<String>, wrong: impl Into<String>) -> Self {
        let (field, wrong) = (field.into(), wrong.into());
        let refusal = Self::new(code, format!("`{field}`: {wrong}")).with(&field);
        Self { fields: vec![(field, wrong)], ..refusal }
    }

    /// The JSON body.
    pub fn body(&self, request_id: &str) -> serde_json::Value {
        let mut body = shape(self.code, &self.detail, &self.parameters, request_id);
        if !self.fields.is_empty() {
            let field = |(field, wrong): &(String, String)| serde_json::json!({"field": field, "description": wrong});
            let fields: Vec<_> = self.fields.iter().map(field).collect();
            body["badRequestDetail"] = serde_json::json!({ "fields": fields });
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_positions_agree() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(Code::ALL.iter().enumerate().all(|(at, code)| *code as usize == at));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }

    #[test]
    fn the_body_has_both_shapes() {
        let client = ClientAddress::new("203.0.113.9".parse().unwrap());
        let body: serde_json::Value =
            serde_json::from_slice(&body(Code::IpAddressNotOnAccessList, Some(client), "r1")).unwrap();
        assert_eq!(body["status"], 403);
        assert_eq!(body["error"], 403);
        assert_eq!(body["errorCode"], "IP_ADDRESS_NOT_ON_ACCESS_LIST");
        assert_eq!(body["detail"], "IP address 203.0.113.9 is not allowed to access this resource.");
        assert_eq!(body["parameters"], serde_json::json!(["203.0.113.9"]));
        assert_eq!(body["reason"], "Forbidden");
        assert_eq!(body["requestId"], "r1");
        assert!(body["type"].as_str().unwrap().ends_with("/errors/IP_ADDRESS_NOT_ON_ACCESS_LIST"));
    }

    #[test]
    fn only_the_list_codes_name_the_client() {
        let client = ClientAddress::new("203.0.113.9".parse().unwrap());
        for code in Code::ALL {
            let text = String::from_utf8(body(*code, Some(client), "r")).unwrap();
            assert_eq!(text.contains("203.0.113.9"), code.names_client(), "{}", code.as_str());
        }
    }
}
