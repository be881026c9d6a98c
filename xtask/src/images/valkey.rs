//! Valkey from Debian, with the libraries that it needs, as the root of an image from scratch.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::checkout::{Checkout, Lock};
use crate::command;
use crate::progress::Step;

/// Fetching lists and a handful of packages.
const APT: Duration = Duration::from_secs(600);

const BINARIES: [&str; 2] = ["valkey-server", "valkey-cli"];

/// Where Debian's loader looks for libraries first.
const LIBRARIES: &str = "lib/x86_64-linux-gnu";

/// The image's root, made once.
pub(crate) fn root(checkout: &Checkout) -> Result<PathBuf> {
    let folder = checkout.cache.join("engines/valkey-debian");
    if folder.is_dir() {
        return Ok(folder);
    }
    let step = Step::start("engine valkey from Debian's packages");
    let _lock = Lock::wait(&checkout.cache.join("engines/.valkey.lock"), || {
        step.at("another checkout is at it");
    })?;
    if !folder.is_dir() {
        let workshop = checkout.cache.join("engines/.valkey.building");
        let unpacked = unpack(&workshop)?;
        let root = workshop.join("root");
        gather(&unpacked, &root)?;
        fs::rename(&root, &folder)?;
        fs::remove_dir_all(&workshop)?;
    }
    step.done();
    Ok(folder)
}

/// Puts a `valkey-server` into `folder` that runs here, with the libraries that it came with.
pub(crate) fn link(checkout: &Checkout, folder: &Path) -> Result<()> {
    let root = root(checkout)?.display().to_string();
    let script = format!(
        "#!/bin/sh\nexec {root}/lib64/ld-linux-x86-64.so.2 --library-path {root}/{LIBRARIES} {root}/usr/bin/valkey-server \"$@\"\n"
    );
    let file = folder.join("valkey-server");
    fs::write(&file, script)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Downloads the packages that are not installed here, and unpacks them without installing.
fn unpack(workshop: &Path) -> Result<PathBuf> {
    let (lists, cache) = (
        workshop.join("state/lists/partial"),
        workshop.join("cache/archives/partial"),
    );
    let unpacked = workshop.join("unpacked");
    for dir in [&lists, &cache, &unpacked] {
        fs::create_dir_all(dir)?;
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = codename(&release).context("Valkey comes from Debian's packages: this is not Debian")?;
    // Debian 12 has it in its backports only, later ones in the release itself.
    let suite = if codename == "bookworm" {
        "bookworm-backports"
    } else {
        codename
    };
    let sources = workshop.join("sources.list");
    fs::write(&sources, source_lines(&installed_sources()?, codename, suite)?)?;
    let apt = |args: &[&str]| -> Result<String> {
        let mut command = Command::new("apt-get");
        command.arg("-y");
        for option in [
            format!("Dir::Etc::sourcelist={}", sources.display()),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State={}", workshop.join("state").display()),
            "Dir::State::status=/var/lib/dpkg/status".to_owned(),
            format!("Dir::Cache={}", workshop.join("cache").display()),
            "APT::Sandbox::User=root".to_owned(),
            "Debug::NoLocking=1".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command::output(command.args(args), APT)
    };
    apt(&["update"])?;
    let install = [
        "install",
        "--download-only",
        "--no-install-recommends",
        "-t",
        suite,
        "valkey-server",
    ];
    apt(&install)?;
    for package in fs::read_dir(workshop.join("cache/archives"))? {
        let package = package?.path();
        if package.extension().is_some_and(|kind| kind == "deb") {
            command::output(Command::new("dpkg").arg("-x").arg(&package).arg(&unpacked), APT)?;
        }
    }
    Ok(unpacked)
}

fn gather(unpacked: &Path, root: &Path) -> Result<()> {
    let libraries = root.join(LIBRARIES);
    for dir in [root.join("usr/bin"), libraries.clone(), root.join("lib64")] {
        fs::create_dir_all(dir)?;
    }
    let theirs = ["usr/lib/x86_64-linux-gnu", LIBRARIES]
        .map(|dir| unpacked.join(dir).display().to_string())
        .join(":");
    for name in BINARIES {
        let binary = unpacked.join("usr/bin").join(name);
        let binary = binary
            .canonicalize()
            .with_context(|| format!("the packages hold no {name}"))?;
        copy(&binary, &root.join("usr/bin").join(name))?;
        let said = command::output(
            Command::new("ldd").env("LD_LIBRARY_PATH", &theirs).arg(&binary),
            APT,
        )?;
        for (library, path) in libraries_in(&said)? {
            let place = if library.starts_with("ld-linux") {
                root.join("lib64")
            } else {
                libraries.clone()
            };
            copy(&path, &place.join(library))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Names and paths in the output of `ldd`; the kernel's vDSO has no path.
fn libraries_in(ldd: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for line in ldd.lines() {
        if line.contains("not found") {
            bail!("a library is missing: {}", line.trim());
        }
        let path = line
            .split_whitespace()
            .find(|word| word.starts_with('/'))
            .map(PathBuf::from);
        if let Some((name, path)) = path.and_then(|path| Some((path.file_name()?.to_str()?.to_owned(), path)))
        {
            let name = line
                .split_whitespace()
                .next()
                .filter(|first| !first.starts_with('/'))
                .map_or(name, str::to_owned);
            found.push((name, path));
        }
    }
    Ok(found)
}

fn codename(os_release: &str) -> Option<&str> {
    os_release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"'))
}

fn installed_sources() -> Result<String> {
    let mut text = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    for entry in fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten() {
        // A blank line between files keeps the last stanza of one from running into the next.
        text.push_str("\n\n");
        text.push_str(&fs::read_to_string(entry?.path()).unwrap_or_default());
    }
    Ok(text)
}

/// Lines for `codename` and `suite` made from the installed sources of `codename`, so that no mirror's
/// address has to be known here.
fn source_lines(installed: &str, codename: &str, suite: &str) -> Result<String> {
    let (options, address) = one_line(installed, codename)
        .or_else(|| stanza(installed, codename))
        .with_context(|| {
            format!("apt has no source of suite {codename} that {suite} could be derived from")
        })?;
    Ok(format!(
        "deb {options} {address} {codename} main\ndeb {options} {address} {suite} main\n"
    ))
}

/// `deb [options] address codename main`.
fn one_line(text: &str, codename: &str) -> Option<(String, String)> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim();
        let (options, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((options, rest)) => (format!("[{}]", options.trim()), rest),
            None => (String::new(), rest),
        };
        let mut words = rest.split_whitespace();
        let address = words.next()?;
        (words.next() == Some(codename)).then(|| (options, address.to_owned()))
    })
}

/// A deb822 stanza whose `Suites` hold the codename.
fn stanza(text: &str, codename: &str) -> Option<(String, String)> {
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        field("Suites")?
            .split_whitespace()
            .find(|suite| *suite == codename)?;
        let address = field("URIs")?.split_whitespace().next()?;
        let options = field("Signed-By")
            .map(|key| format!("[signed-by={key}]"))
            .unwrap_or_default();
        Some((options, address.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_gives_both_suites() {
        let text = "Types: deb\nURIs: https://a.example/other\nSuites: nodistro\n\n\
                    Types: deb\n# comment\nURIs: https://m.example/debian\nSuites: bookworm bookworm-updates\n\
                    Components: main\nSigned-By: /k.gpg\n";
        assert_eq!(
            source_lines(text, "bookworm", "bookworm-backports").unwrap(),
            "deb [signed-by=/k.gpg] https://m.example/debian bookworm main\n\
             deb [signed-by=/k.gpg] https://m.example/debian bookworm-backports main\n"
        );
    }

    #[test]
    fn a_line_gives_both_suites() {
        let text = "# deb https://no.example bookworm main\ndeb https://x.example cloud main\n\
                    deb [ signed-by=/k.gpg ] https://m.example/debian bookworm main contrib\n";
        assert!(
            source_lines(text, "bookworm", "b")
                .unwrap()
                .starts_with("deb [signed-by=/k.gpg] https://m.example/debian bookworm main\n")
        );
        assert!(source_lines("", "bookworm", "b").is_err());
    }

    #[test]
    fn the_loader_and_the_libraries_are_found() {
        let ldd = "\tlinux-vdso.so.1 (0x1)\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x2)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
        let names: Vec<String> = libraries_in(ldd)
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["libm.so.6", "ld-linux-x86-64.so.2"]);
        assert!(libraries_in("\tlibx.so => not found\n").is_err());
    }
}
