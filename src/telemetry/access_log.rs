//! The access log: one JSON line a request, written by a thread of its own.
//!
//! A worker formats into its own buffer and hands it over when it is full or a tick has passed. Where the writer can't keep up
//! the lines are dropped and counted: activity never waits for a log. Never holds a secret, nor a query unless asked.

mod line;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::Outcome;
use super::activity::{Activity, Counting};
use super::metrics::Metrics;
use super::refusals::Refusals;
use crate::access::id::Id;
use crate::config::settings::{AccessLogSettings, AccessLogSink};

pub use line::{ClientSource, Line};

/// Buffers on their way to the writer; past that lines are dropped.
const QUEUED_BUFFERS: usize = 64;
/// How long it is waited until somebody takes some of the last lines.
const FAREWELL: Duration = Duration::from_secs(2);
/// A buffer of this size is handed over at once.
const FULL: usize = 32 * 1024;

/// The access log of one program: the writer thread, and what new recorders need.
#[derive(Debug)]
pub struct AccessLog {
    queue: Option<SyncSender<Message>>,
    /// Says that something was written, and by its end that the writer has ended.
    progress: Option<Mutex<Receiver<()>>>,
    reopen: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
    query: bool,
    refusals: Arc<Refusals>,
    activity: Arc<Activity>,
}

/// Why the access log can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogFault {
    /// The file can't be opened for appending.
    #[error("access log `{path}` can't be opened for appending; make its folder writable or name another file")]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The writer thread could not be started.
    #[error("the access log's writer thread could not be started")]
    Thread(#[source] std::io::Error),
}

#[derive(Debug)]
enum Message {
    Lines {
        bytes: Vec<u8>,
        lines: u64,
    },
    /// There is something else to look at.
    Wake,
    End,
}

impl AccessLog {
    /// Opens the sink and starts the writer.
    ///
    /// # Errors
    /// The file can't be opened, or the thread not started.
    pub fn open(settings: &AccessLogSettings, metrics: Arc<Metrics>) -> Result<Self, AccessLogFault> {
        let reopen = Arc::new(AtomicBool::new(false));
        let (refusals, activity) = (Arc::default(), Arc::default());
        let sink = match &settings.sink {
            AccessLogSink::Off => {
                return Ok(Self { queue: None, progress: None, reopen, metrics, query: false, refusals, activity });
            }
            AccessLogSink::Stdout => Sink::Stdout,
            AccessLogSink::File(path) => Sink::File { file: append(path)?, path: path.clone() },
        };
        let (queue, messages) = sync_channel(QUEUED_BUFFERS);
        let (counted, asked) = (Arc::clone(&metrics), Arc::clone(&reopen));
        let (written, progress) = sync_channel(1);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(sink, &messages, &asked, &written, &counted))
            .map_err(AccessLogFault::Thread)?;
        Ok(Self {
            queue: Some(queue),
            progress: Some(Mutex::new(progress)),
            reopen,
            metrics,
            query: settings.query,
            refusals,
            activity,
        })
    }

    /// Has the file opened anew before the next line, for whoever has renamed it. Never waits.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        if let Some(queue) = &self.queue {
            // Where the queue is full, the writer looks before its next line.
            let _ = queue.try_send(Message::Wake);
        }
    }

    /// The last refused requests of each organization, whether or not there is a log.
    pub fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// What became of each organization's requests, whether or not there is a log.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// A recorder for one worker.
    pub fn recorder(&self) -> Recorder {
        Recorder {
            queue: self.queue.clone(),
            metrics: Arc::clone(&self.metrics),
            query: self.query,
            refusals: Arc::clone(&self.refusals),
            counting: Counting::new(Arc::clone(&self.activity)),
            buffer: Vec::new(),
            lines: 0,
            stamp: line::Stamp::default(),
        }
    }

    /// Waits until everything handed over has been written, for as long as somebody takes it. Call it when the
    /// recorders have flushed.
    pub fn close(self) {
        let Self { queue: Some(queue), progress: Some(progress), .. } = self else { return };
        // Where it finds no room, the writer ends when it has written what is before it: nobody is left who could add more.
        let _ = queue.try_send(Message::End);
        drop(queue);
        let progress = progress.into_inner().unwrap_or_else(PoisonError::into_inner);
        let stopped = loop {
            if let Err(stopped) = progress.recv_timeout(FAREWELL) {
                break stopped;
            }
        };
        if stopped == RecvTimeoutError::Timeout {
            tracing::warn!("nobody takes the access log's last lines; they are lost");
        }
    }
}

enum Sink {
    Stdout,
    File { file: File, path: PathBuf },
}

impl Sink {
    /// Lets go of a file that was renamed. One that can't be opened is told, and the lines go where they went.
    fn reopen(&mut self) {
        let Self::File { file, path } = self else { return };
        match append(path) {
            Ok(fresh) => {
                *file = fresh;
                tracing::info!(file = %path.display(), "the access log was opened anew");
            }
            Err(fault) => {
                let cause = std::error::Error::source(&fault).map(tracing::field::display);
                tracing::warn!(cause, "{fault}; lines go on to the file that was open");
            }
        }
    }
}

fn append(path: &Path) -> Result<File, AccessLogFault> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|source| AccessLogFault::Open { path: path.to_owned(), source })
}

fn write_all(
    mut sink: Sink,
    messages: &Receiver<Message>,
    reopen: &AtomicBool,
    progress: &SyncSender<()>,
    metrics: &Metrics,
) {
    while let Ok(message) = messages.recv() {
        if reopen.swap(false, Ordering::Acquire) {
            sink.reopen();
        }
        let (bytes, lines) = match message {
            Message::Lines { bytes, lines } => (bytes, lines),
            Message::Wake => continue,
            Message::End => return,
        };
        let written = match &mut sink {
            Sink::Stdout => std::io::stdout().lock().write_all(&bytes),
            Sink::File { file, .. } => file.write_all(&bytes),
        };
        if let Err(fault) = written {
            metrics.log_dropped(lines);
            tracing::warn!(lines, error = %fault, "access-log lines could not be written");
        }
        // Once is enough to be told.
        let _ = progress.try_send(());
    }
}

/// One worker's end of the access log.
#[derive(Debug)]
pub struct Recorder {
    queue: Option<SyncSender<Message>>,
    metrics: Arc<Metrics>,
    query: bool,
    refusals: Arc<Refusals>,
    counting: Counting,
    buffer: Vec<u8>,
    lines: u64,
    stamp: line::Stamp,
}

impl Recorder {
    /// Whether anybody wants the line of a request with this outcome, so that nobody gathers fields for nothing.
    pub fn wants(&self, outcome: Outcome) -> bool {
        self.queue.is_some() || Refusals::wants(outcome)
    }

    /// A request of an organization's credential ended at this time, and took so long.
    pub fn count(&mut self, organization: Id, outcome: Outcome, ended: SystemTime, took: Duration) {
        self.counting.count(organization, outcome, ended, took);
    }

    /// Appends a line to the worker's buffer.
    pub fn record(&mut self, line: &Line<'_>) {
        self.refusals.add(line);
        if self.queue.is_none() {
            return;
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(FULL + 4 * 1024);
        }
        line.write(&mut self.buffer, &mut self.stamp, self.query);
        self.lines += 1;
        if self.buffer.len() >= FULL {
            self.flush();
        }
    }

    /// Hands over what was counted, and the buffer to the writer; drops and counts it where the queue is full. Called on every tick.
    pub fn flush(&mut self) {
        self.counting.hand_over();
        let Some(queue) = self.queue.as_ref().filter(|_| self.lines > 0) else {
            return;
        };
        let message =
            Message::Lines { bytes: std::mem::take(&mut self.buffer), lines: std::mem::take(&mut self.lines) };
        if let Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) = queue.try_send(message)
            && let Message::Lines { mut bytes, lines } = lost
        {
            self.metrics.log_dropped(lines);
            bytes.clear();
            self.buffer = bytes;
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests;
