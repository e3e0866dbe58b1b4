//! Problems drawn the way `rustc` draws its own: message, place, the line, a caret, the way out.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Place, Problem, Problems, Severity};

impl Problems {
    /// All problems as text for people, a blank line between two; with colours where `styled`.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let drawn: Vec<String> = self.problems.iter().map(|problem| draw(&renderer, problem)).collect();
        drawn.join("\n\n")
    }
}

fn draw(renderer: &Renderer, problem: &Problem) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = shown(Group::with_title(level.primary_title(printable(&problem.message))), &problem.place);
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(printable(help)));
    }
    let mut report = vec![group];
    if let Some(related) = &problem.related {
        report.push(shown(Group::with_title(Level::NOTE.secondary_title(printable(&related.message))), &related.place));
    }
    renderer.render(&report)
}

fn shown<'a>(group: Group<'a>, place: &'a Place) -> Group<'a> {
    let Some(excerpt) = place.excerpt.as_deref().filter(|_| place.line > 0) else {
        let origin = Origin::path(&*place.file);
        return group.element(match place.line {
            0 => origin,
            line => origin.line(line).char_column(place.column.max(1)),
        });
    };
    let offset = |character: usize| excerpt.char_indices().nth(character).map_or(excerpt.len(), |(at, _)| at);
    let start = place.column.saturating_sub(1);
    let span = offset(start)..offset(start.saturating_add(place.length.max(1)));
    let snippet = Snippet::source(excerpt).line_start(place.line).path(&*place.file);
    group.element(snippet.annotation(AnnotationKind::Primary.span(span)))
}

/// A file may hold terminal control sequences; none reaches the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|one| if one.is_control() && one != '\n' { '\u{fffd}' } else { one }).collect()
}
