//! Figures as a table, or as one JSON object a line.

use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// One figure. As JSON: `{"bench", "case", "subject", "metric", "value", "unit"}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The bench, as `cargo xtask bench` names it.
    pub bench: &'static str,
    /// What was done.
    pub case: String,
    /// Who did it.
    pub subject: &'static str,
    /// What was measured, the unit last.
    pub metric: &'static str,
    /// How much.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
}

/// Prints the figures in the form that was asked for.
///
/// # Errors
/// A figure that JSON cannot express: infinite or not a number.
pub fn print(figures: &[Figure], json: bool) -> anyhow::Result<()> {
    if json {
        for figure in figures {
            println!("{}", serde_json::to_string(figure)?);
        }
    } else {
        println!("{}", table(figures));
    }
    Ok(())
}

/// A row for each case and subject, a column for each metric, in the order in which they
/// come.
fn table(figures: &[Figure]) -> Table {
    let mut metrics: Vec<(&str, &str)> = Vec::new();
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for figure in figures {
        let metric = (figure.metric, figure.unit);
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
        let row = (figure.case.as_str(), figure.subject);
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let mut table = Table::new();
    let bench = figures.first().map_or("", |figure| figure.bench);
    let mut header = vec![bench.to_owned(), "subject".to_owned()];
    header.extend(metrics.iter().map(|(metric, _)| (*metric).to_owned()));
    table.set_header(header);
    for (case, subject) in rows {
        let mut cells = vec![case.to_owned(), subject.to_owned()];
        cells.extend(metrics.iter().map(|(metric, _)| {
            let found = figures.iter().find(|figure| {
                figure.case == case && figure.subject == subject && figure.metric == *metric
            });
            found.map_or(String::new(), |figure| shown(figure.value))
        }));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Whole numbers from ten on; below, one decimal where there is one.
fn shown(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(case: &str, subject: &'static str, metric: &'static str, value: f64) -> Figure {
        Figure {
            bench: "parse",
            case: case.to_owned(),
            subject,
            metric,
            value,
            unit: "ns",
        }
    }

    #[test]
    fn json_has_the_agreed_keys_in_the_agreed_order() {
        let text = serde_json::to_string(&figure("bye", "sipward", "p50_ns", 812.5)).unwrap();
        assert_eq!(
            text,
            r#"{"bench":"parse","case":"bye","subject":"sipward","metric":"p50_ns","value":812.5,"unit":"ns"}"#
        );
    }

    #[test]
    fn a_row_holds_all_metrics_of_a_subject() {
        let text = table(&[
            figure("bye", "sipward", "min_ns", 7.25),
            figure("bye", "sipward", "p50_ns", 12.5),
            figure("bye", "rsip", "min_ns", 99.9),
        ])
        .to_string();
        let rows: Vec<Vec<&str>> = text
            .lines()
            .filter(|line| line.starts_with("| "))
            .map(|line| line.split('|').map(str::trim).collect())
            .collect();
        assert_eq!(rows[0][1..5], ["parse", "subject", "min_ns", "p50_ns"]);
        assert_eq!(rows[1][1..5], ["bye", "sipward", "7.2", "12"]);
        assert_eq!(rows[2][1..5], ["bye", "rsip", "100", ""]);
        assert_eq!(rows.len(), 3);
    }
}
