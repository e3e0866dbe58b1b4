//! Bodies that are read to their end before anything is done with them, within a size and a time.

use std::error::Error;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::problem::{Code, Refusal};

/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for a body that may be large.
const LARGE_PATIENCE: Duration = Duration::from_secs(60);

/// Reads a body of at most so many bytes.
///
/// # Errors
/// `CONTENT_TOO_LARGE`, `REQUEST_TIMEOUT`, or `INVALID_JSON` where it ends early.
pub async fn whole<B>(body: B, largest: usize) -> Result<Bytes, Refusal>
where
    B: Body<Data: Buf, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let patience = if largest > 1 << 20 { LARGE_PATIENCE } else { PATIENCE };
    let limited = tokio::time::timeout(patience, Limited::new(body, largest).collect()).await;
    let limited = limited.map_err(|_| {
        let detail = format!("The body did not come within {} seconds.", patience.as_secs());
        Refusal::new(Code::RequestTimeout, detail)
    })?;
    let bytes = limited.map_err(|fault| match fault.downcast_ref::<LengthLimitError>() {
        Some(_) => Refusal::new(Code::ContentTooLarge, format!("A body has at most {largest} bytes.")),
        None => Refusal::new(Code::InvalidJson, "The body ended early."),
    })?;
    Ok(bytes.to_bytes())
}
