//! Clients of others: Python's authlib and requests-oauthlib get a token and use it, and curl does without either.

use std::process::Command;

use super::{Account, EAGER};
use crate::admin::office::Office;
use crate::programs::{program, succeed};

fn python(office: &Office, account: &Account, script: &str) -> String {
    let mut command = Command::new(program("http-clients-python"));
    // These libraries want https for tokens unless they are told that the machine is their own.
    command.env("OAUTHLIB_INSECURE_TRANSPORT", "1").env("AUTHLIB_INSECURE_TRANSPORT", "1");
    let (admin, gateway) = (format!("http://{}", office.admin()), format!("http://{}/", office.served.gateway()));
    succeed(command.args(["-W", "ignore", "-c", script, &admin, &gateway, &account.id, &account.secret]))
}

#[test]
fn authlib() {
    let office = Office::open_with(EAGER);
    let account = Account::new(&office, "[\"ORG_READ_ONLY\"]");
    let script = "
import sys, requests
from authlib.integrations.requests_client import OAuth2Session
admin, gateway, client, secret = sys.argv[1:]
about = requests.get(admin + '/.well-known/oauth-authorization-server', timeout=10).json()
for method in about['token_endpoint_auth_methods_supported']:
    session = OAuth2Session(client, secret, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method)
    session.fetch_token(about['token_endpoint'], grant_type='client_credentials')
    print(session.get(gateway).status_code, session.get(admin + '/api/atlas/v2/orgs').json()['totalCount'], end=' ')
    print(session.revoke_token(about['revocation_endpoint'], token=session.token['access_token']).status_code, end=' ')
    print(session.get(gateway).status_code)
try:
    OAuth2Session(client, 'wrong').fetch_token(about['token_endpoint'], grant_type='client_credentials')
except Exception as refused:
    print(refused.error)
";
    assert_eq!(python(&office, &account, script), "200 1 200 401\n200 1 200 401\ninvalid_client\n");
}

/// The token is verified by somebody else's library too, with the keys that are published.
#[test]
fn a_token_is_verified_by_others() {
    let office = Office::open_with(EAGER);
    let account = Account::new(&office, "[]");
    let script = "
import sys, requests
from joserfc import jwt
from joserfc.jwk import KeySet
admin, gateway, client, secret = sys.argv[1:]
form = {'grant_type': 'client_credentials', 'client_id': client, 'client_secret': secret}
token = requests.post(admin + '/api/oauth/token', data=form, timeout=10).json()['access_token']
keys = KeySet.import_key_set(requests.get(admin + '/.well-known/jwks.json', timeout=10).json())
found = jwt.decode(token, keys, algorithms=['ES256'])
print(found.claims['sub'] == client, found.claims['iss'] == admin, found.header['typ'])
";
    assert_eq!(python(&office, &account, script), "True True at+jwt\n");
}

#[test]
fn requests_oauthlib() {
    let office = Office::open_with(EAGER);
    let account = Account::new(&office, "[\"ORG_READ_ONLY\"]");
    let script = "
import sys
from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session
admin, gateway, client, secret = sys.argv[1:]
session = OAuth2Session(client=BackendApplicationClient(client_id=client))
session.fetch_token(admin + '/api/oauth/token', auth=HTTPBasicAuth(client, secret))
print(session.get(gateway).status_code, session.get(admin + '/api/v1/orgs').json()['totalCount'])
session.fetch_token(admin + '/api/oauth/token', client_secret=secret, include_client_id=True)
print(session.get(gateway).status_code)
";
    assert_eq!(python(&office, &account, script), "200 1\n200\n");
}

#[test]
fn curl() {
    let office = Office::open_with(EAGER);
    let account = Account::new(&office, "[]");
    let url = format!("http://{}/api/oauth/token", office.admin());
    let mut command = Command::new(program("curl"));
    command.args(["-sS", "--max-time", "10", "--user", &format!("{}:{}", account.id, account.secret)]);
    let told: serde_json::Value =
        serde_json::from_str(&succeed(command.args(["-d", "grant_type=client_credentials", &url]))).unwrap();
    let token = told["access_token"].as_str().unwrap();
    let mut command = Command::new(program("curl"));
    command.args(["-sS", "--max-time", "10", "--oauth2-bearer", token, "-o", "/dev/null", "-w", "%{http_code}"]);
    assert_eq!(succeed(command.arg(format!("http://{}/", office.served.gateway()))), "200");
}
