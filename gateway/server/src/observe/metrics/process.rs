//! What the process takes of its machine, as Linux tells: proc(5).
//!
//! Owns reading it, when somebody asks. Elsewhere nothing is told.

use super::text::Text;
use super::text::seconds;

/// Microseconds of one tick of `/proc/self/stat`: every Linux tells processes a hundred a second.
const TICK: u64 = 10_000;

/// Writes what is known, under the names that all Prometheus clients use.
pub(super) fn write(text: &mut Text) {
    let status = read("status");
    let kib = |name| status.as_deref().and_then(|status| line(status, name));
    if let Some(resident) = kib("VmRSS") {
        let help = "Resident memory size in bytes.";
        text.gauge("process_resident_memory_bytes", help)
            .only(resident * 1024);
    }
    if let Some(all) = kib("VmSize") {
        let help = "Virtual memory size in bytes.";
        text.gauge("process_virtual_memory_bytes", help)
            .only(all * 1024);
    }
    if let Some(threads) = kib("Threads") {
        let help = "Threads of the process.";
        text.gauge("process_threads", help).only(threads);
    }
    if let Some(ticks) = read("stat").as_deref().and_then(ticks) {
        let help = "Total user and system CPU time spent in seconds.";
        text.counter("process_cpu_seconds_total", help)
            .only(seconds(ticks * TICK));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        let help = "Number of open file descriptors.";
        text.gauge("process_open_fds", help).only(open.count());
    }
    if let Some(most) = read("limits").as_deref().and_then(most_files) {
        let help = "Maximum number of open file descriptors.";
        text.gauge("process_max_fds", help).only(most);
    }
}

fn read(name: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/self/{name}")).ok()
}

/// The number behind a name, whatever its unit.
fn line(status: &str, name: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value?.split_whitespace().next()?.parse().ok()
}

/// The command in parentheses may hold anything; user and system time are the 12th and 13th field after it.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn most_files(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    line?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read_whatever_the_program_is_called() {
        let stat = "7 (a ) b (c) S 1 7 7 0 -1 4194304 9 0 0 0 120 30 0 0 20 0 4 0 99 1 2";
        assert_eq!(ticks(stat), Some(150));
        assert_eq!(line("Name:\tx\nVmRSS:\t   2048 kB\n", "VmRSS"), Some(2_048));
        assert_eq!(line("Name:\tx\n", "VmRSS"), None);
        let limits = "Limit Soft Hard Units\nMax open files            1024                 4096                 files\n";
        assert_eq!(most_files(limits), Some(1_024));
        assert_eq!(
            most_files("Max open files            unlimited unlimited files"),
            None
        );
    }
}
