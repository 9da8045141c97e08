//! What came of it: a line of JSON a round, or a table at the end.

use std::fmt::Write as _;
use std::time::Duration;

/// One round of one fault.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) deployment: String,
    pub(super) fault: &'static str,
    /// From 1, of its fault.
    pub(super) round: u32,
    pub(super) runtime: &'static str,
    /// From the fault until the application's writes went on; `None` when they never did.
    pub(super) outage: Option<Duration>,
    /// From the fault until the new primary acknowledged the probe's write; `None` when it never did.
    pub(super) server: Option<Duration>,
    pub(super) retries: u64,
    pub(super) errors: u64,
    pub(super) acked: u64,
    pub(super) lost: usize,
    pub(super) duplicated: usize,
}

impl Row {
    /// What the driver added to the server's own time, in milliseconds as measured: below zero where the application's write
    /// came before the probe's.
    pub(super) fn added_ms(&self) -> Option<f64> {
        Some(millis(self.outage?) - millis(self.server?))
    }

    /// One object, for machines.
    pub(super) fn json(&self) -> String {
        let ms = |value: Option<f64>| value.map(|ms| (ms * 1000.0).round() / 1000.0);
        serde_json::json!({
            "deployment": self.deployment,
            "fault": self.fault,
            "round": self.round,
            "runtime": self.runtime,
            "outage_ms": ms(self.outage.map(millis)),
            "server_ms": ms(self.server.map(millis)),
            "added_ms": ms(self.added_ms()),
            "retries": self.retries,
            "errors": self.errors,
            "acked": self.acked,
            "lost": self.lost,
            "duplicated": self.duplicated,
        })
        .to_string()
    }
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

const HEADER: [&str; 10] =
    ["fault", "round", "outage ms", "server ms", "added ms", "retries", "errors", "acked", "lost", "twice"];

/// The closing table: a line a round, and below the rounds of a fault, where there are several, their medians.
pub(super) fn table(rows: &[Row]) -> String {
    let mut lines: Vec<[String; 10]> = vec![HEADER.map(str::to_owned)];
    for of_fault in rows.chunk_by(|a, b| a.fault == b.fault) {
        lines.extend(of_fault.iter().map(line));
        if of_fault.len() > 1 {
            lines.push(medians(of_fault));
        }
    }
    let width = |column: usize| lines.iter().map(|l| l[column].len()).max().unwrap_or(0);
    let widths: [usize; 10] = std::array::from_fn(width);
    let mut table = String::new();
    for (i, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let _ =
                if column == 0 { write!(table, "{cell:<width$}") } else { write!(table, "  {cell:>width$}") };
        }
        table.push('\n');
        if i == 0 {
            let rule = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
            let _ = writeln!(table, "{}", "-".repeat(rule));
        }
    }
    table
}

fn line(row: &Row) -> [String; 10] {
    [
        row.fault.to_owned(),
        row.round.to_string(),
        cell(row.outage.map(millis)),
        cell(row.server.map(millis)),
        // Less than nothing is the grain of the probe, not a merit.
        cell(row.added_ms().map(|ms| ms.max(0.0))),
        row.retries.to_string(),
        row.errors.to_string(),
        row.acked.to_string(),
        row.lost.to_string(),
        row.duplicated.to_string(),
    ]
}

fn medians(rows: &[Row]) -> [String; 10] {
    let over = |f: &dyn Fn(&Row) -> Option<f64>| median(rows.iter().map(f).collect());
    let count = |f: &dyn Fn(&Row) -> u64| {
        over(&|row: &Row| u32::try_from(f(row)).ok().map(f64::from)).map_or("-".into(), |n| format!("{n:.0}"))
    };
    [
        rows.first().map_or("", |row| row.fault).to_owned(),
        "median".into(),
        cell(over(&|row| row.outage.map(millis))),
        cell(over(&|row| row.server.map(millis))),
        cell(over(&Row::added_ms).map(|ms| ms.max(0.0))),
        count(&|row| row.retries),
        count(&|row| row.errors),
        count(&|row| row.acked),
        rows.iter().map(|row| row.lost).sum::<usize>().to_string(),
        rows.iter().map(|row| row.duplicated).sum::<usize>().to_string(),
    ]
}

fn cell(ms: Option<f64>) -> String {
    ms.map_or("never".into(), |ms| format!("{ms:.1}"))
}

/// `None` when the middle one is one that never came.
fn median(mut values: Vec<Option<f64>>) -> Option<f64> {
    // What never came is longer than anything that did.
    values.sort_by(|a, b| a.unwrap_or(f64::INFINITY).total_cmp(&b.unwrap_or(f64::INFINITY)));
    let upper = values.get(values.len() / 2).copied().flatten()?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = values.get(values.len() / 2 - 1).copied().flatten()?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fault: &'static str, round: u32, outage_us: u64, server_us: u64) -> Row {
        Row {
            deployment: "mongod+tls".into(),
            fault,
            round,
            runtime: "tokio",
            outage: Some(Duration::from_micros(outage_us)),
            server: Some(Duration::from_micros(server_us)),
            retries: 1,
            errors: 0,
            acked: 400,
            lost: 0,
            duplicated: 0,
        }
    }

    #[test]
    fn added_is_as_measured_and_unknown_without_its_parts() {
        let mut row = row("kill", 1, 10_001_250, 10_000_000);
        assert!((row.added_ms().unwrap() - 1.25).abs() < 1e-6);
        row.outage = Some(Duration::from_micros(9_999_000));
        assert!((row.added_ms().unwrap() + 1.0).abs() < 1e-6);
        row.server = None;
        assert_eq!(row.added_ms(), None);
    }

    #[test]
    fn json_has_exactly_the_promised_fields() {
        let mut row = row("stop", 2, 11_000_000, 10_999_000);
        let object: serde_json::Value = serde_json::from_str(&row.json()).unwrap();
        let mut keys: Vec<&String> = object.as_object().unwrap().keys().collect();
        keys.sort();
        let promised = [
            "acked",
            "added_ms",
            "deployment",
            "duplicated",
            "errors",
            "fault",
            "lost",
            "outage_ms",
            "retries",
            "round",
            "runtime",
            "server_ms",
        ];
        assert_eq!(keys, promised);
        assert_eq!((&object["fault"], &object["deployment"]), (&"stop".into(), &"mongod+tls".into()));
        assert_eq!(object["added_ms"], 1.0);
        row.outage = None;
        let object: serde_json::Value = serde_json::from_str(&row.json()).unwrap();
        assert!(object["outage_ms"].is_null() && object["added_ms"].is_null());
        assert!(!row.json().contains('\n'));
    }

    #[test]
    fn the_table_lines_up_and_has_medians_where_there_are_rounds() {
        let rows = [
            row("stepdown", 1, 20_000, 21_000),
            row("kill", 1, 10_500_000, 10_499_000),
            row("kill", 2, 10_900_000, 10_889_000),
            row("kill", 3, 11_000_000, 10_998_000),
        ];
        let table = table(&rows);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 2 + 4 + 1);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{table}");
        let words = |i: usize| lines[i].split_whitespace().collect::<Vec<_>>();
        assert_eq!(words(2)[..5], ["stepdown", "1", "20.0", "21.0", "0.0"]);
        assert_eq!(words(6)[..5], ["kill", "median", "10900.0", "10889.0", "2.0"]);
    }

    #[test]
    fn medians_take_what_never_came_for_longest() {
        assert_eq!(median(vec![Some(3.0), None, Some(1.0)]), Some(3.0));
        assert_eq!(median(vec![None, None, Some(1.0)]), None);
        assert_eq!(median(vec![Some(1.0), Some(2.0)]), Some(1.5));
        assert_eq!(median(vec![]), None);
    }
}
