//! How hard a key is to guess, estimated from the key alone.
//!
//! An estimate from above: it finds keys that are plainly weak (short, few different characters, repetitions,
//! sequences), not words or dates. A key that was made at random is never far below its true strength.

/// Whether a key is strong enough. `publicKey.UUIDv4`, as Portcullis makes them, counts as strong unless its UUID is
/// plainly made by hand; its 122 random bits are what the format holds.
pub(super) fn suffices(key: &str, least_bits: f64) -> bool {
    match key.rsplit_once('.').map_or(key, |(_, private)| private) {
        private if is_uuid_v4(private) => {
            let digits: String = private.chars().filter(|one| *one != '-').collect();
            bits(&digits) >= 96.0
        }
        _ => bits(key) >= least_bits,
    }
}

/// Estimated bits: characters that continue a run, a sequence or a repetition count nothing, the others as much as the
/// smallest alphabet that holds them all, or less where they are few different ones.
fn bits(key: &str) -> f64 {
    let bytes = key.as_bytes();
    let fresh: Vec<u8> = (0..bytes.len()).filter(|at| !is_predictable(bytes, *at)).map(|at| bytes[at]).collect();
    let mut counts = [0_u32; 256];
    fresh.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let different = counts.iter().filter(|count| **count > 0).count();
    let per_character = alphabet(&fresh).log2();
    // A random text of n characters from an alphabet of a shows about a·(1 − (1 − 1/a)ⁿ) different ones; a text that shows
    // far fewer was not drawn from that alphabet.
    let size = alphabet(&fresh);
    let length = as_number(fresh.len());
    let expected = size * (1.0 - (1.0 - 1.0 / size).powf(length));
    let share = as_number(different) / expected.max(1.0);
    let drawn_from = if share >= 0.6 { per_character } else { as_number(different.max(1)).log2() };
    length * drawn_from
}

/// The third of a run (`aaa`) or sequence (`abc`, `321`) or the repetition of what stood a few characters before.
fn is_predictable(bytes: &[u8], at: usize) -> bool {
    let step = |at: usize| i16::from(bytes[at]) - i16::from(bytes[at - 1]);
    let sequence = at >= 2 && step(at) == step(at - 1) && step(at).abs() <= 1;
    // Four characters in a row that were there before.
    let repeated = at >= 7 && bytes[..at - 3].windows(4).any(|before| before == &bytes[at - 3..=at]);
    sequence || repeated
}

fn alphabet(bytes: &[u8]) -> f64 {
    let any = |is: fn(&u8) -> bool| bytes.iter().any(is);
    let hex = |upper: bool| {
        bytes.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_hexdigit() && byte.is_ascii_uppercase() == upper)
    };
    if bytes.iter().all(u8::is_ascii_digit) {
        return 10.0;
    }
    if hex(true) || hex(false) {
        return 16.0;
    }
    let sizes = [
        (any(u8::is_ascii_digit), 10.0),
        (any(u8::is_ascii_lowercase), 26.0),
        (any(u8::is_ascii_uppercase), 26.0),
        // Base 64 and base 64 url add two; whoever draws from more gets that as a bonus.
        (any(u8::is_ascii_punctuation), 2.0),
    ];
    sizes.iter().filter(|(used, _)| *used).map(|(_, size)| size).sum::<f64>().max(2.0)
}

fn is_uuid_v4(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| if hyphen(at) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
        && bytes[14] == b'4'
        && matches!(bytes[19], b'8' | b'9' | b'a' | b'b' | b'A' | b'B')
}

#[allow(clippy::cast_precision_loss, reason = "lengths of at most 512")]
fn as_number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_made_at_random_are_strong() {
        let strong = [
            "mcpvrzod.40395d07-a353-4881-853b-43efa41339a1",
            "9f86d081884c7d659a2feaa0c55ad015",
            "3q2-7wAAv_Jx9ZkL0mQpRt",
            "gB7_xK2pQ9vL4mN8sT1wY6zC3dF5hJ0a",
            "glpat-Zk93jQmx71LsPq04VbNc",
        ];
        for key in strong {
            assert!(suffices(key, 128.0), "{key}: {}", bits(key));
        }
    }

    #[test]
    fn keys_that_can_be_guessed_are_weak() {
        let weak = [
            "demokeya.11111111-1111-4111-8111-111111111111",
            "mcpvrzod.12345678-1234-4234-8234-123456789012",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "password12345678",
            "changemechangemechangemechangeme",
            "1234567890123456789012345678901234567890",
            "correcthorse1234",
        ];
        for key in weak {
            assert!(!suffices(key, 128.0), "{key}: {}", bits(key));
        }
    }
}
