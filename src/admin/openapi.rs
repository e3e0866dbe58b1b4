//! The OpenAPI 3.1 document, made from the table of operations and the types that they take and answer.

use std::fmt::Write as _;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::call::NDJSON;
use super::dto::Rehearsal;
use super::operation::{EVERYWHERE, Kind, Operation, PAGED, Parameter, all, by_path};

mod links;
mod oauth;

/// The document. The servers are the three prefixes; every path is below each of them.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    let every: Vec<&Operation> = all().collect();
    for (path, operations) in by_path() {
        let mut item = Map::new();
        let names: Vec<Value> = path_names(path).map(path_parameter).collect();
        if !names.is_empty() {
            item.insert("parameters".into(), Value::Array(names));
        }
        for operation in operations {
            item.insert(operation.method.as_str().into(), described(operation, &every, &mut generator));
        }
        paths.insert(path.into(), Value::Object(item));
    }
    paths.extend(oauth::paths());
    let mut schemas = generator.take_definitions(true);
    schemas.insert("OAuthRefusal".into(), oauth::refusal());
    schemas.insert("Refusal".into(), refusal());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Manages who may call the gateway, and from where. A change that was answered is enforced.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [
            { "url": "/api/v1" },
            { "url": "/api/public/v1.0", "description": "For clients of Cloud Manager; guards as it does." },
            { "url": "/api/atlas/v2", "description": "For clients of Atlas; guards as it does." },
        ],
        "security": [{ "basic": [] }, { "header": [] }, { "bearer": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic", "description": "Public key and private key." },
                "header": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "`publicKey.privateKey`" },
                "bearer": { "type": "http", "scheme": "bearer", "description": "A token of `/api/oauth/token`, or of a configured issuer." },
                "client": { "type": "http", "scheme": "basic", "description": "`clientId` and a secret of a service account, each form-encoded (RFC 6749 §2.3.1); or both in the form." },
                "session": { "type": "http", "scheme": "bearer", "description": "`pcl_session_…`, as signing in answers it." },
            },
            "responses": {
                "Refusal": {
                    "description": "Refused; `errorCode` says why.",
                    "content": { "application/json": { "schema": enveloped(&reference("Refusal")) } },
                },
            },
        },
    })
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// An answer bare, or in the envelope that `envelope=true` asks for.
fn enveloped(content: &Value) -> Value {
    let envelope = json!({
        "type": "object",
        "required": ["status", "content"],
        "properties": {"status": {"type": "integer"}, "content": content},
        "additionalProperties": false,
    });
    json!({"anyOf": [content, envelope]})
}

fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> Value {
    let schema = match name {
        "entry" => json!({
            "type": "string", "minLength": 2, "maxLength": 70, "pattern": "^([0-9a-fA-F.:]+((/|%2F)[0-9]{1,3})?|set:.{1,64})$",
            "examples": ["203.0.113.9", "203.0.113.0/24", "set:office"],
        }),
        "clientId" => json!({"type": "string", "pattern": "^pcl_sa_id_[0-9a-fA-F]{24}$"}),
        "setName" => json!({"type": "string", "minLength": 1, "maxLength": 64, "examples": ["office"]}),
        _ => json!({"type": "string", "pattern": "^[0-9a-fA-F]{24}$"}),
    };
    let about = match name {
        "entry" => "The address or network exactly as it is shown; a `/` goes as `%2F`.",
        "clientId" => "As `clientId` is shown.",
        _ => "24 hexadecimal characters.",
    };
    json!({"name": name, "in": "path", "required": true, "description": about, "schema": schema})
}

fn query_parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Number { least, most } => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Time => json!({"type": "string", "format": "date-time"}),
        Kind::OneOf(names) => json!({"type": "string", "enum": names}),
        Kind::Text => json!({"type": "string", "maxLength": 200}),
    };
    json!({"name": parameter.name, "in": "query", "description": parameter.about, "schema": schema})
}

fn described(operation: &Operation, every: &[&Operation], generator: &mut SchemaGenerator) -> Value {
    let query: Vec<Value> = EVERYWHERE.iter().chain(operation.query).map(query_parameter).collect();
    let foreseen =
        operation.is_foreseen().then(|| Value::from(generator.subschema_for::<Rehearsal>())).map(|one| enveloped(&one));
    let mut answer = json!({"description": operation.summary});
    if let Some(schema) = operation.answer {
        let schema = schema(generator);
        let is_page = operation.query.iter().any(|one| one.name == PAGED[0].name);
        // A page wears its envelope inside.
        let schema = if is_page { page_of(schema.into()) } else { enveloped(&schema.into()) };
        let schema = match &foreseen {
            Some(foreseen) if operation.status == 200 => json!({"anyOf": [schema, foreseen]}),
            _ => schema,
        };
        answer["content"] = json!({"application/json": {"schema": schema}});
    }
    let links = links::from(operation, every);
    if !links.is_empty() {
        answer["links"] = Value::Object(links);
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": query,
        "responses": { operation.status.to_string(): answer },
    });
    if operation.status == 204 {
        let nothing = json!({"type": "object", "required": ["status", "content"], "additionalProperties": false,
            "properties": {"status": {"const": 204}, "content": {"type": "null"}}});
        let (about, schema) = match foreseen {
            None => ("The same, where `envelope=true` asked for a body.", nothing),
            Some(foreseen) => (
                "The same, where `envelope=true` asked for a body; or what would come of it, where `dryRun=true` asked for that.",
                json!({"anyOf": [nothing, foreseen]}),
            ),
        };
        described["responses"]["200"] =
            json!({"description": about, "content": {"application/json": {"schema": schema}}});
    }
    let mut statuses = vec![400, 401, 403, 404, 408, 409, 412, 413, 415, 500, 503];
    if operation.body.is_none() {
        statuses.retain(|status| *status != 415);
    }
    for status in statuses {
        described["responses"][status.to_string()] = json!({"$ref": "#/components/responses/Refusal"});
    }
    if operation.is_for_strangers() {
        described["security"] = json!([]);
    }
    described["responses"]["429"] = json!({"$ref": "#/components/responses/Refusal"});
    if operation.is_bulk() {
        described["responses"]["408"] = json!({"$ref": "#/components/responses/Refusal"});
    }
    if let Some(schema) = operation.body {
        let media_type = if operation.is_bulk() { NDJSON } else { "application/json" };
        described["requestBody"] = json!({
            "required": true,
            "content": {media_type: {"schema": schema(generator)}},
        });
    }
    described
}

fn page_of(results: Value) -> Value {
    json!({
        "type": "object",
        "required": ["links", "results"],
        "properties": {
            "links": {"type": "array", "items": {"$ref": "#/components/schemas/Link"}},
            "results": results,
            "totalCount": {"type": "integer", "minimum": 0},
            "status": {"type": "integer", "description": "There where `envelope=true` asked for it."},
        },
    })
}

fn refusal() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "description": "A refusal: a superset of RFC 9457 and of Cloud Manager's form.",
        "required": ["status", "detail", "error", "errorCode", "parameters", "reason"],
        "properties": {
            "type": text, "title": text, "status": {"type": "integer"}, "detail": text,
            "error": {"type": "integer"}, "errorCode": text,
            "parameters": {"type": "array", "items": text}, "reason": text, "requestId": text,
            "badRequestDetail": {
                "type": "object",
                "properties": {"fields": {"type": "array", "items": {
                    "type": "object", "properties": {"field": text, "description": text},
                }}},
            },
        },
    })
}

/// The operations as a page for people.
pub(super) fn page() -> String {
    let mut page = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Portcullis admin API</title><style>\
         :root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
         code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}section{border-top:1px solid #8884;padding:.5rem 0}\
         h2{font-size:1rem;margin:.3rem 0}b{display:inline-block;min-width:4.5em}dl{margin:.3rem 0 .3rem 1rem}dt{font-family:ui-monospace,monospace}\
         dd{margin-left:1.5rem}</style><h1>Admin API</h1><p>Below <code>/api/v1</code>, and for existing clients below \
         <code>/api/public/v1.0</code> and <code>/api/atlas/v2</code>. For programs: <a href=/api/v1/openapi.json>openapi.json</a>.",
    );
    for operation in all() {
        // Writing into a String never fails. Nothing in the table needs escaping, which a test shows.
        let _ = write!(
            page,
            "<section id={}><h2><b>{}</b> <code>{}</code></h2><p>{}</p><dl>",
            operation.id,
            operation.method.as_str().to_uppercase(),
            operation.path,
            operation.summary
        );
        for parameter in operation.query {
            let _ = write!(page, "<dt>?{}</dt><dd>{}</dd>", parameter.name, parameter.about);
        }
        page.push_str("</dl></section>");
    }
    for (method, path, summary) in oauth::all() {
        let _ = write!(
            page,
            "<section><h2><b>{method}</b> <code>{path}</code></h2><p>{summary} Below no prefix.</section>"
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere_and_ids_are_unique() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let mut ids: Vec<&str> = all().map(|operation| operation.id).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn links_lead_ids_from_answers_into_paths() {
        let document = document();
        let link = |path: &str, method: &str, status: &str, to: &str| {
            document["paths"][path][method]["responses"][status]["links"][to]["parameters"].clone()
        };
        let made = link("/orgs/{orgId}/apiKeys", "post", "200", "deleteApiKey");
        assert_eq!(made, json!({"orgId": "$request.path.orgId", "apiUserId": "$response.body#/id"}));
        let listed = link("/orgs/{orgId}/apiKeys/{apiUserId}/accessList", "get", "200", "getAccessListEntry");
        assert_eq!(listed["entry"], "$response.body#/results/0/cidrBlock");
        let text = document.to_string();
        let ids: Vec<&str> =
            text.split("\"operationId\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(ids.len() > 3 * all().count(), "{}", ids.len());
        let of_oauth = ["createToken", "revokeToken", "getSigningKeys", "getAuthorizationServerMetadata"];
        let known = |id: &str| of_oauth.contains(&id) || all().any(|one| one.id == id);
        assert!(ids.iter().all(|id| known(id)), "{ids:?}");
    }

    #[test]
    fn the_page_needs_no_escaping() {
        let texts = all()
            .flat_map(|one| [one.id, one.path, one.summary].into_iter().chain(one.query.iter().map(|one| one.about)));
        for text in texts {
            assert!(!text.contains(['<', '>', '&']), "{text}");
        }
    }
}
