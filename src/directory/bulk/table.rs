//! Keys from a table (CSV, RFC 4180) with a header: one key a row, in organizations that are there already.
//!
//! A key in clear is hashed at once by whoever asked for the table, and never kept or repeated.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::fill;
use csv::{Reader as Csv, StringRecord};

use super::{Bulk, MOST_ENTRIES, known};
use crate::access::id::Id;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::directory::model::Organization;
use crate::directory::resolve::resolve_raws;
use crate::directory::source::{Reader, SourceFile};
use crate::directory::text::Lines;
use crate::directory::{LoadOptions, raw};

/// The column that says whose key it is.
const ORGANIZATION: &str = "organization";

/// The columns that a table may have, in the order in which they are told.
const COLUMNS: [&str; 12] = [
    ORGANIZATION,
    "id",
    "description",
    "public_key",
    "secret_sha256",
    "private_key",
    "key",
    "roles",
    "networks",
    "expires_at",
    "enabled",
    "enforcement",
];

/// What a reference to a network set begins with.
const SET: &str = "set:";

/// What is kept of a key in clear. Has no `Debug`.
pub struct HashedKey {
    /// The part that is no secret, where it has one.
    pub public_key: Option<String>,
    /// SHA-256 of the whole, in hexadecimal.
    pub secret_sha256: String,
    /// Realm and HA1s by SHA-256 and MD5, in hexadecimal.
    pub digest: Option<(String, String, String)>,
}

/// Hashes a key in clear, or says what is wrong with it without repeating it.
pub type HashKey<'h> = &'h dyn Fn(&str) -> Result<HashedKey, String>;

/// Whether a file is a table, by its name.
pub fn is_table(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
    name.ends_with(".csv") || name.ends_with(".csv.gz")
}

/// A table whose text was read. Has no `Debug`: it may hold keys in clear.
pub struct Table {
    path: PathBuf,
    text: String,
}

impl Table {
    /// Reads a table, and judges nothing of it.
    ///
    /// # Errors
    /// It can't be read.
    pub fn open(path: &Path) -> Result<Self, Problems> {
        let text = Reader::new(LoadOptions::default().largest).text(path, path).map_err(|fault| {
            let message = format!("the file can't be read: {fault}");
            Problems::from(Problem::error(Place::file(path.display().to_string()), message))
        })?;
        Ok(Self { path: path.to_owned(), text })
    }

    fn csv(&self) -> Csv<&[u8]> {
        let text = self.text.trim_start_matches('\u{feff}').as_bytes();
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text)
    }

    /// The organizations that rows are of, by id or by name; `None` where some row names none.
    pub fn organizations(&self) -> Option<HashSet<String>> {
        let mut csv = self.csv();
        let at = csv.headers().ok()?.iter().position(|name| name == ORGANIZATION)?;
        let mut named = HashSet::new();
        for record in csv.records() {
            // What is no row is told when it is judged.
            let Ok(record) = record else { continue };
            let name = record.get(at).filter(|name| !name.is_empty())?;
            if !named.contains(name) {
                named.insert(name.to_owned());
            }
        }
        Some(named)
    }

    /// What the rows bring to `organizations`, of which those that rows name are there whole.
    ///
    /// # Errors
    /// Every row that is at fault, by its line.
    pub fn read(&self, organizations: &[Organization], hash: HashKey<'_>) -> Result<(Bulk, Problems), Problems> {
        let mut rows = Rows::new(self.path.display().to_string(), organizations, hash);
        let mut csv = self.csv();
        if rows.header(&mut csv) {
            rows.all(&mut csv);
        }
        let Rows { mut file, lines, problems, drawn, sets, .. } = rows;
        for (at, organization) in file.organizations.iter_mut().enumerate() {
            // What no row speaks of is none of the import's.
            organization.network_sets.retain(|set| sets.contains(&(at, set.name.clone())));
        }
        let files = vec![SourceFile::of_lines(lines)];
        // Whatever a row refers to is known already, however many rows are lost.
        let judged = resolve_raws(&files, vec![file], &mut Reader::of_no_file(), problems, false);
        Bulk::judged(judged, files, drawn)
    }
}

struct Rows<'r> {
    organizations: &'r [Organization],
    hash: HashKey<'r>,
    columns: HashMap<&'static str, usize>,
    /// Where an organization stands in the file, by its position among those that are known.
    placed: HashMap<usize, usize>,
    file: raw::File,
    lines: Lines,
    problems: Problems,
    drawn: HashSet<Id>,
    /// Network sets that rows refer to, each with the place of its organization.
    sets: HashSet<(usize, String)>,
}

impl<'r> Rows<'r> {
    fn new(name: String, organizations: &'r [Organization], hash: HashKey<'r>) -> Self {
        Self {
            organizations,
            hash,
            columns: HashMap::new(),
            placed: HashMap::new(),
            file: raw::File {
                limits: Some(raw::Limits { entries_per_list: Some(MOST_ENTRIES) }),
                ..raw::File::default()
            },
            lines: Lines::new(name, &[("access_list", "networks")]),
            problems: Problems::default(),
            drawn: HashSet::new(),
            sets: HashSet::new(),
        }
    }

    fn fault(&mut self, line: usize, message: impl Into<String>) {
        self.problems.push(Problem::error(self.lines.place(line), message));
    }

    /// Reads the first line; tells whether the rest can be understood.
    fn header(&mut self, csv: &mut Csv<&[u8]>) -> bool {
        let header = match csv.headers() {
            Ok(header) => header.clone(),
            Err(fault) => {
                self.fault(1, told(&fault));
                return false;
            }
        };
        let known = || COLUMNS.join(",");
        if header.len() <= 1 && header.get(0).is_none_or(|first| !COLUMNS.contains(&first)) {
            self.fault(1, format!("the first line names the columns, separated by commas; known are {}", known()));
            return false;
        }
        for (at, name) in header.iter().enumerate() {
            match COLUMNS.iter().find(|column| **column == name) {
                None => {
                    let shown: String = name.chars().take(40).flat_map(char::escape_default).collect();
                    self.fault(1, format!("column `{shown}` is unknown; known are {}", known()));
                }
                Some(column) => {
                    if self.columns.insert(column, at).is_some() {
                        self.fault(1, format!("column `{column}` is there twice; keep one"));
                    }
                }
            }
        }
        let has = |column: &str| self.columns.contains_key(column);
        if !["secret_sha256", "private_key", "key"].iter().any(|column| has(column)) {
            let message =
                "no column says what proves a key; add `secret_sha256`, `private_key` beside `public_key`, or `key`";
            self.fault(1, message);
        } else if has("private_key") && !has("public_key") {
            self.fault(1, "`private_key` needs `public_key` beside it; a whole key stands in `key`");
        }
        self.problems.is_empty()
    }

    fn all(&mut self, csv: &mut Csv<&[u8]>) {
        let mut record = StringRecord::new();
        loop {
            match csv.read_record(&mut record) {
                Ok(false) => return,
                Ok(true) => {
                    let line = record.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
                    self.row(line, &record);
                }
                Err(fault) => {
                    let line = fault.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
                    self.fault(line, told(&fault));
                    if csv.is_done() {
                        return;
                    }
                }
            }
        }
    }

    fn row(&mut self, line: usize, record: &StringRecord) {
        let cell = |rows: &Self, column: &str| {
            let at = rows.columns.get(column)?;
            record.get(*at).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let at = self.organization(line, cell(self, ORGANIZATION).as_deref());
        let proven = self.secrets(
            line,
            cell(self, "public_key"),
            cell(self, "secret_sha256"),
            [cell(self, "private_key"), cell(self, "key")],
        );
        let enabled = self.word(line, "enabled", cell(self, "enabled"), &[("true", true), ("false", false)]);
        let words = [("enforce", raw::Enforcement::Enforce), ("report", raw::Enforcement::Report)];
        let enforcement = self.word(line, "enforcement", cell(self, "enforcement"), &words);
        let (Some(at), Some((public_key, hashes, digest))) = (at, proven) else { return };
        let id = match cell(self, "id") {
            Some(id) => id,
            None => {
                let mut bytes = [0; 12];
                if fill(&mut bytes).is_err() {
                    self.fault(line, "the system gives no random numbers for an id");
                    return;
                }
                let id = Id::from_bytes(bytes);
                self.drawn.insert(id);
                id.to_string()
            }
        };
        let networks = cell(self, "networks").unwrap_or_default();
        let roles = cell(self, "roles").unwrap_or_default();
        let key = raw::ApiKey {
            id,
            description: cell(self, "description"),
            public_key,
            secret_sha256: raw::Hashes(hashes),
            digest,
            enabled,
            expires_at: cell(self, "expires_at"),
            roles: roles.split(';').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect(),
            enforcement,
            access_list: parts(&networks).map(entry).collect(),
        };
        self.sets.extend(parts(&networks).filter_map(|text| Some((at, text.strip_prefix(SET)?.to_owned()))));
        self.lines.key(at, line);
        self.file.organizations[at].api_keys.push(key);
    }

    /// Where the organization of a row stands in the file.
    fn organization(&mut self, line: usize, named: Option<&str>) -> Option<usize> {
        let all = self.organizations;
        let found: Vec<usize> = match named {
            Some(named) => {
                let id: Option<Id> = named.parse().ok();
                let is_meant = |one: &Organization| Some(one.id) == id || *one.name == *named;
                (0..all.len()).filter(|at| is_meant(&all[*at])).collect()
            }
            None => (0..all.len()).collect(),
        };
        let [one] = found.as_slice() else {
            let shown: String = named.unwrap_or_default().chars().take(64).flat_map(char::escape_default).collect();
            let message = match (named, found.len()) {
                (Some(_), 0) => {
                    format!("there is no organization `{shown}`; a table adds keys to those that are there")
                }
                (Some(_), _) => format!("several organizations are called `{shown}`; name one by its id"),
                (None, 0) => "there is no organization; a table adds keys to those that are there".to_owned(),
                (None, _) => "there are several organizations; name one in the column `organization`".to_owned(),
            };
            self.fault(line, message);
            return None;
        };
        if let Some(place) = self.placed.get(one) {
            return Some(*place);
        }
        let place = self.file.organizations.len();
        self.placed.insert(*one, place);
        self.lines.organization(line);
        self.file.organizations.push(known(&all[*one]));
        Some(place)
    }

    /// The public key and the hashes of a row.
    fn secrets(
        &mut self,
        line: usize,
        public_key: Option<String>,
        hashes: Option<String>,
        clear: [Option<String>; 2],
    ) -> Option<(Option<String>, Vec<String>, Option<raw::Digests>)> {
        let whole = match (hashes, clear) {
            (Some(hashes), [None, None]) => {
                return Some((public_key, parts(&hashes).map(str::to_owned).collect(), None));
            }
            (None, [Some(private), None]) => match &public_key {
                Some(public) => format!("{public}.{private}"),
                None => {
                    self.fault(line, "`private_key` needs `public_key` beside it; a whole key stands in `key`");
                    return None;
                }
            },
            (None, [None, Some(whole)]) => whole,
            (None, [None, None]) => {
                self.fault(line, "nothing proves this key; fill in `secret_sha256`, `private_key` or `key`");
                return None;
            }
            _ => {
                self.fault(line, "a key is proven by one of `secret_sha256`, `private_key` and `key`; keep one");
                return None;
            }
        };
        match (self.hash)(&whole) {
            Ok(hashed) if public_key.is_none() || public_key == hashed.public_key => {
                let digest = hashed.digest.map(|(realm, sha256, md5)| {
                    raw::Digests::One(raw::Digest { realm, sha256: Some(sha256), md5: Some(md5), secret: None })
                });
                Some((hashed.public_key, vec![hashed.secret_sha256], digest))
            }
            Ok(_) => {
                self.fault(line, "`public_key` is not 8 lowercase letters, or not the one that `key` begins with");
                None
            }
            Err(wrong) => {
                self.fault(line, wrong);
                None
            }
        }
    }

    /// One of a few words.
    fn word<T: Copy>(&mut self, line: usize, column: &str, text: Option<String>, words: &[(&str, T)]) -> Option<T> {
        let text = text?.to_ascii_lowercase();
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.fault(line, format!("`{column}` is {}", known.join(" or ")));
        }
        found
    }
}

/// A network, or `set:` and the name of a network set.
fn entry(text: &str) -> raw::Entry {
    match text.strip_prefix(SET) {
        None => raw::Entry::Plain(raw::NetworkText::of(text)),
        Some(name) => {
            raw::Entry::Detailed(Box::new(raw::DetailedEntry { set: Some(name.to_owned()), ..Default::default() }))
        }
    }
}

/// Several values in one cell, separated by semicolons or blanks.
fn parts(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(|one: char| one == ';' || one.is_whitespace()).filter(|part| !part.is_empty())
}

/// What is wrong with the form of a row, without its content.
fn told(fault: &csv::Error) -> String {
    match fault.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} cells and the first line {expected_len}; a cell with a comma stands in quotes")
        }
        _ => "the row is no CSV; a cell with a comma, a quote or a line break stands in quotes".to_owned(),
    }
}
