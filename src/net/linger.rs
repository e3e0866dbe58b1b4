//! Closing after an early answer.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a client that is refused early may still send before the connection is cut, in bytes.
pub const BYTES: usize = 256 * 1024;

/// How long it may take for that.
pub const TIME: Duration = Duration::from_secs(1);

/// Reads on for a moment after an early answer: closing at once would make the client's system throw the answer away that
/// it has not read yet (RFC 9112 §9.6).
pub async fn linger(mut io: impl AsyncRead + Unpin) {
    let drain = async {
        let mut sink = vec![0; 16 * 1024];
        let mut total = 0;
        while let Ok(read @ 1..) = io.read(&mut sink).await {
            total += read;
            if total > BYTES {
                break;
            }
        }
    };
    // Either way the connection closes.
    let _ = tokio::time::timeout(TIME, drain).await;
}
