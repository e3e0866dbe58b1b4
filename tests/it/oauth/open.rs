//! What a token has opened ends when the token is revoked.

use super::{Account, bearer, through};
use crate::admin::office::{CONFIGURATION, Office};
use crate::revocation::kinds::Kinds;
use crate::stage::Upstream;

#[test]
fn l6_a_revoked_token_ends_what_it_opened_and_nothing_else() {
    let (upstream, connections) = Upstream::by_hand();
    let to = format!("  upstreams: {{ api: {{ endpoints: [\"http://{}\"] }} }}\ndirectory:", upstream.address());
    let office = Office::open_with(&CONFIGURATION.replace("directory:", &to));
    let batch = Account::new(&office, r#"["ORG_READ_ONLY"]"#);
    let (token, another) = (batch.token(&office), batch.token(&office));
    let open = Kinds::open(office.served.gateway(), &connections, &bearer(&token));
    let mut other = Kinds::open(office.served.gateway(), &connections, &bearer(&another));
    batch.revoke(&office, &token);
    open.end_by(401, "INVALID_CREDENTIALS");
    assert_eq!(through(&office, &token).0, 401);
    other.go_on();
    // Its secret is gone: every token that was made from it.
    let path = format!("/serviceAccounts/{}/secrets/{}", batch.id, batch.secret_id);
    assert_eq!(office.own("DELETE", &path, "").status, 204);
    other.end_by(401, "INVALID_CREDENTIALS");
}
