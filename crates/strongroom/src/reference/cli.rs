//! Every verb, from clap's own tree.

use std::fmt::Write as _;

use clap::builder::StyledStr;
use clap::{Arg, Command};

use super::{begin, code, head, row};

const INTRODUCTION: &str = "\
Every verb of `strongroom`, as `--help` tells it too. How they are used, and the exit codes, stand in the
[guide](GUIDE.md#the-command-line). No verb takes a secret's value as an argument, where others could see it.

";

pub(super) fn page(mut command: Command) -> String {
    command.build();
    let mut text = begin(
        "Command line",
        "the definitions of the verbs in `crates/strongroom/src`",
    );
    text.push_str(INTRODUCTION);
    describe(&mut text, &command, &[]);
    text
}

/// A command and all below it. `inherited`: options of the commands above, described there.
fn describe(text: &mut String, command: &Command, inherited: &[&Arg]) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let _ = writeln!(text, "## {name}\n");
    if let Some(about) = plain(command.get_long_about().or(command.get_about())) {
        let _ = writeln!(text, "{}\n", escaped(&about));
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let _ = writeln!(text, "```text\n{usage}\n```\n");
    let known = |arg: &Arg| inherited.iter().any(|above| above.get_id() == arg.get_id());
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()) && !known(arg))
        .collect();
    arguments(text, &own);
    let verbs: Vec<&Command> = command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
        .collect();
    if !verbs.is_empty() {
        head(text, &["verb", "what it does"]);
        for verb in &verbs {
            let name = verb.get_bin_name().unwrap_or(verb.get_name());
            let link = format!("[`{name}`](#{})", name.replace(' ', "-"));
            row(text, &[&link, &escaped(&plain(verb.get_about()).unwrap_or_default())]);
        }
        text.push('\n');
    }
    if let Some(after) = plain(command.get_after_help()) {
        let _ = writeln!(text, "{after}\n");
    }
    let global = own.into_iter().filter(|arg| arg.is_global_set());
    let inherited: Vec<&Arg> = inherited.iter().copied().chain(global).collect();
    for verb in verbs {
        describe(text, verb, &inherited);
    }
}

fn arguments(text: &mut String, arguments: &[&Arg]) {
    if arguments.is_empty() {
        return;
    }
    head(text, &["argument", "meaning"]);
    for argument in arguments {
        row(text, &[&code(&spelling(argument)), &meaning(argument)]);
    }
    text.push('\n');
}

/// `-o, --output FORMAT`; a positional one by its name.
fn spelling(argument: &Arg) -> String {
    let value = argument.get_value_names().unwrap_or_default().join(" ");
    if argument.is_positional() {
        return if value.is_empty() {
            argument.get_id().to_string()
        } else {
            value
        };
    }
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let mut words = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    if argument.get_action().takes_values() {
        let _ = write!(words, " {value}");
    }
    words
}

fn meaning(argument: &Arg) -> String {
    let mut parts = Vec::new();
    parts.extend(plain(argument.get_long_help().or(argument.get_help())).map(|help| escaped(&help)));
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| code(value.get_name()))
        .collect();
    if argument.get_action().takes_values() && !values.is_empty() {
        parts.push(format!("One of {}", values.join(", ")));
    }
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| code(&value.to_string_lossy()))
        .collect();
    if argument.get_action().takes_values() && !argument.is_hide_default_value_set() && !defaults.is_empty() {
        parts.push(format!("Default: {}", defaults.join(", ")));
    }
    parts.extend(
        argument
            .get_env()
            .map(|name| format!("Variable: {}", code(&name.to_string_lossy()))),
    );
    let parts: Vec<&str> = parts.iter().map(|part| part.trim_end_matches('.')).collect();
    if parts.is_empty() {
        String::new()
    } else {
        parts.join(". ") + "."
    }
}

fn plain(text: Option<&StyledStr>) -> Option<String> {
    text.map(ToString::to_string).filter(|text| !text.is_empty())
}

/// A word in angle brackets would be taken for HTML.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;")
}
