//! Tests of `config::diagnostic`.

use super::*;

fn problem(line: usize, column: usize, excerpt: &str) -> Problem {
    let place = Place { file: "p.yaml".into(), line, column, length: 3, excerpt: Some(excerpt.into()) };
    Problem::error(place, "port `abc` is no number").with_help("write 8080")
}

#[test]
fn a_problem_reads_as_one_line() {
    assert_eq!(problem(4, 9, "  port: abc").to_string(), "p.yaml:4:9: port `abc` is no number; write 8080");
}

#[test]
fn the_drawing_shows_line_and_caret() {
    let drawn = Problems::from(problem(4, 9, "  port: abc")).render(false);
    for part in ["error: port `abc` is no number", "p.yaml:4:9", "4 |   port: abc", "^^^", "help: write 8080"] {
        assert!(drawn.contains(part), "{part} is missing in\n{drawn}");
    }
    assert!(!drawn.contains('\u{1b}'));
}

#[test]
fn control_sequences_of_a_file_do_not_reach_the_terminal() {
    let mut one = problem(1, 1, "x");
    one.message = "key `\u{1b}[31m` is unknown".to_owned();
    assert!(!Problems::from(one).render(false).contains('\u{1b}'));
}

#[test]
fn a_column_beyond_the_line_is_drawn_all_the_same() {
    for column in [0, 1, 40, usize::MAX] {
        assert!(Problems::from(problem(1, column, "é")).render(false).contains("p.yaml"));
    }
}

#[test]
fn problems_come_in_the_order_of_the_file_and_once() {
    let problems: Problems = [problem(9, 1, "x"), problem(2, 1, "x"), problem(9, 1, "x")].into_iter().collect();
    let lines: Vec<usize> = problems.sorted().iter().map(|problem| problem.place.line).collect();
    assert_eq!(lines, [2, 9]);
}

#[test]
fn the_json_form_has_no_excerpt() {
    let json = serde_json::to_value(Problems::from(problem(4, 9, "  port: abc"))).unwrap();
    assert_eq!(json[0]["line"], 4);
    assert_eq!(json[0]["severity"], "error");
    assert!(json[0].get("excerpt").is_none());
}
