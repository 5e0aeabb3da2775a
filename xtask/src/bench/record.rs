//! The dated record of a measurement, in `bench/record/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{command, output};

/// Where and when it was measured.
pub(super) struct Place {
    date: String,
    processor: String,
    commit: String,
    threads: usize,
}

impl Place {
    pub(super) fn here(root: &Path, threads: usize) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let days = since.map_or(0, |since| since.as_secs() / 86_400);
        Self {
            date: date(days),
            processor: processor(root),
            commit: commit(root),
            threads,
        }
    }

    /// Writes the record and gives its path. An earlier record of the same day is kept.
    pub(super) fn write(&self, root: &Path, body: &str) -> Result<PathBuf> {
        let folder = root.join("bench/record");
        fs::create_dir_all(&folder)?;
        let name = format!("{}-{}", self.date, slug(&self.processor));
        let mut path = folder.join(format!("{name}.md"));
        let mut number = 2;
        while path.exists() {
            path = folder.join(format!("{name}-{number}.md"));
            number += 1;
        }
        fs::write(&path, body).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The head of the record.
    pub(super) fn introduction(&self, peer: &str, peaks: &Value) -> String {
        let Self {
            date,
            processor,
            commit,
            threads,
        } = self;
        format!(
            "# {date}, {processor}\n\n\
             - {threads} threads, commit {commit}, {peer}\n\
             - {}\n\n",
            peaks_line(peaks)
        )
    }
}

/// The peaks in one line.
pub(super) fn peaks_line(peaks: &Value) -> String {
    let figure = |field: &str, unit: &str| {
        let value = peaks[field].as_f64();
        value.map_or_else(
            || "not there".to_owned(),
            |value| format!("{value:.0} {unit}"),
        )
    };
    format!(
        "peaks: f32 {}, bf16 {}, int8 {}, reading {}",
        figure("f32_gflops", "GFLOP/s"),
        figure("bf16_gflops", "GFLOP/s"),
        figure("int8_gops", "GOP/s"),
        figure("read_gbs", "GB/s")
    )
}

/// The day `days` after 1970-01-01, in the Gregorian calendar, as YYYY-MM-DD (UTC).
fn date(mut days: u64) -> String {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

/// The processor's name as the system tells it.
fn processor(root: &Path) -> String {
    let from_linux = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let from_mac = || output(&mut command(root, "sysctl", "-n machdep.cpu.brand_string")).ok();
    from_linux.or_else(from_mac).map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |name| name.trim().to_owned(),
    )
}

/// The commit that is checked out, and whether files differ from it.
fn commit(root: &Path) -> String {
    let git = |words: &str| output(&mut command(root, "git", words)).ok();
    let Some(commit) = git("rev-parse --short=12 HEAD") else {
        return "unknown".to_owned();
    };
    let changed =
        git("status --porcelain --untracked-files=no").is_some_and(|text| !text.is_empty());
    let changed = if changed { " with changes" } else { "" };
    format!("{}{changed}", commit.trim())
}

/// Small letters and digits, words joined by `-`.
fn slug(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::{date, slug};

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(59), "1970-03-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(11_017), "2000-03-01");
        assert_eq!(date(20_453), "2025-12-31");
        assert_eq!(date(20_454), "2026-01-01");
    }

    #[test]
    fn names_become_file_names() {
        assert_eq!(slug("AMD EPYC 9B45"), "amd-epyc-9b45");
        assert_eq!(
            slug("Intel(R) Xeon(R) CPU @ 2.20GHz"),
            "intel-r-xeon-r-cpu-2-20ghz"
        );
    }
}
