//! Whether the machine is quiet. Threads that wait for each other by spinning, as PyTorch's do, lose far more than
//! others when something else takes a core: on a busy machine the ratios mean nothing.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// Cores kept busy above which the result cannot be trusted.
const QUIET: f64 = 0.15;

/// Cores that other programs kept busy during one second; `None` where the system does not tell (it is Linux that does).
pub(super) fn others() -> Option<f64> {
    let read = || times(&fs::read_to_string("/proc/stat").ok()?);
    let before = read()?;
    sleep(Duration::from_secs(1));
    let after = read()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (busy, all) = (after.0 - before.0, after.1 - before.1);
    (all > 0.0).then(|| busy / all * cores as f64)
}

/// The remark that a record and the terminal get when the machine was not quiet.
pub(super) fn warning(before: Option<f64>, after: Option<f64>) -> Option<String> {
    let worst = before.into_iter().chain(after).fold(0.0, f64::max);
    (worst > QUIET).then(|| {
        format!(
            "**Not a quiet machine**: other programs kept {worst:.1} cores busy. \
             PyTorch's threads, which spin while they wait, lose most by this: do not quote these ratios."
        )
    })
}

/// Ticks in which all cores together were busy, and all ticks, from the text of /proc/stat.
fn times(stat: &str) -> Option<(f64, f64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in these.
    let ticks: Vec<f64> = line
        .split_whitespace()
        .take(8)
        .map_while(|word| word.parse().ok())
        .collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    let all: f64 = ticks.iter().sum();
    Some((all - idle, all))
}

#[cfg(test)]
mod tests {
    use super::{times, warning};

    #[test]
    fn idle_and_waiting_are_not_busy() {
        let stat = "cpu  10 1 5 80 4 0 0 2 7 7\ncpu0 1 1 1 1 1 1 1 1\n";
        assert_eq!(times(stat), Some((18.0, 102.0)));
        assert_eq!(times("intr 5"), None);
    }

    #[test]
    fn only_a_busy_machine_is_warned_of() {
        assert_eq!(warning(Some(0.02), None), None);
        assert!(warning(Some(0.0), Some(1.5)).is_some_and(|text| text.contains("1.5")));
    }
}
