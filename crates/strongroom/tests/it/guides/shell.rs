//! Running the blocks of one page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use strongroom_testkit::Cluster;

use super::blocks::{Block, Kind, blocks};
use crate::harness::{PROGRAM, TOMORROW, own_port};

/// What the pages call the program of tomorrow.
const NEXT: &str = "strongroom-next";
const PATIENCE: Duration = Duration::from_mins(5);
/// What a server says once it serves.
const READY: &str = r#"Strongroom is ready on|"serving""#;

/// The shell's own part: `at` holds the block that runs.
const BEGINNING: &str = r#"
set -eo pipefail
foreground=
guide_end() {
    trap - EXIT
    for job in $(jobs -p); do kill "$job" 2>/dev/null || true; done
    wait || true
}
trap guide_end EXIT
guide_stop() {
    [[ -z $foreground ]] && return
    kill "$foreground" 2>/dev/null || true
    wait "$foreground" || true
    foreground=
}
guide_ready() {
    local i
    for ((i = 0; i < 600; i++)); do
        [[ $(grep -cE "$GUIDE_READY" "$2") -ge $1 ]] && return
        sleep 0.05
    done
    echo "guides: $1 servers were started, and not as many are ready" >>"$2"
    return 1
}
"#;

/// What is put in the place of a reader's surroundings.
struct Place {
    folder: tempfile::TempDir,
    ports: BTreeMap<u16, u16>,
    cluster: Option<Cluster>,
}

impl Place {
    fn for_page(page: &str) -> Self {
        let cluster = (page.contains("127.0.0.1:5432") || page.contains("```sql")).then(Cluster::start);
        let mut ports = BTreeMap::from([(8200, own_port())]);
        ports.extend(cluster.as_ref().map(|cluster| (5432, cluster.port())));
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            ports,
            cluster,
        };
        for name in ["bin", "home", "here"] {
            std::fs::create_dir(place.path(name)).unwrap();
        }
        std::fs::write(place.path("home/.curlrc"), "fail-with-body\nshow-error\nnoproxy = *\n").unwrap();
        place.strongroom("strongroom", Path::new(PROGRAM));
        if page.contains(NEXT) {
            place.strongroom(NEXT, &TOMORROW);
        }
        place.program(
            "cargo",
            "[ \"$1 $2\" = 'run --' ] || { echo \"guides: only 'cargo run --' is there\" >&2; exit 127; }\n\
             shift 2\nexec strongroom \"$@\"",
        );
        place
    }

    fn strongroom(&self, name: &str, program: &Path) {
        let (listen, program) = (format!("127.0.0.1:{}", self.ports[&8200]), program.display());
        self.program(
            name,
            &format!(
                "if [ -z \"$STRONGROOM_LISTEN$STRONGROOM_CONFIG\" ]; then\n\
                 case \"$* \" in\n\
                 *--listen*|*--config*) ;;\n\
                 dev\\ *|server\\ *) export STRONGROOM_LISTEN={listen} ;;\n\
                 esac\nfi\nexec {program} \"$@\""
            ),
        );
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// With each port by its own.
    fn with_ports(&mut self, text: &str) -> String {
        const HOST: &str = "127.0.0.1:";
        let mut parts = text.split(HOST);
        let mut all = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.chars().take_while(char::is_ascii_digit).count();
            let port = match part[..digits].parse() {
                Ok(named) => *self.ports.entry(named).or_insert_with(own_port),
                Err(_) => 0,
            };
            let _ = write!(all, "{HOST}{port}{}", &part[digits..]);
        }
        all
    }

    fn bash(&self, script: &Path) -> Child {
        let old = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([self.path("bin")].into_iter().chain(std::env::split_paths(&old))).unwrap();
        Command::new("bash")
            .args(["--noprofile", "--norc"])
            .arg(script)
            .current_dir(self.path("here"))
            .env_clear()
            .envs([("PATH", path.as_os_str()), ("HOME", self.path("home").as_os_str())])
            .env("LANG", "C.UTF-8")
            .env("GUIDE_READY", READY)
            .env("STRONGROOM_ADDR", format!("http://127.0.0.1:{}", self.ports[&8200]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap()
    }
}

/// The servers that a block starts, and whether the last one is in the foreground.
fn servers(block: &Block) -> Result<(usize, bool), String> {
    let text = block.text.replace("\\\n", " ");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_server = |line: &str| {
        ["strongroom", NEXT, "cargo run --"].iter().any(|program| {
            ["dev", "server"]
                .iter()
                .any(|verb| has_words(line, &format!("{program} {verb}")))
        })
    };
    let (mut count, mut foreground) = (0, false);
    for (number, line) in lines.iter().enumerate() {
        if is_server(line) {
            count += 1;
            foreground = !line.trim_end().ends_with('&');
            if foreground && number + 1 < lines.len() {
                return Err(format!(
                    "line {}: what stands behind a server in the foreground is never reached",
                    block.line
                ));
            }
        }
    }
    Ok((count, foreground))
}

/// Whether a command of these words stands in the line, and not only as part of longer words or of a comment.
fn has_words(line: &str, words: &str) -> bool {
    let line = line.split(" #").next().unwrap_or_default();
    line.match_indices(words).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + words.len()..]);
        (before.is_empty() || before.ends_with([' ', ';', '(', '&']))
            && (after.is_empty() || after.starts_with([' ', '&']))
    })
}

/// The script of a page. Each block is a file of its own, and so is what it prints.
fn script(place: &mut Place, blocks: &[Block]) -> Result<String, String> {
    let mut script = BEGINNING.to_owned();
    let folder = place.folder.path().display().to_string();
    for (number, block) in blocks.iter().enumerate() {
        if block.no_run.is_some() || block.kind == Kind::Output {
            continue;
        }
        let text = match (block.kind, &place.cluster) {
            (Kind::Sql, Some(cluster)) => format!(
                "psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 '{}' <<'END_OF_SQL'\n{}END_OF_SQL\n",
                cluster.url("postgres"),
                block.text
            ),
            _ => place.with_ports(&block.text),
        };
        let (file, output) = (format!("{folder}/{number}.sh"), format!("{folder}/{number}.out"));
        let (mut started, mut foreground) = (0, false);
        if block.exit.is_none() && block.kind == Kind::Commands {
            (started, foreground) = servers(block)?;
        }
        let _ = writeln!(script, "echo {number} >'{folder}/at'");
        let text = if foreground {
            script.push_str("guide_stop\n");
            text.trim_end().to_owned() + " &\n"
        } else {
            text
        };
        std::fs::write(&file, text).unwrap();
        let run = format!(". '{file}' >'{output}' 2>&1");
        match block.exit {
            None => {
                let _ = writeln!(script, "{run}");
            }
            Some(code) => {
                let _ = writeln!(
                    script,
                    "set +e\n{run}\ncode=$?\nset -eo pipefail\n\
                     if [[ $code -ne {code} ]]; then\n\
                     echo \"guides: the last command ended with $code, not with {code}\" >>'{output}'\nexit 1\nfi"
                );
            }
        }
        if foreground {
            script.push_str("foreground=$!\n");
        }
        if started > 0 {
            let _ = writeln!(script, "guide_ready {started} '{output}'");
        }
    }
    Ok(script)
}

fn wait(mut bash: Child) -> Option<ExitStatus> {
    let group = Pid::from_child(&bash);
    let began = Instant::now();
    // Looked at and not taken: as long as it is not, nobody else can get its number.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let mut in_time = false;
    while !in_time && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
        in_time = waitid(WaitId::Pid(group), options).unwrap().is_some();
    }
    // Nothing that a page has started is left: the shell has a process group of its own.
    let _ = kill_process_group(group, Signal::KILL);
    let ended = bash.wait().unwrap();
    in_time.then_some(ended)
}

/// What ran and what did not; or the block that failed, with what it printed.
pub(super) fn run(name: &str, page: &str) -> Result<String, String> {
    let blocks = blocks(page).map_err(|mistake| format!("{name}, {mistake}"))?;
    let mut place = Place::for_page(page);
    let script = script(&mut place, &blocks).map_err(|mistake| format!("{name}, {mistake}"))?;
    let file = place.path("script.sh");
    std::fs::write(&file, script).unwrap();
    let ended = wait(place.bash(&file));
    let printed = |number: usize| {
        let bytes = std::fs::read(place.path(&format!("{number}.out"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    if !ended.is_some_and(|status| status.success()) {
        let at = std::fs::read_to_string(place.path("at")).unwrap_or_default();
        let at: usize = at.trim().parse().unwrap_or_default();
        let how = ended.map_or("does not end".to_owned(), |status| format!("failed ({status})"));
        let (line, text) = blocks.get(at).map_or((0, ""), |block| (block.line, &*block.text));
        return Err(format!(
            "{name}, line {line}: the block {how}:\n{text}\nIt printed:\n{}",
            printed(at)
        ));
    }
    compare(name, &blocks, printed)?;
    Ok(report(name, &blocks))
}

fn compare(name: &str, blocks: &[Block], printed: impl Fn(usize) -> String) -> Result<(), String> {
    let mut last = None;
    for (number, block) in blocks.iter().enumerate() {
        if block.kind != Kind::Output {
            last = block.no_run.is_none().then_some(number);
            continue;
        }
        let Some(commands) = last else { continue };
        let printed = printed(commands);
        let mut lines = printed.lines();
        for wanted in block.text.lines() {
            if !lines.any(|line| is_like(line.trim_end(), wanted.trim_end())) {
                return Err(format!(
                    "{name}, line {}: '{wanted}' is not in what is printed, or not in this order:\n{printed}",
                    block.line
                ));
            }
        }
    }
    Ok(())
}

/// Whether a line is what was wanted; `…` stands for anything.
fn is_like(line: &str, wanted: &str) -> bool {
    let Some((first, rest)) = wanted.split_once('…') else {
        return line == wanted;
    };
    let Some(mut line) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match line.split_once(part) {
            Some((_, behind)) => line = behind,
            None => return false,
        }
    }
    line.ends_with(end)
}

fn report(name: &str, blocks: &[Block]) -> String {
    let commands = blocks.iter().filter(|block| block.kind != Kind::Output);
    let (skipped, ran): (Vec<&Block>, Vec<&Block>) = commands.partition(|block| block.no_run.is_some());
    let mut report = format!("{name}: {} blocks ran, {} did not", ran.len(), skipped.len());
    for block in skipped {
        let reason = block.no_run.as_deref().unwrap_or_default();
        let _ = write!(report, "\n  not run: line {}: {reason}", block.line);
    }
    report
}
