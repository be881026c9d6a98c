//! Running other programs: always with a deadline, and with the end of what they said when they fail.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a running program is looked at. Short against any program worth running.
const LOOK: Duration = Duration::from_millis(10);

/// Lines of a failed program's words that are shown.
const TAIL: usize = 15;

/// Runs a program to its end and returns what it printed.
///
/// # Errors
/// It cannot be started, fails, or is not done after `deadline` (it is killed then). The message
/// holds the end of its standard error.
pub(crate) fn output(command: &mut Command, deadline: Duration) -> Result<String> {
    let name = describe(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let said = collect(child.stdout.take());
    let complained = collect(child.stderr.take());
    let status = wait(&mut child, &name, deadline);
    let said = said.join().unwrap_or_default();
    let complained = complained.join().unwrap_or_default();
    match status {
        Ok(status) if status.success() => Ok(said),
        Ok(status) => bail!(
            "{name}: {status}\n{}",
            last_lines(&format!("{said}{complained}"), TAIL)
        ),
        Err(error) => Err(error.context(last_lines(&format!("{said}{complained}"), TAIL))),
    }
}

/// Runs a program with its words going to a log file.
///
/// # Errors
/// As [`output`]; the message ends with the last lines of the log.
pub(crate) fn logged(command: &mut Command, log: &Path, deadline: Duration) -> Result<()> {
    let name = describe(command);
    if let Some(dir) = log.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let status = wait(&mut child, &name, deadline).with_context(|| tail_of(log))?;
    if !status.success() {
        bail!("{name}: {status}\n{}", tail_of(log));
    }
    Ok(())
}

/// Runs a program on our own terminal, for what a person wants to watch.
pub(crate) fn shown(command: &mut Command, deadline: Duration) -> Result<()> {
    let name = describe(command);
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let status = wait(&mut child, &name, deadline)?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

/// The path of a program, looked for in PATH and in the folders that only root's PATH has.
pub(crate) fn find_program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(Into::into))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// The end of a log, headed by its path; empty logs say so.
pub(crate) fn tail_of(log: &Path) -> String {
    match std::fs::read(log) {
        Ok(bytes) if bytes.is_empty() => format!("{} is empty", log.display()),
        Ok(bytes) => {
            format!(
                "end of {}:\n{}",
                log.display(),
                last_lines(&String::from_utf8_lossy(&bytes), TAIL)
            )
        }
        Err(error) => format!("{} cannot be read: {error}", log.display()),
    }
}

/// The last `count` lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(count))
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}

fn wait(child: &mut Child, name: &str, deadline: Duration) -> Result<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("{name} was not done after {} s and was ended", deadline.as_secs());
        }
        thread::sleep(LOOK);
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Program and first arguments; never all of them, as an argument may be long or secret.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let args = command.get_args().take(3).map(|arg| arg.to_string_lossy());
    std::iter::once(program.to_string_lossy())
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_the_program_said() {
        let error = output(
            Command::new("sh").args(["-c", "echo why >&2; exit 3"]),
            Duration::from_secs(5),
        );
        let text = format!("{:#}", error.unwrap_err());
        assert!(text.contains("why") && text.contains('3'), "{text}");
    }

    #[test]
    fn a_program_that_hangs_is_ended_at_its_deadline() {
        let error = output(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap_err();
        assert!(format!("{error:#}").contains("was not done"), "{error:#}");
    }

    #[test]
    fn last_lines_are_the_last() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
    }
}
