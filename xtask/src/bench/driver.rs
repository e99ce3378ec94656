//! A driver process: one library, asked row by row.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::machine;

/// Compilers of whole training steps take minutes.
const PATIENCE: Duration = Duration::from_secs(900);

/// How to start a driver.
pub struct Launch {
    /// The name of the library in options and tables.
    pub name: &'static str,
    /// Program and arguments; what is missing, if it cannot be started.
    pub command: Result<Vec<String>, String>,
}

pub struct Driver {
    launch: Launch,
    threads: usize,
    running: Option<Running>,
}

struct Running {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

/// What a driver says of a row.
pub struct Answer {
    /// Seconds of each run, fastest first.
    pub seconds: Vec<f64>,
    /// Figures that must agree between libraries.
    pub check: Vec<f64>,
    /// The peak of memory, beyond that of the idle process.
    pub peak_mib: f64,
    /// How many cores other processes took meanwhile.
    pub others: f64,
}

impl Driver {
    pub fn new(launch: Launch, threads: usize) -> Driver {
        Driver { launch, threads, running: None }
    }

    pub fn name(&self) -> &'static str {
        self.launch.name
    }

    /// The library's version, which shows that the driver works.
    pub fn version(&mut self) -> Result<String, String> {
        let answer = self.ask("version")?;
        Ok(answer["version"].as_str().unwrap_or_default().to_owned())
    }

    /// Times a row for about `budget` seconds.
    pub fn time(&mut self, row: &str, budget: f64) -> Result<Answer, String> {
        let own = |driver: &Driver| driver.running.as_ref().map_or(0.0, |r| machine::spent_by(r.child.id()));
        let (start, before) = (Instant::now(), machine::busy() - own(self));
        let answer = self.ask(&format!("{row} {budget}"))?;
        let others = (machine::busy() - own(self) - before) / start.elapsed().as_secs_f64();
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        let numbers = |name: &str| -> Vec<f64> {
            answer[name].as_array().into_iter().flatten().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
        };
        let mut seconds = numbers("seconds");
        seconds.sort_by(f64::total_cmp);
        let peak_mib = answer["peak_mib"].as_f64().unwrap_or(f64::NAN);
        if seconds.is_empty() {
            return Err("no times".into());
        }
        Ok(Answer { seconds, check: numbers("check"), peak_mib, others })
    }

    /// Ends the process; the next request starts another.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    fn ask(&mut self, request: &str) -> Result<Value, String> {
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let running = self.running.insert(running);
        let sent = writeln!(running.requests, "{request}").and_then(|()| running.requests.flush());
        let answer = match sent {
            Ok(()) => running.answers.recv_timeout(PATIENCE).map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        let parsed = answer.and_then(|line| serde_json::from_str(&line).map_err(|e| format!("{e} in {line}")));
        if parsed.is_err() {
            self.stop();
        }
        parsed.map_err(|e| format!("its driver gave no answer ({e})"))
    }

    fn start(&self) -> Result<Running, String> {
        let words = self.launch.command.clone()?;
        let mut command = restricted(self.threads, &words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| format!("{}: {e}", words[0]))?;
        let requests = child.stdin.take().ok_or("no standard input")?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.starts_with('{') && sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Running { child, requests, answers })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The command with so many threads, on as many cores: some libraries take what they see.
pub fn restricted(threads: usize, words: &[String]) -> Command {
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    let mut command = Command::new(if cores <= threads { &words[0] } else { "taskset" });
    if cores <= threads {
        command.args(&words[1..]);
    } else {
        command.arg("-c").arg(format!("0-{}", threads - 1)).args(words);
    }
    for variable in ["COVECTOR_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"] {
        command.env(variable, threads.to_string());
    }
    command
}
