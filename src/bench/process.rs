//! What `/proc` says of a process: CPU, memory and descriptors. Where there is no `/proc`, nothing is said.
//!
//! Does not know: what the process does.

use std::fs;
use std::ops::{AddAssign, Sub};
use std::time::Duration;

/// Ticks of `/proc/PID/stat` in a second. Every Linux says 100 to its users, whatever it does inside.
const TICKS: u64 = 100;
/// Processes that are looked at at most.
const MOST: usize = 10_000;

/// A process, with all that it has started and that still run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    id: u32,
}

/// CPU time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cpu {
    /// All of it, as exact as the system knows it.
    pub(super) total: Duration,
    /// The part in the program, in ticks of 10 ms.
    pub(super) user: Duration,
    /// The part in the kernel, in ticks of 10 ms.
    pub(super) kernel: Duration,
}

impl Process {
    pub(super) fn new(id: u32) -> Self {
        Self { id }
    }

    /// This process.
    pub(super) fn own() -> Self {
        Self { id: std::process::id() }
    }

    /// The CPU time so far; `None` if the process is gone.
    pub(super) fn cpu(self) -> Option<Cpu> {
        let own = cpu(self.id)?;
        Some(self.children().filter_map(cpu).fold(own, |mut sum, cpu| {
            sum += cpu;
            sum
        }))
    }

    /// Resident memory in bytes; `None` if the process is gone.
    pub(super) fn resident(self) -> Option<u64> {
        let own = resident(self.id)?;
        Some(own + self.children().filter_map(resident).sum::<u64>())
    }

    /// Open descriptors; `None` if the process is gone, or is another user's.
    pub(super) fn descriptors(self) -> Option<u64> {
        let count = |id| Some(fs::read_dir(format!("/proc/{id}/fd")).ok()?.count() as u64);
        let own = count(self.id)?;
        Some(own + self.children().filter_map(count).sum::<u64>())
    }

    /// All that it has started, and what these have.
    fn children(self) -> impl Iterator<Item = u32> {
        let mut found = children(self.id);
        let mut at = 0;
        while let Some(id) = found.get(at).copied().filter(|_| found.len() < MOST) {
            found.extend(children(id));
            at += 1;
        }
        found.into_iter()
    }
}

/// How many descriptors this process may have; `None` if that is not known.
pub(super) fn most_descriptors() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn children(id: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

fn resident(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn cpu(id: u32) -> Option<Cpu> {
    let (user, kernel) = ticks(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?;
    // The scheduler's own count is in nanoseconds; the ticks have to do where it is not kept.
    let total = scheduled(id).unwrap_or(user + kernel);
    Some(Cpu { total, user, kernel })
}

/// The times in program and kernel.
fn ticks(stat: &str) -> Option<(Duration, Duration)> {
    // The name, second of the fields, may hold anything, but its end is the last parenthesis.
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let mut next = || Some(Duration::from_millis(fields.next()?.parse::<u64>().ok()?.checked_mul(1000 / TICKS)?));
    Some((next()?, next()?))
}

/// The time that the threads of a process were on a core.
fn scheduled(id: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task")).ok()? {
        // A thread may end at any time.
        let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    (nanoseconds > 0).then_some(Duration::from_nanos(nanoseconds))
}

impl AddAssign for Cpu {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.user += other.user;
        self.kernel += other.kernel;
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_the_name_whatever_it_holds() {
        let stat = "7 (a) 1 2 (x) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(ticks(stat), Some((Duration::from_millis(2500), Duration::from_millis(500))));
        assert_eq!(ticks("7 (a) R 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_descriptors_and_time() {
        let own = Process::own();
        assert!(own.resident().unwrap() > 100_000);
        let before = own.descriptors().unwrap();
        let files: Vec<_> = (0..5).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        assert!(own.descriptors().unwrap() >= before.saturating_sub(20) + files.len() as u64 - 5);
        let began = own.cpu().unwrap();
        let mut sum = 0_u64;
        while (own.cpu().unwrap() - began).total < Duration::from_millis(2) {
            sum = sum.wrapping_mul(3).wrapping_add(1);
        }
        assert_ne!(sum, 0);
        assert!(most_descriptors().is_none_or(|most| most > 10));
    }

    #[test]
    fn nobody_has_nothing() {
        let nobody = Process::new(u32::MAX - 1);
        assert_eq!((nobody.cpu(), nobody.resident(), nobody.descriptors()), (None, None, None));
    }
}
