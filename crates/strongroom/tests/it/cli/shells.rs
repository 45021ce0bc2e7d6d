//! Completion scripts and man pages, as a packager takes them.

use std::process::Command;

use crate::harness::run;

#[test]
fn completion_scripts_are_scripts() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, stderr) = run(&["completion", shell], &[], b"");
        assert_eq!(code, 0, "{stderr}");
        let script = String::from_utf8(script).unwrap();
        for verb in ["rollback", "recover-admin"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
        if shell == "bash" {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("script");
            std::fs::write(&file, script).unwrap();
            let ask = format!(
                "source {}; COMP_WORDS=(strongroom oper); COMP_CWORD=1; _strongroom strongroom oper strongroom; \
                 echo \"${{COMPREPLY[@]}}\"",
                file.display()
            );
            let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
            let answer = String::from_utf8_lossy(&output.stdout);
            assert!(answer.split_whitespace().any(|word| word == "operator"), "{answer}");
        }
    }
}

#[test]
fn a_man_page_a_verb() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(&["man", folder.path().to_str().unwrap()], &[], b"");
    assert_eq!(code, 0, "{stderr}");
    for (page, text) in [
        ("strongroom", "DESCRIPTION"),
        ("strongroom-operator-doctor", "passphrase"),
        ("strongroom-get", "PATH"),
    ] {
        let page = std::fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        assert!(page.starts_with(".ie") && page.contains(text), "{page}");
    }
    assert!(!folder.path().join("strongroom-reference.1").exists(), "it is hidden");
    let (code, _, stderr) = run(&["man", "/nowhere/at/all"], &[], b"");
    assert_eq!(code, 2);
    assert!(stderr.contains("/nowhere/at/all"), "{stderr}");
}
