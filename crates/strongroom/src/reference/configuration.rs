//! Every setting.

use super::{begin, code, head, row};
use crate::config::{SETTINGS, Setting};

const INTRODUCTION: &str = "\
The settings of `strongroom server`, `migrate`, `config` and `operator`. Four places are read, and a later one wins:
the default, the file that `--config` or `STRONGROOM_CONFIG` names (TOML), the environment, and `--set NAME=VALUE`.
`dev` reads the environment alone.

A setting with a second variable, `…_FILE`, is a **secret**. It can be given as the path of a file that holds it: by
that variable, or as `NAME_file` in the configuration file. It is refused behind `--set`, since others can see a
command line. `strongroom config check` tells every mistake of a configuration at once. What goes with what stands in
the [administrator's guide](ADMINISTRATION.md#configure).

";

fn variables(setting: &Setting) -> String {
    let name = code(&setting.variable());
    if setting.secret { name + ", `…_FILE`" } else { name }
}

pub(super) fn page() -> String {
    let mut text = begin("Configuration", "`SETTINGS` in `crates/strongroom/src/config.rs`");
    text.push_str(INTRODUCTION);
    head(&mut text, &["setting", "variable", "default", "meaning"]);
    for setting in SETTINGS {
        row(
            &mut text,
            &[
                &code(setting.name),
                &variables(setting),
                &setting.default.map(code).unwrap_or_default(),
                setting.help,
            ],
        );
    }
    text
}
