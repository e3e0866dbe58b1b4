//! A new process in the place of this one, on the same sockets: no connection is refused, reset or left waiting for good.
//!
//! SIGUSR2 starts the program anew with the same arguments. It is given every listening socket and one end of a stream. It
//! reads and judges everything; where the directory is a store, it asks for that, and this process takes no changes from
//! then on. When it serves it says so, and this process drains. Where it ends before, this process goes on as if nothing had
//! been asked of it.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt as _, FdMapping};
use tokio::sync::mpsc;

use super::reload::Outlined;
use super::{Running, StartFault, bind};
use crate::clock::Clock;
use crate::config::settings::DirectorySource;
use crate::control::{Control, Fault};
use crate::net::inherited::Inherited;
use crate::net::listener::Sockets;

/// What a successor has for reading everything. A directory of a million credentials takes half a minute.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long a successor waits for a word of its predecessor.
const ANSWER: Duration = Duration::from_secs(30);

/// What a successor that gives up has for saying why.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The first descriptor that a process is given, by `sd_listen_fds(3)`.
const FIRST: i32 = 3;

/// What is said on the stream, a line each.
const ASK_FOR_STORE: &str = "store";
const STORE_LENT: &str = "lent";
const SERVES: &str = "serves";

/// Everything that this process listens on.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) gateway: Vec<Sockets>,
    pub(super) telemetry: TcpListener,
    pub(super) admin: Option<TcpListener>,
}

impl Listening {
    /// Descriptors for a successor, in the order in which it takes them.
    fn shared(&self) -> io::Result<Vec<OwnedFd>> {
        let gateway = self.gateway.iter().flat_map(Sockets::all);
        let all = gateway.chain([&self.telemetry]).chain(&self.admin);
        all.map(|listener| listener.try_clone().map(OwnedFd::from)).collect()
    }
}

/// How the program was started, from which another one is.
#[derive(Debug, Clone)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// To be asked while the files are as they were at the start: another program may be put in the place of this one, or a
    /// link be turned to another.
    pub(super) fn own() -> io::Result<Self> {
        let mut all = std::env::args_os();
        let name = all.next().map(PathBuf::from).filter(|name| name.components().count() > 1);
        let path = match name {
            Some(name) => std::path::absolute(name)?,
            // Found by the shell in its path.
            None => std::env::current_exe()?,
        };
        Ok(Self { path, arguments: all.collect() })
    }
}

/// Why there is no successor. This process goes on serving.
#[derive(Debug, thiserror::Error)]
pub(super) enum SuccessionFault {
    #[error("the program can't be started; is `{}` there?", .0.display())]
    Start(PathBuf, #[source] io::Error),
    #[error("this is the first process of its container, which would end with it; replace the container")]
    Container,
    #[error("it ended before it served; its own lines of the log say why")]
    Ended,
    #[error("it did not serve within {} seconds and was ended", PATIENCE.as_secs())]
    Late,
    #[error("the store can't be lent")]
    Store(#[source] Fault),
}

/// Starts a successor and waits until it serves.
///
/// # Errors
/// A [`SuccessionFault`]; then nothing has changed.
pub(super) async fn hand_over(
    program: &Program,
    listening: &Listening,
    control: Option<&Arc<Control>>,
) -> Result<(), SuccessionFault> {
    if std::process::id() == 1 {
        return Err(SuccessionFault::Container);
    }
    let started = start(program, listening).map_err(|fault| SuccessionFault::Start(program.path.clone(), fault));
    let (mut starting, stream) = started?;
    tracing::info!(pid = starting.0.id(), program = %program.path.display(), "a successor was started");
    let said = listen(stream.try_clone().map_err(|fault| SuccessionFault::Start(program.path.clone(), fault))?);
    let served = tokio::time::timeout(PATIENCE, attend(said, stream, control)).await;
    let served = served.unwrap_or(Err(SuccessionFault::Late));
    starting.1 = served.is_ok();
    if matches!(served, Err(SuccessionFault::Ended)) {
        starting.ended().await;
    }
    drop(starting);
    if served.is_err()
        && let Some(control) = control
        && let Err(fault) = control.take_back().await
    {
        tracing::error!(error = %fault, "the store can't be taken back; traffic goes on, changes are refused: restart");
    }
    served
}

/// Follows what the successor says until it serves.
async fn attend(
    mut said: mpsc::Receiver<String>,
    mut stream: UnixStream,
    control: Option<&Arc<Control>>,
) -> Result<(), SuccessionFault> {
    while let Some(word) = said.recv().await {
        match word.as_str() {
            ASK_FOR_STORE => {
                if let Some(control) = control {
                    control.lend().await.map_err(SuccessionFault::Store)?;
                }
                // A few bytes, which the other side waits for: nothing blocks.
                writeln!(stream, "{STORE_LENT}").map_err(|_| SuccessionFault::Ended)?;
            }
            SERVES => return Ok(()),
            _ => return Err(SuccessionFault::Ended),
        }
    }
    Err(SuccessionFault::Ended)
}

/// A process that may serve one day, and whether it does. Until then nobody needs it without this one.
struct Starting(Child, bool);

impl Starting {
    /// Waits a moment for its end: it lets go of the stream before it has said why.
    async fn ended(&mut self) {
        let begin = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) && begin.elapsed() < LAST_WORDS {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let Self(child, serves) = self;
        if !*serves {
            // It may have ended already. Waited for, so that it has let go of everything.
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

fn start(program: &Program, listening: &Listening) -> io::Result<(Starting, UnixStream)> {
    let (own, other) = UnixStream::pair()?;
    let mut given = listening.shared()?;
    given.push(other.into());
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).env("LISTEN_FDS", given.len().to_string()).env_remove("LISTEN_PID");
    let mappings = (FIRST..).zip(given).map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd }).collect();
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    // The descriptors that were given close here with the command.
    Ok((Starting(command.spawn()?, false), own))
}

/// The lines that come on the stream, read on a thread of their own.
fn listen(stream: UnixStream) -> mpsc::Receiver<String> {
    let (tell, said) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    });
    said
}

/// The process that this one succeeds.
struct Predecessor(UnixStream);

impl Predecessor {
    /// Has the predecessor take no more changes, so that this process may serve the store.
    ///
    /// # Errors
    /// There is no answer.
    fn ask_for_store(&self) -> io::Result<()> {
        self.0.set_read_timeout(Some(ANSWER))?;
        writeln!(&self.0, "{ASK_FOR_STORE}")?;
        let mut answer = String::new();
        BufReader::new(&self.0).read_line(&mut answer)?;
        if answer.trim_end() == STORE_LENT { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Has the predecessor drain.
    fn leave(self) {
        if let Err(fault) = writeln!(&self.0, "{SERVES}") {
            tracing::warn!(error = %fault, "the predecessor has ended by itself");
        }
    }
}

/// Reads and judges everything, serves on the predecessor's sockets, and has the predecessor leave.
///
/// # Errors
/// What keeps this process from serving; the predecessor goes on.
pub fn succeed(outlined: Outlined, mut inherited: Inherited, predecessor: UnixStream) -> Result<Running, StartFault> {
    let (clock, predecessor) = (Clock::system(), Predecessor(predecessor));
    if matches!(outlined.settings().directory, DirectorySource::Sqlite(_)) {
        predecessor.ask_for_store().map_err(StartFault::Predecessor)?;
    }
    let directory = outlined.read_directory(&clock).map_err(StartFault::Directory)?;
    let opened = bind(outlined, clock, &mut inherited)?;
    let running = opened.complete(directory).map_err(StartFault::Directory)?;
    predecessor.leave();
    Ok(running)
}
