//! The endpoints of OAuth 2.0 in the document: they stand below no prefix, and their form is that of the RFCs.

use serde_json::{Map, Value, json};

use super::super::oauth::Endpoint;
use super::reference;

/// Method, path and summary of each.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    Endpoint::ALL.into_iter().map(|endpoint| {
        let (method, _, summary) = about(endpoint);
        (method, endpoint.path(), summary)
    })
}

fn about(endpoint: Endpoint) -> (&'static str, &'static str, &'static str) {
    match endpoint {
        Endpoint::Token => {
            ("POST", "createToken", "Exchanges the secret of a service account for a token (RFC 6749 §4.4).")
        }
        Endpoint::Revoke => ("POST", "revokeToken", "Revokes a token of the client that asks (RFC 7009)."),
        Endpoint::Keys => ("GET", "getSigningKeys", "The keys that verify tokens (RFC 7517)."),
        Endpoint::Metadata => ("GET", "getAuthorizationServerMetadata", "Where everything is (RFC 8414)."),
    }
}

/// The paths, at the root of the listener.
pub(super) fn paths() -> Map<String, Value> {
    let item = |endpoint: Endpoint| {
        let (method, id, summary) = about(endpoint);
        let mut described = json!({"operationId": id, "summary": summary, "responses": answers(endpoint)});
        match endpoint {
            Endpoint::Token | Endpoint::Revoke => {
                described["security"] = json!([{"client": []}, {}]);
                described["requestBody"] = form(endpoint);
            }
            Endpoint::Keys | Endpoint::Metadata => described["security"] = json!([]),
        }
        let servers = json!([{"url": "/", "description": "Below no prefix."}]);
        (endpoint.path().to_owned(), json!({"servers": servers, method.to_lowercase(): described}))
    };
    Endpoint::ALL.into_iter().map(item).collect()
}

fn form(endpoint: Endpoint) -> Value {
    let text = json!({"type": "string", "minLength": 1});
    let (required, own) = match endpoint {
        Endpoint::Token => ("grant_type", json!({"const": "client_credentials"})),
        _ => ("token", text.clone()),
    };
    let mut properties = json!({"client_id": text, "client_secret": text});
    properties[required] = own;
    let schema = json!({"type": "object", "required": [required], "properties": properties});
    json!({"required": true, "content": {"application/x-www-form-urlencoded": {"schema": schema}}})
}

fn answers(endpoint: Endpoint) -> Value {
    let object = |properties: Value, required: &[&str]| json!({"application/json": {"schema": {"type": "object", "required": required, "properties": properties}}});
    let (about, content) = match endpoint {
        Endpoint::Token => {
            let token = json!({
                "access_token": {"type": "string"},
                "token_type": {"const": "Bearer"},
                "expires_in": {"type": "integer", "minimum": 1, "maximum": 3600},
            });
            ("A token.", object(token, &["access_token", "token_type", "expires_in"]))
        }
        Endpoint::Revoke => ("It is revoked, or was none of this client.", Value::Null),
        Endpoint::Keys => ("The keys.", object(json!({"keys": {"type": "array"}}), &["keys"])),
        Endpoint::Metadata => {
            let properties = json!({"issuer": {"type": "string"}, "token_endpoint": {"type": "string"}});
            ("The metadata.", object(properties, &["issuer", "token_endpoint"]))
        }
    };
    let mut good = json!({"description": about});
    if !content.is_null() {
        good["content"] = content;
    }
    let mut answers = json!({"200": good});
    if matches!(endpoint, Endpoint::Token | Endpoint::Revoke) {
        for status in [400, 401, 429, 500, 503] {
            answers[status.to_string()] = json!({
                "description": "Refused (RFC 6749 §5.2).",
                "content": {"application/json": {"schema": reference("OAuthRefusal")}},
            });
        }
        for status in [403, 408, 413] {
            answers[status.to_string()] = json!({"$ref": "#/components/responses/Refusal"});
        }
    }
    answers
}

/// A refusal, as RFC 6749 §5.2 has it.
pub(super) fn refusal() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "required": ["error", "error_description", "errorCode"],
        "properties": {"error": text, "error_description": text, "errorCode": text},
    })
}
