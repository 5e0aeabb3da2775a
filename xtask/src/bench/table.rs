//! The tables, in Markdown that is also readable on a terminal.

use serde_json::Value;

/// Ours against a peer's.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) work: String,
    /// Milliseconds, median of the rounds.
    pub(super) ours: f64,
    /// Of what.
    pub(super) precision: String,
    /// Of what the processor can do, in per cent: operations, or bytes read where those are the limit.
    pub(super) of_peak: String,
    /// Milliseconds, median of the rounds.
    pub(super) theirs: f64,
    /// The best mode.
    pub(super) mode: String,
    /// Theirs ÷ ours, median over the rounds.
    pub(super) ratio: f64,
    pub(super) at_least: f64,
    pub(super) aim: f64,
}

impl Comparison {
    fn verdict(&self) -> &'static str {
        if self.ratio >= self.aim {
            "aim reached"
        } else if self.ratio >= self.at_least {
            "enough"
        } else {
            "too slow"
        }
    }
}

/// One row for each work that a peer does too.
pub(super) fn comparisons(all: &[Comparison]) -> String {
    let head = [
        "work",
        "ours, ms",
        "type",
        "of peak",
        "peer, ms",
        "its best mode",
        "ratio",
        "at least",
        "aim",
        "verdict",
    ];
    let rows = all.iter().map(|one| {
        vec![
            one.work.clone(),
            format!("{:.2}", one.ours),
            one.precision.clone(),
            one.of_peak.clone(),
            format!("{:.2}", one.theirs),
            one.mode.clone(),
            format!("{:.2}", one.ratio),
            format!("{:.2}", one.at_least),
            format!("{:.2}", one.aim),
            one.verdict().to_owned(),
        ]
    });
    aligned(&head, rows.collect())
}

/// One row for each measurement of ours.
pub(super) fn measurements(all: &[Value]) -> String {
    let head = [
        "work",
        "type",
        "ms",
        "tokens/s",
        "GFLOP/s",
        "of peak",
        "GB/s",
        "of bandwidth",
        "recording costs",
    ];
    let rows = all.iter().map(|one| {
        let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
        let number = |field: &str, digits: usize, unit: &str| {
            one[field]
                .as_f64()
                .map_or_else(String::new, |value| format!("{value:.digits$}{unit}"))
        };
        vec![
            text("name"),
            text("precision"),
            number("ms", 3, ""),
            number("tokens_per_s", 0, ""),
            number("gflops", 1, ""),
            number("percent_of_peak", 1, " %"),
            number("gbs", 1, ""),
            number("percent_of_bandwidth", 1, " %"),
            number("overhead_percent", 1, " %"),
        ]
    });
    aligned(&head, rows.collect())
}

/// Every mode of a peer in the first, quick pass: (work, mode, milliseconds or why there are none).
pub(super) fn modes(all: &[(String, String, Result<f64, String>)]) -> String {
    let rows = all.iter().map(|(work, mode, time)| {
        let time = match time {
            Ok(ms) => format!("{ms:.2}"),
            Err(reason) => reason.replace('|', "\\|"),
        };
        vec![work.clone(), mode.clone(), time]
    });
    aligned(&["work", "mode", "ms"], rows.collect())
}

fn aligned(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<String>| -> String {
        let padded = cells.iter().zip(&widths);
        let cells: Vec<String> = padded
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(head.iter().map(|&cell| cell.to_owned()).collect());
    text += &line(
        widths
            .iter()
            .map(|&width| "-".repeat(width.max(3)))
            .collect(),
    );
    text.extend(rows.into_iter().map(line));
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Comparison, comparisons, measurements, modes};

    #[test]
    fn the_verdict_follows_the_ratio() {
        let one = |ratio| Comparison {
            work: "nano".into(),
            ours: 10.0,
            precision: "f32".into(),
            of_peak: "50 %".into(),
            theirs: 10.0 * ratio,
            mode: "f32-compiled".into(),
            ratio,
            at_least: 1.0,
            aim: 1.5,
        };
        let text = comparisons(&[one(0.9), one(1.2), one(1.5)]);
        let verdicts: Vec<&str> = text
            .lines()
            .skip(2)
            .map(|line| {
                line.trim_end_matches(['|', ' '])
                    .rsplit("| ")
                    .next()
                    .unwrap()
            })
            .collect();
        assert_eq!(verdicts, ["too slow", "enough", "aim reached"]);
        let lengths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }

    #[test]
    fn what_was_not_measured_stays_empty() {
        let text =
            measurements(&[json!({"name": "decode", "precision": "f32", "ms": 1.5, "gbs": 20.0})]);
        let row = text.lines().nth(2).unwrap();
        assert!(
            row.contains("1.500") && row.contains("20.0") && !row.contains("null"),
            "{text}"
        );
        let text = modes(&[("nano".into(), "bf16".into(), Err("a | b".into()))]);
        assert!(text.contains("a \\| b"), "{text}");
    }
}
