//! The program's own log: JSON lines or text on standard error, one line an event.
//!
//! Set up once by the program, never by the library's callers. Lines are written by a thread of their own: whoever logs never
//! waits for whoever reads (threats.md L14), and what finds no room is dropped and counted.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines on their way to standard error; past that they are dropped.
const QUEUED_LINES: usize = 1_024;
/// How long the last lines are waited for.
const FAREWELL: Duration = Duration::from_secs(1);

/// Lines that found no room. There is one log in a process, and it begins before there are metrics.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people, where standard error is a terminal.
    Text,
    /// For machines, everywhere else.
    Json,
}

impl Format {
    /// Text on a terminal, JSON elsewhere.
    pub fn detected() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Starts logging to standard error at `info` and above, our own lines at `level`; a panic becomes a line as well. A second
/// call changes nothing. What has been logged is written by the time that the answer is dropped.
///
/// # Errors
/// The writer thread can't be started.
pub fn start(format: Format, level: tracing::Level) -> io::Result<Logging> {
    let (queue, logging) = write_to(io::stderr())?;
    let filter = Targets::new().with_default(tracing::Level::WARN).with_target("portcullis", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(queue);
    let registry = tracing_subscriber::registry();
    let set_up = match format {
        Format::Text => registry.with(lines.with_target(false).with_filter(filter)).try_init(),
        Format::Json => registry.with(lines.json().flatten_event(true).with_filter(filter)).try_init(),
    };
    if set_up.is_ok() {
        // The usual hook writes to standard error itself, and would have a worker wait for its reader.
        std::panic::set_hook(Box::new(|panic| {
            let backtrace = std::backtrace::Backtrace::capture();
            let thread = std::thread::current();
            tracing::error!(thread = thread.name(), %backtrace, "{panic}");
        }));
    }
    Ok(logging)
}

/// Lines that were dropped so far, since standard error took none.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// A log that is being written. Dropping it waits for the last lines, for as long as somebody takes them.
#[derive(Debug)]
#[must_use = "the last lines are lost where nobody waits for them"]
pub struct Logging {
    queue: SyncSender<Vec<u8>>,
    ending: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // An empty line wakes the writer. Where there is no room for it, the writer is awake, or nobody reads.
        let _ = self.queue.try_send(Vec::new());
        let _ = self.ended.recv_timeout(FAREWELL);
    }
}

/// Writes lines to a sink, one after the other, until told to end.
fn write_to(mut sink: impl Write + Send + 'static) -> io::Result<(Queue, Logging)> {
    let (queue, lines) = sync_channel::<Vec<u8>>(QUEUED_LINES);
    let (end, ended) = sync_channel(1);
    let ending = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&ending);
    std::thread::Builder::new().name("log".into()).spawn(move || {
        // Dropped with the thread.
        let _end = end;
        loop {
            let line = match lines.try_recv() {
                Ok(line) => line,
                Err(TryRecvError::Empty) if !asked.load(Ordering::Acquire) => match lines.recv() {
                    Ok(line) => line,
                    Err(_) => return,
                },
                Err(_) => return,
            };
            if sink.write_all(&line).is_err() {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
    })?;
    Ok((Queue(queue.clone()), Logging { queue, ending, ended }))
}

/// Where lines are put.
struct Queue(SyncSender<Vec<u8>>);

/// One line: the subscriber writes each as a whole.
struct Line<'q>(&'q SyncSender<Vec<u8>>);

impl<'q> MakeWriter<'q> for Queue {
    type Writer = Line<'q>;

    fn make_writer(&'q self) -> Line<'q> {
        Line(&self.0)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(line.to_vec()).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
