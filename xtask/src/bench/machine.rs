//! What the figures were measured on.

use std::fs;
use std::process::Command;

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
    let kernel = said_by("uname", &["-sr"]);
    let [name, family, model] = cpu;
    let rustc = said_by("rustc", &["--version"]);
    format!(
        "{name} (family {family}, model {model}), {cores} cores, {vectors}, {memory:.0} GiB; {system}, {kernel}; {rustc}"
    )
}

/// How many processes wanted a core in the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|x| x.parse().ok()).unwrap_or(f64::NAN)
}
