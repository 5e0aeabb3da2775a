//! What was measured, for people (a table) and for programs (one JSON object per line).

use anyhow::Result;
use glassformer_kernels::instruction_set;
use glassformer_kernels::peak::Peaks;
use serde_json::json;

use super::times::Times;
use super::work::Precision;
use crate::terminal::{thousands, write};

/// One line of the table.
pub(super) struct Measurement {
    pub(super) name: String,
    pub(super) precision: Precision,
    /// Of one run: an optimiser step, a prefill, one decoded token, one call of a kernel.
    pub(super) times: Times,
    /// Tokens (rows, for kernels) of one run.
    pub(super) tokens: usize,
    /// Operations of one run; a product and a sum are two.
    pub(super) operations: f64,
    /// Bytes that one run must read, where this is what limits it.
    pub(super) bytes: Option<f64>,
    /// How much longer than the measurement before, in per cent, where this is the question.
    pub(super) overhead: Option<f64>,
}

/// Where measurements go, one by one as they come.
pub(super) struct Report {
    json: bool,
    threads: usize,
    peaks: Peaks,
}

impl Report {
    /// Begins with the peaks and the head of the table, for people.
    pub(super) fn begin(json: bool, threads: usize, peaks: Peaks) -> Result<Self> {
        if !json {
            write(&heading(threads, &peaks))?;
            write(&format!("{}\n", head()))?;
        }
        Ok(Self {
            json,
            threads,
            peaks,
        })
    }

    pub(super) fn add(&self, measurement: &Measurement) -> Result<()> {
        let line = if self.json {
            self.object(measurement).to_string()
        } else {
            self.row(measurement)
        };
        Ok(write(&format!("{line}\n"))?)
    }

    fn object(&self, measured: &Measurement) -> serde_json::Value {
        let Rates {
            tokens_per_s,
            gflops,
            of_peak,
            read,
        } = self.rates(measured);
        let Times {
            median,
            min,
            max,
            runs,
        } = measured.times;
        let mut object = json!({
            "name": measured.name, "precision": measured.precision.name(), "threads": self.threads,
            "ms": median * 1e3, "min_ms": min * 1e3, "max_ms": max * 1e3, "runs": runs,
            "tokens_per_s": tokens_per_s, "gflops": gflops, "percent_of_peak": of_peak,
        });
        if let Some((gbs, percent)) = read {
            object["gbs"] = json!(gbs);
            object["percent_of_bandwidth"] = json!(percent);
        }
        if let Some(percent) = measured.overhead {
            object["overhead_percent"] = json!(percent);
        }
        object
    }

    fn row(&self, measured: &Measurement) -> String {
        let rates = self.rates(measured);
        let Times {
            median,
            min,
            max,
            runs,
        } = measured.times;
        let mut row = format!(
            "{:<38} {:<5} {:>10.3} {:>10.3} {:>10.3} {runs:>5} {:>10} {:>9.1} {:>5.1} %",
            measured.name,
            measured.precision.name(),
            median * 1e3,
            min * 1e3,
            max * 1e3,
            thousands(rates.tokens_per_s.round() as u64),
            rates.gflops,
            rates.of_peak,
        );
        if let Some((gbs, percent)) = rates.read {
            row += &format!(" {gbs:>7.1} {percent:>5.1} %");
        }
        if let Some(percent) = measured.overhead {
            row += &format!("  {percent:+.1} % time");
        }
        row
    }

    fn rates(&self, measured: &Measurement) -> Rates {
        let seconds = measured.times.median.max(1e-12);
        let gflops = measured.operations / seconds / 1e9;
        let read = measured.bytes.map(|bytes| {
            let gbs = bytes / seconds / 1e9;
            (gbs, 100.0 * gbs / self.peaks.read_gbs)
        });
        Rates {
            tokens_per_s: measured.tokens as f64 / seconds,
            gflops,
            of_peak: 100.0 * gflops / measured.precision.peak(&self.peaks),
            read,
        }
    }
}

struct Rates {
    tokens_per_s: f64,
    gflops: f64,
    /// In per cent.
    of_peak: f64,
    /// GB/s, and per cent of the bandwidth.
    read: Option<(f64, f64)>,
}

fn head() -> String {
    format!(
        "{:<38} {:<5} {:>10} {:>10} {:>10} {:>5} {:>10} {:>9} {:>7} {:>7} {:>7}",
        "work",
        "type",
        "median ms",
        "min",
        "max",
        "runs",
        "tokens/s",
        "GFLOP/s",
        "of peak",
        "GB/s",
        "of read"
    )
}

/// The peaks, for people.
pub(super) fn heading(threads: usize, peaks: &Peaks) -> String {
    let figure = |value: Option<f64>| {
        value.map_or_else(|| "not there".to_owned(), |value| format!("{value:.0}"))
    };
    format!(
        "{threads} {}; instruction set: {}\n\
         Peaks measured now: f32 {:.0} GFLOP/s, bf16 {} GFLOP/s, int8 {} GOP/s, reading {:.1} GB/s\n\n",
        if threads == 1 { "thread" } else { "threads" },
        instruction_set(),
        peaks.f32_gflops,
        figure(peaks.bf16_gflops),
        figure(peaks.int8_gops),
        peaks.read_gbs,
    )
}

/// The peaks, for programs.
pub(super) fn peaks_object(threads: usize, peaks: &Peaks) -> serde_json::Value {
    json!({
        "name": "peaks", "threads": threads, "instruction_set": instruction_set(),
        "f32_gflops": peaks.f32_gflops, "bf16_gflops": peaks.bf16_gflops,
        "int8_gops": peaks.int8_gops, "read_gbs": peaks.read_gbs,
    })
}
