//! The embedded directory: one SQLite file, one writer, any number of readers.
//!
//! Everything that speaks SQL is here; what a change means is decided in `control`. A store that is newer, damaged or in use
//! by another process is refused: nothing is guessed and nothing repaired in passing.

mod accounts;
mod bulk;
mod compile;
mod credentials;
mod entries;
mod events;
mod feeds;
mod found;
mod migrations;
mod network_sets;
mod organizations;
mod people;
mod projects;
mod receipt_key;
mod tokens;
mod traffic;
mod usage;
mod values;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::access::snapshot::Snapshot;
use crate::clock::Timestamp;

pub use compile::CompileFault;
pub use tokens::{PresentedSecret, SigningKeyRow};

/// How long a change waits for a lock that somebody else holds on the file.
const PATIENCE: Duration = Duration::from_secs(2);

/// Marks the file as ours (`PRAGMA application_id`): "PCLS".
const APPLICATION: i32 = 0x5043_4c53;

/// What a store can't do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum StoreFault {
    #[error("`{0}` is served by another process; stop that one, or name another store")]
    InUse(PathBuf),
    #[error("`{path}` can't be opened; is its folder there and writable?")]
    Open { path: PathBuf, source: std::io::Error },
    #[error(
        "the store is of a newer version ({found}, this program knows {known}); use the newer program, or restore a copy from before"
    )]
    Newer { found: usize, known: usize },
    #[error("migration {0} of the store has another text than this program's; use the program that made the store")]
    Altered(usize),
    #[error("`{0}` is no store of Portcullis; name another file")]
    Foreign(PathBuf),
    #[error("the store is damaged: {0}; restore a copy of it (`portcullis serve` makes none by itself)")]
    Damaged(String),
    #[error("the store is busy or can't be written; nothing was changed")]
    Unavailable(#[source] rusqlite::Error),
    #[error("the store failed; nothing was changed")]
    Failed(#[source] rusqlite::Error),
    #[error("two things in the store would have the same {0}")]
    Taken(&'static str),
}

impl From<rusqlite::Error> for StoreFault {
    fn from(fault: rusqlite::Error) -> Self {
        match fault.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(fault.to_string()),
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen,
            ) => Self::Unavailable(fault),
            Some(ErrorCode::ConstraintViolation) => taken(&fault).map_or(Self::Failed(fault), Self::Taken),
            _ => Self::Failed(fault),
        }
    }
}

/// Which of the unique values a constraint violation is about.
fn taken(fault: &rusqlite::Error) -> Option<&'static str> {
    let text = fault.to_string();
    [
        ("credential.public_key", "public key"),
        ("secret.sha256", "secret"),
        ("service_account.issuer", "token subject"),
        ("service_account.certificate", "certificate"),
        ("person.email_key", "email address"),
        ("project.name", "project name"),
        ("network_set.name", "network set name"),
        ("entry.network", "network on one list"),
        (".id", "id"),
    ]
    .iter()
    .find(|(column, _)| text.contains(column))
    .map(|(_, name)| *name)
}

/// A store that this process alone may write.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    /// Held as long as the store is this process's: another one that serves it would enforce what is no longer true.
    lock: Option<File>,
}

impl Store {
    /// Opens a store, making it where there is none, and brings it to the present version.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, StoreFault> {
        let lock = lock(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Made by us first: SQLite would make it readable by everybody.
        open_private(path).map_err(|source| StoreFault::Open { path: path.to_owned(), source })?;
        let mut connection = Connection::open_with_flags(path, flags)?;
        prepare(&connection)?;
        let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: usize = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if application != APPLICATION && (application != 0 || tables > 0) {
            return Err(StoreFault::Foreign(path.to_owned()));
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        migrations::run(&mut connection, now)?;
        Ok(Self { path: path.to_owned(), connection, lock: Some(lock) })
    }

    /// Lets another process serve it from here on. What is counted of uses may still be added.
    pub fn lend(&mut self) {
        self.lock = None;
    }

    /// Whether another process may serve it.
    pub fn is_lent(&self) -> bool {
        self.lock.is_none()
    }

    /// Makes it this process's alone again.
    ///
    /// # Errors
    /// [`StoreFault::InUse`] where another process serves it by now, [`StoreFault::Newer`] where it was brought to a version
    /// that is unknown here.
    pub fn take_back(&mut self, now: Timestamp) -> Result<(), StoreFault> {
        if !self.is_lent() {
            return Ok(());
        }
        let lock = lock(&self.path)?;
        migrations::run(&mut self.connection, now)?;
        self.lock = Some(lock);
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes it, so that the file alone holds everything: what lies in the `-wal` beside it is brought in.
    ///
    /// # Errors
    /// A [`StoreFault`]; then nothing is lost, and whoever opens the store next brings it in.
    pub fn close(self) -> Result<(), StoreFault> {
        if self.is_lent() {
            // Whoever has it goes on with both files.
            return self.connection.close().map_err(|(_, fault)| fault.into());
        }
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.connection.close().map_err(|(_, fault)| fault.into())
    }

    /// What it holds now.
    pub fn rows(&self) -> Rows<'_> {
        Rows(&self.connection)
    }

    /// Another connection, which sees what is committed and writes nothing.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn reader(&self) -> Result<Reader, StoreFault> {
        Reader::open(&self.path)
    }

    /// Begins a change. Dropped without [`Change::commit`], it leaves nothing behind.
    ///
    /// # Errors
    /// [`StoreFault::Unavailable`] where somebody else holds the file, or it can't be written.
    pub fn change(&mut self) -> Result<Change<'_>, StoreFault> {
        Ok(Change(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?))
    }
}

/// Reads a store that another process may be serving; `None` where there is none. Changes nothing.
///
/// # Errors
/// A [`CompileFault`].
pub fn look(path: &Path) -> Result<Option<Snapshot>, CompileFault> {
    read(path, |rows| {
        let revision = rows.revision()?;
        Ok(rows.compile()?.finish(revision))
    })
}

/// Reads of a store that another process may be serving; `None` where there is none. Changes nothing.
///
/// # Errors
/// What `read` says, or a [`StoreFault`].
pub fn read<T, E: From<StoreFault>>(path: &Path, read: impl FnOnce(Rows<'_>) -> Result<T, E>) -> Result<Option<T>, E> {
    if !path.exists() {
        return Ok(None);
    }
    let mut reader = Reader::open(path)?;
    reader.view(|rows| {
        let application = rows.0.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
        let application = application.map_err(StoreFault::from)?;
        if application != APPLICATION {
            return Err(StoreFault::Foreign(path.to_owned()).into());
        }
        read(rows).map(Some)
    })
}

/// Reads of a store that has nothing in it, and is kept nowhere.
///
/// # Errors
/// What `read` says, or a [`StoreFault`].
pub fn read_blank<T, E: From<StoreFault>>(now: Timestamp, read: impl FnOnce(Rows<'_>) -> Result<T, E>) -> Result<T, E> {
    let mut connection = Connection::open_in_memory().map_err(StoreFault::from)?;
    migrations::run(&mut connection, now)?;
    read(Rows(&connection))
}

/// A connection that only reads.
#[derive(Debug)]
pub struct Reader(Connection);

impl Reader {
    /// Opens a store that is served by this process.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn open(path: &Path) -> Result<Self, StoreFault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        prepare(&connection)?;
        Ok(Self(connection))
    }

    /// Reads within one view of the store, whatever is changed meanwhile.
    ///
    /// # Errors
    /// What `read` says, or a [`StoreFault`].
    pub fn view<T, E: From<StoreFault>>(&mut self, read: impl FnOnce(Rows<'_>) -> Result<T, E>) -> Result<T, E> {
        let transaction = self.0.transaction().map_err(StoreFault::from)?;
        read(Rows(&transaction))
    }

    /// What the store holds at this moment.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn hold(self) -> Result<View, StoreFault> {
        self.0.execute_batch("BEGIN")?;
        let view = View(self.0);
        // SQLite fixes what is seen at the first look.
        view.rows().revision()?;
        Ok(view)
    }
}

/// What a store held at one moment, however it is changed since. As long as it is kept the store can't let go of it.
#[derive(Debug)]
pub struct View(Connection);

impl View {
    /// What it held.
    pub fn rows(&self) -> Rows<'_> {
        Rows(&self.0)
    }
}

/// What a store holds, as one connection sees it.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'c>(&'c Connection);

/// A change that nobody sees until it is committed.
#[derive(Debug)]
pub struct Change<'s>(rusqlite::Transaction<'s>);

impl Rows<'_> {
    /// The revision of the last change.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn revision(&self) -> Result<u64, StoreFault> {
        Ok(self.0.prepare_cached("SELECT number FROM revision")?.query_row([], |row| row.get(0))?)
    }
}

impl Change<'_> {
    /// What the store holds with this change.
    pub fn rows(&self) -> Rows<'_> {
        Rows(&self.0)
    }

    /// Names the revision that the change makes.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn set_revision(&self, revision: u64) -> Result<(), StoreFault> {
        self.0.prepare_cached("UPDATE revision SET number = ?")?.execute([revision])?;
        Ok(())
    }

    /// Makes the change durable: it is on the disk when this returns.
    ///
    /// # Errors
    /// A [`StoreFault`]. What became of the change then, the store's revision tells.
    pub fn commit(self) -> Result<(), StoreFault> {
        Ok(self.0.commit()?)
    }
}

fn prepare(connection: &Connection) -> Result<(), StoreFault> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(128);
    // Otherwise SQLite plans a statement anew for each value that is bound to it, which is most of what a change costs.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A change that was answered survives a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(())
}

fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// The lock lies beside the store: on the store itself it would meet SQLite's own.
fn lock(path: &Path) -> Result<File, StoreFault> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let open = |source| StoreFault::Open { path: path.to_owned(), source };
    let file = open_private(Path::new(&name)).map_err(open)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreFault::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(open(source)),
    }
}

#[cfg(test)]
mod tests;
