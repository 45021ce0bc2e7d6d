//! `strongroom policy`

use std::path::{Path, PathBuf};

use serde::Serialize;
use strongroom_api::explain::Deciding;
use strongroom_api::policies::{AccessChange, PolicyChanges, PolicyVersion, Rule, WritePolicy};
use strongroom_domain::policy::{Policy as Rules, check_native, expectations, lint};
use strongroom_domain::{Name, Time};

use super::failure::Failure;
use super::findings::Findings;
use super::input;
use super::output::{Output, or_dash, table, word};
use super::session::{Session, all_pages};
use super::who_can::through;

#[derive(Debug, clap::Subcommand)]
pub enum Policy {
    /// Write a policy from a JSON file
    ///
    /// It looks like `{"rules": [{"path": "secret/app/*", "capabilities": ["read"]}]}`. With `--dry-run`, exit code 6: somebody's
    /// access would change.
    Put {
        name: String,
        /// The file; `-`: stdin
        file: PathBuf,
        /// The version that it replaces; 0: there is no such policy yet
        #[arg(long)]
        cas: Option<i64>,
        /// Write nothing, and tell whose access would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Show a policy's rules
    Get { name: String },
    /// List the policies
    List,
    /// Delete a policy
    Delete { name: String },
    /// List the versions of a policy that are kept
    History { name: String },
    /// Show which rules differ between two versions of a policy
    Diff {
        name: String,
        /// A version's number; none: the one before the newest
        old: Option<i64>,
        /// Another one; none: the newest
        new: Option<i64>,
    },
    /// Tell what of policies in JSON files does nothing, or something else than it seems to; exit code 6: there is something
    ///
    /// Needs no server.
    Lint {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Try what policies in JSON files decide together; exit code 6: it is not as expected
    ///
    /// A line of the expectations is `allow read payments/prod/db` or `deny list payments/`, perhaps with `from 10.0.0.1`. Needs no
    /// server.
    Test {
        /// The file of expectations; `-`: stdin
        expectations: PathBuf,
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

impl Policy {
    /// What needs no server.
    pub(super) fn offline(&self, output: &Output) -> Option<Result<(), Failure>> {
        match self {
            Self::Lint { files } => Some(lint_files(files, output)),
            Self::Test { expectations, files } => Some(test_files(expectations, files, output)),
            _ => None,
        }
    }

    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Put {
                name,
                file,
                cas,
                dry_run,
            } => {
                let body = WritePolicy { cas, ..read(&file)? };
                if dry_run {
                    return told(&client.try_policy(&Name::parse(&name)?, &body).await?, output);
                }
                let policy = client.write_policy(&Name::parse(&name)?, &body).await?;
                output.show(&policy, || rules(&policy.rules))
            }
            Self::Get { name } => {
                let policy = client.policy(&Name::parse(&name)?).await?;
                output.show(&policy, || rules(&policy.rules))
            }
            Self::List => {
                let page = all_pages(async |query| client.policies(&query).await).await?;
                output.show(&page, || {
                    let rows = page.items.iter().map(|policy| {
                        [
                            policy.name.to_string(),
                            policy.rules.len().to_string(),
                            policy
                                .updated_at
                                .map_or_else(|| "built in".to_owned(), |at| at.to_string()),
                        ]
                    });
                    table(["NAME", "RULES", "UPDATED"], rows)
                })
            }
            Self::Delete { name } => {
                client.delete_policy(&Name::parse(&name)?).await?;
                output.done(&format!("The policy {name} is deleted."))
            }
            Self::History { name } => {
                let history = client.policy_history(&Name::parse(&name)?).await?;
                output.show(&history, || {
                    let rows = history.items.iter().map(|version| {
                        [
                            version.version.to_string(),
                            version.written_at.to_string(),
                            version.rules.len().to_string(),
                            or_dash(version.principal),
                        ]
                    });
                    table(["VERSION", "WRITTEN", "RULES", "BY"], rows)
                })
            }
            Self::Diff { name, old, new } => {
                let history = client.policy_history(&Name::parse(&name)?).await?;
                let difference = Difference::of(&history.items, old, new)?;
                output.show(&difference, || difference.lines())
            }
            Self::Lint { .. } | Self::Test { .. } => Err(Failure::usage("This verb asks no server.")),
        }
    }
}

fn told(found: &PolicyChanges, output: &Output) -> Result<(), Failure> {
    output.show(found, || {
        if found.changes.is_empty() && !found.more {
            return "Nobody's access would change.".to_owned();
        }
        let header = [
            "CHANGE",
            "CAPABILITY",
            "PATH",
            "KIND",
            "NAME",
            "THROUGH",
            "BEFORE",
            "AFTER",
        ];
        let mut lines = table(header, found.changes.iter().map(changed));
        if found.more {
            lines.push_str("There is more than one answer looks at: these are not all.\n");
        }
        lines
    })?;
    if found.changes.is_empty() && !found.more {
        Ok(())
    } else {
        Err(Failure::check_failed())
    }
}

fn changed(change: &AccessChange) -> [String; 8] {
    let rule = |side: &Option<Deciding>| {
        let said = side.as_ref().map(|deciding| {
            let capabilities: Vec<&str> = deciding
                .capabilities
                .iter()
                .map(|capability| capability.name())
                .collect();
            format!("{} ({})", deciding.path, capabilities.join(" "))
        });
        or_dash(said)
    };
    let from = change.from.map_or_else(String::new, |from| format!(" from {from}"));
    [
        word(&change.change),
        change.capability.name().to_owned(),
        format!("{}{from}", change.path),
        word(&change.kind),
        change.name.clone(),
        through(&change.through),
        rule(&change.before),
        rule(&change.after),
    ]
}

fn read(file: &Path) -> Result<WritePolicy, Failure> {
    input::json(file)
}

fn rules_of(file: &Path) -> Result<Vec<strongroom_domain::policy::Rule>, Failure> {
    let rules: Vec<_> = read(file)?.rules.into_iter().map(Into::into).collect();
    check_native(&rules).map_err(|error| Failure::from(error).at(&file.display().to_string()))?;
    Ok(rules)
}

fn lint_files(files: &[PathBuf], output: &Output) -> Result<(), Failure> {
    let mut findings = Vec::new();
    for file in files {
        let found = lint(&rules_of(file)?).into_iter();
        findings.extend(found.map(|found| format!("{}: rule {}: {}", file.display(), found.rule, found.text)));
    }
    Findings { findings }.told(output, "There is nothing to say.")
}

fn test_files(expected: &Path, files: &[PathBuf], output: &Output) -> Result<(), Failure> {
    let mut policies = Vec::new();
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = Name::parse(&stem).or_else(|_| Name::parse("policy"))?;
        policies.push((name, Rules::new(rules_of(file)?, Time(0))));
    }
    let text = input::file_or_stdin(expected)?;
    let text = std::str::from_utf8(&text).map_err(|_| Failure::usage("The expectations are not text."))?;
    let lines = expectations(text).map_err(|error| Failure::from(error).at(&expected.display().to_string()))?;
    let disappointed = lines.iter().filter_map(|line| line.disappointed(&policies));
    let findings = disappointed
        .map(|text| format!("{}: {text}", expected.display()))
        .collect();
    Findings { findings }.told(output, &format!("All of {} are as expected.", lines.len()))
}

#[derive(Serialize)]
struct Difference {
    old: i64,
    new: i64,
    removed: Vec<Rule>,
    added: Vec<Rule>,
}

impl Difference {
    fn of(versions: &[PolicyVersion], old: Option<i64>, new: Option<i64>) -> Result<Self, Failure> {
        let newest = versions.first().map_or(0, |newest| newest.version);
        let (new, old) = (new.unwrap_or(newest), old.unwrap_or(newest - 1));
        let rules = |number: i64| {
            let found = versions.iter().find(|version| version.version == number);
            found.map(|version| &version.rules).ok_or_else(|| {
                Failure::not_found(format!("There is no version {number} of the policy, or not any more."))
            })
        };
        let (before, after) = (rules(old)?, rules(new)?);
        let without =
            |all: &[Rule], others: &[Rule]| all.iter().filter(|rule| !others.contains(rule)).cloned().collect();
        Ok(Self {
            old,
            new,
            removed: without(before, after),
            added: without(after, before),
        })
    }

    fn lines(&self) -> String {
        let removed = self.removed.iter().map(|rule| ("-", rule));
        let all = removed.chain(self.added.iter().map(|rule| ("+", rule)));
        let lines = all.map(|(sign, rule)| {
            let [path, capabilities, networks] = cells(rule);
            let line = format!("{sign} {path}  {capabilities}  {networks}");
            line.trim_end().replace(char::is_control, "?") + "\n"
        });
        lines.collect()
    }
}

fn cells(rule: &Rule) -> [String; 3] {
    let capabilities: Vec<&str> = rule.capabilities.iter().map(|capability| capability.name()).collect();
    let networks: Vec<String> = rule.networks.iter().map(ToString::to_string).collect();
    [rule.path.clone(), capabilities.join(" "), networks.join(" ")]
}

fn rules(rules: &[Rule]) -> String {
    if rules.iter().any(|rule| !rule.networks.is_empty()) {
        return table(["PATH", "CAPABILITIES", "NETWORKS"], rules.iter().map(cells));
    }
    let rows = rules.iter().map(|rule| {
        let [path, capabilities, _] = cells(rule);
        [path, capabilities]
    });
    table(["PATH", "CAPABILITIES"], rows)
}
