//! Every reason that a refusal can have besides its code, so that a receipt need not spell it out.
//!
//! A test reads the code of the gate and of the decision, and sees that none is missing here.

use super::record::mark;

/// What is told of a reason that another version has put there.
const UNKNOWN: &str = "its reason is one that this version does not know; the access log has it";

/// The text with this mark.
pub(super) fn find(wanted: u32) -> &'static str {
    REASONS.iter().copied().find(|reason| mark(reason) == wanted).unwrap_or(UNKNOWN)
}

pub(super) const REASONS: &[&str] = &[
    // The client address.
    "a trusted proxy sent something that is not an address",
    "the forwarding header, or an element of it, is empty",
    "every address in the forwarding header is a trusted proxy; set `hops` to say how many there are",
    "the single-valued client address header is repeated or holds a list",
    "the trusted proxy did not send the single-valued client address header",
    "the forwarding header has more hops or bytes than are walked",
    // The claim.
    "a key header stands twice",
    "the Authorization header stands twice",
    "two headers carry different credentials",
    "a key has 16 to 512 characters",
    "a key has visible ASCII characters only, without blanks",
    "what follows `Basic` is not the base64 of a visible ASCII `user:password`",
    "what follows `Bearer` is not a token",
    "the client certificate names two service accounts",
    "the request carries another credential than its client certificate names",
    // Tokens.
    "the token is longer than 16 KiB",
    "the token is not a JWT in compact form",
    "the token's header is broken, or demands extensions that are not known",
    "the token's claims are broken, or `iss`, `sub`, `aud` or `exp` is missing",
    "the token says that it is our own and has not the form of one",
    "the token's issuer is not configured",
    "the token's algorithm is not one that is pinned for its issuer",
    "no keys of the token's issuer are loaded",
    "the keys of the token's issuer were last fetched more than 24 hours ago",
    "the issuer has no key of the token's `kid` that suits its algorithm",
    "the token's signature is not the issuer's",
    "the token is for another audience",
    "the token has expired",
    "the token is not valid yet",
    "not verified: too many failed attempts from this address",
    "the token was revoked",
    "the token's issuer is not for the credential's organization",
    // Digest.
    "Digest is not on",
    "what follows `Digest` is not a list of `name=value`",
    "a parameter of Digest stands twice",
    "Digest with `username*` is not supported; send `username`",
    "Digest with `userhash` is not supported; send `username` as it is",
    "Digest needs username, realm, nonce, uri, response, qop, nc and cnonce",
    "a user name, realm or cnonce of Digest has 1 to 512 characters",
    "the nc of Digest is not 8 hexadecimal digits, or 0",
    "the response of Digest is not 32 or 64 hexadecimal digits",
    "the parameters of Digest are visible ASCII",
    "a quoted parameter of Digest has no end",
    "the Digest algorithm is not on; see `gateway.credentials.digest.algorithms`",
    "the Digest qop is not `auth`, the only one that is offered",
    "the Digest realm is not the gateway's",
    "the Digest nonce is not this gateway's, or of another algorithm, realm or key",
    "the Digest nonce has expired",
    "the Digest uri is not the target of the request, byte for byte",
    "no key with HA1s has this Digest user name; HA1s are made by `portcullis hash --digest`",
    "the key has no HA1 for this Digest algorithm; `portcullis hash --digest` makes it",
    "the Digest response is wrong",
    "the Digest nonce count was used before, or lies too far back",
    "the key has no secret",
    // The credential.
    "no credential has this id",
    "no credential has this secret, token subject or certificate",
    "the credential is disabled",
    "the credential has expired",
    // The data plane.
    "the credential's request rate is spent",
];
