//! Tests of `cli::hash`.

use super::*;

const KEY: &str = "mcpvrzod.40395d07-a353-4881-853b-43efa41339a1";

fn args(batch: bool, digest: Option<&str>, weak: bool, output: Output) -> HashArgs {
    HashArgs { batch, digest: digest.map(str::to_owned), weak, output }
}

#[test]
fn one_key_is_one_line() {
    let one = hash(&args(false, None, false, Output::Text), format!("{KEY}\n").as_bytes()).unwrap();
    assert_eq!(one.trim(), hex(&fingerprint::of_key(KEY.as_bytes()).0));
    assert_eq!(one, hash(&args(false, None, false, Output::Text), format!("{KEY}\r\n").as_bytes()).unwrap());
}

#[test]
fn a_batch_is_a_line_each() {
    let other = "9f86d081884c7d659a2feaa0c55ad015";
    let text = hash(&args(true, None, false, Output::Text), format!("{KEY}\n\n{other}").as_bytes()).unwrap();
    assert_eq!(text.lines().count(), 2);
    let json = hash(&args(true, None, false, Output::Json), format!("{KEY}\n{other}").as_bytes()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json[0]["public_key"].as_str(), json[1].get("public_key")), (Some("mcpvrzod"), None));
}

#[test]
fn digest_gives_the_ha1s_of_rfc_7616() {
    let json = hash(&args(false, Some("Portcullis"), false, Output::Json), KEY.as_bytes()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["digest"]["realm"], "Portcullis");
    // printf 'mcpvrzod:Portcullis:40395d07-…' | sha256sum, md5sum
    assert_eq!(json["digest"]["sha256"], "a0c3bcabf1bc4e97fe182e78cfcf11787e939cf3115bcd857aba6fc16b001615");
    assert_eq!(json["digest"]["md5"], "dbe471c4a1ae38ee94671f78baed6163");
}

#[test]
fn faults_never_repeat_the_key() {
    let cases = [
        ("", args(false, None, false, Output::Text), "no key"),
        ("short", args(false, None, true, Output::Text), "16 to 512"),
        ("has a blank in the middle", args(false, None, true, Output::Text), "16 to 512"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", args(false, None, false, Output::Text), "--weak"),
        ("9f86d081884c7d659a2feaa0c55ad015\nsecond", args(false, None, false, Output::Text), "--batch"),
        ("9f86d081884c7d659a2feaa0c55ad015", args(false, Some("P"), false, Output::Text), "publicKey.privateKey"),
        (&KEY.replace('.', ":"), args(false, None, false, Output::Text), "form of HTTP Basic"),
        (KEY, args(false, Some("a:b"), false, Output::Text), "realm"),
    ];
    for (input, args, part) in cases {
        let fault = format!("{:#}", hash(&args, input.as_bytes()).err().unwrap());
        assert!(fault.contains(part), "{fault}");
        assert!(input.is_empty() || !fault.contains(input.lines().next().unwrap()), "{fault}");
    }
    assert!(hash(&args(false, None, true, Output::Text), "aaaaaaaaaaaaaaaaaaaaaaaa".as_bytes()).is_ok());
}
