//! What the figures were measured on.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// The output of a command on one line, or nothing.
pub fn said_by(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().ok();
    let output = output.filter(|o| o.status.success()).map(|o| o.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once([':', '=']).map_or("", |(_, value)| value).trim().trim_matches('"').to_owned()
}

/// Processor, cores, vector instructions, memory, system and compiler.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    let cpu = ["model name", "cpu family", "model\t"].map(|name| field("/proc/cpuinfo", name));
    let flags = field("/proc/cpuinfo", "flags");
    let vectors = match flags {
        flags if flags.contains("avx512f") => "AVX-512",
        flags if flags.contains("avx2") => "AVX2",
        _ => "no AVX2",
    };
    let memory = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1048576.0;
    let system = field("/etc/os-release", "PRETTY_NAME");
    // Without what a distributor appends to the version.
    let kernel = said_by("uname", &["-sr"]);
    let kernel = kernel.split('-').next().unwrap_or_default();
    let [name, family, model] = cpu;
    let rustc = said_by("rustc", &["--version"]);
    format!(
        "{name} (family {family}, model {model}), {cores} cores, {vectors}, {memory:.0} GiB; {system}, {kernel}; {rustc}"
    )
}

/// The processor of a description as the name of a file: figures are compared with those of the same.
pub fn file_name(description: &str) -> String {
    let processor = description.split("), ").next().unwrap_or_default().to_lowercase();
    let words = processor.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// How many cores were busy over the next moment.
pub fn load() -> f64 {
    let (start, before) = (Instant::now(), busy());
    thread::sleep(Duration::from_millis(200));
    (busy() - before) / start.elapsed().as_secs_f64()
}

/// Processor time spent since the machine started, in seconds, of all cores together.
pub fn busy() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = text.lines().next().unwrap_or_default();
    let fields: Vec<f64> = all.split_whitespace().filter_map(|x| x.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    [0, 1, 2, 5, 6, 7].iter().filter_map(|&i| fields.get(i)).sum::<f64>() / TICKS
}

/// Processor time a process has spent, in seconds.
pub fn spent_by(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12].iter().filter_map(|&i| fields.get(i)?.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// The kernel counts in hundredths of a second on every common Linux.
const TICKS: f64 = 100.0;

#[cfg(test)]
mod tests {
    #[test]
    fn the_file_of_a_processor_has_its_name() {
        let name = super::file_name("AMD EPYC (family 26, model 2), 2 cores, AVX-512, 24 GiB; Debian");
        assert_eq!(name, "amd-epyc-family-26-model-2");
        let name = super::file_name("Intel(R) Xeon(R) CPU @ 2.20GHz (family 6, model 79), 2 cores, AVX2");
        assert_eq!(name, "intel-r-xeon-r-cpu-2-20ghz-family-6-model-79");
    }
}
