//! How far a long work is: a bar with rate and remaining time on a terminal, plain lines elsewhere, nothing for programs.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is shown of a work; clones show the same.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Progress(Form);

#[derive(Debug, Clone)]
enum Form {
    Bar(ProgressBar),
    /// How many tenths were told, of how many.
    Lines(Arc<AtomicU64>),
    Silent,
}

impl Progress {
    /// For people, or for nobody.
    pub(in crate::cli) fn new(is_for_people: bool) -> Self {
        match (is_for_people, std::io::stderr().is_terminal()) {
            (true, true) => Self(Form::Bar(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()))),
            (true, false) => Self(Form::Lines(Arc::default())),
            (false, _) => Self(Form::Silent),
        }
    }

    /// A step begins of which nobody knows how long it is.
    pub(in crate::cli) fn begin(&self, what: &str) {
        match &self.0 {
            Form::Bar(bar) => {
                bar.set_style(style("{spinner} {msg} ({elapsed})"));
                bar.set_message(what.to_owned());
                bar.enable_steady_tick(Duration::from_millis(100));
            }
            Form::Lines(_) => eprintln!("{what}"),
            Form::Silent => {}
        }
    }

    /// The same, and nothing where nobody looks on.
    pub(in crate::cli) fn at_terminal(is_for_people: bool) -> Self {
        Self::new(is_for_people && std::io::stderr().is_terminal())
    }

    /// A file is read that is so long, where that is known.
    pub(in crate::cli) fn bytes(&self, what: &str, of: Option<u64>) {
        let Form::Bar(bar) = &self.0 else { return };
        match of {
            Some(of) => self.count(what, of),
            None => self.begin(what),
        }
        bar.set_style(style(match of {
            Some(_) => "{msg} {wide_bar} {bytes}/{total_bytes}, {eta} left",
            None => "{spinner} {msg} {bytes} ({elapsed})",
        }));
    }

    /// A step of so many keys begins.
    pub(in crate::cli) fn count(&self, what: &str, of: u64) {
        self.begin(what);
        match &self.0 {
            Form::Bar(bar) => {
                bar.set_style(style("{msg} {wide_bar} {human_pos}/{human_len}, {per_sec}, {eta} left"));
                bar.set_length(of);
                bar.set_position(0);
                bar.reset_eta();
            }
            Form::Lines(told) => told.store(0, Ordering::Relaxed),
            Form::Silent => {}
        }
    }

    /// So many of them are done.
    pub(in crate::cli) fn at(&self, done: u64, of: u64) {
        match &self.0 {
            Form::Bar(bar) => bar.set_position(done.min(of)),
            Form::Lines(told) => {
                let tenth = done.min(of).saturating_mul(10) / of.max(1);
                if tenth > told.swap(tenth, Ordering::Relaxed) && of >= 10_000 {
                    eprintln!("{done} of {of}");
                }
            }
            Form::Silent => {}
        }
    }

    /// Nothing is shown any more.
    pub(in crate::cli) fn end(&self) {
        if let Form::Bar(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates above are good, which each run on a terminal shows; a bar without its style still counts.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
