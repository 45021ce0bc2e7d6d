//! Compares evaluations with those of npm's @openfeature/flagd-core on random flags and contexts:
//! `oracle FOLDER CASES SEED`, where FOLDER holds `oracle.mjs` and its packages. Fails on a difference that has no rule.

// `cfg(test)` would be false here; what follows is a test all the same, and may panic.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that prints its findings"
)]

mod cases;
mod dice;
mod differences;
mod leaves;
mod reached;
mod rules;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use serde_json::Value;

use cases::Case;
use dice::Dice;
use differences::DIFFERENCES;
use reached::Reached;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, folder, cases, seed] = arguments.as_slice() else {
        println!("usage: oracle FOLDER CASES SEED");
        return ExitCode::FAILURE;
    };
    let (cases, seed) = (cases.parse().unwrap(), seed.parse().unwrap());
    let mut findings = Findings::default();
    let mut oracle = Oracle::start(folder);
    let mut dice = Dice::new(seed);
    for _ in 0..cases {
        findings.add(&Case::random(&mut dice), &mut oracle);
    }
    oracle.end();
    findings.print(cases, seed);
    if findings.unlisted == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[derive(Default)]
struct Findings {
    reasons: BTreeMap<String, usize>,
    reached: Reached,
    agreed: usize,
    by_rule: BTreeMap<&'static str, usize>,
    unlisted: usize,
}

impl Findings {
    fn add(&mut self, case: &Case, oracle: &mut Oracle) {
        let ours = case.answer();
        let told = ours
            .get("reason")
            .or(ours.get("code"))
            .and_then(Value::as_str)
            .unwrap()
            .to_owned();
        *self.reasons.entry(told).or_default() += 1;
        self.reached.count(case);
        let theirs = oracle.ask(&case.question(&[]));
        if agree(&ours, &theirs) {
            self.agreed += 1;
            return;
        }
        let mut rules: Vec<_> = DIFFERENCES.iter().map(|difference| difference.name).collect();
        let corrected = oracle.ask(&case.question(&rules));
        if !agree(&ours, &corrected) {
            self.unlisted += 1;
            println!(
                "UNLISTED: {}\n    ours: {ours}\n    theirs: {corrected}",
                case.question(&rules)
            );
            return;
        }
        // Those rules count without which the two would differ.
        for difference in DIFFERENCES {
            let fewer: Vec<_> = rules.iter().copied().filter(|rule| *rule != difference.name).collect();
            if agree(&ours, &oracle.ask(&case.question(&fewer))) {
                rules = fewer;
            }
        }
        for rule in rules {
            *self.by_rule.entry(rule).or_default() += 1;
        }
    }

    fn print(&self, cases: usize, seed: u64) {
        println!(
            "{cases} random flags and contexts, seed {seed}: {} evaluate the same in flagd-core.\n",
            self.agreed
        );
        println!("Answers:");
        for (told, count) in &self.reasons {
            println!("    {told:<16} {count:>7}");
        }
        println!("Cases whose evaluation reached an operator:");
        for (operator, count) in &self.reached.0 {
            println!("    {operator:<16} {count:>7}");
        }
        println!("Differences by rule (a case may need several):");
        for difference in DIFFERENCES {
            let count = self.by_rule.get(difference.name).copied().unwrap_or_default();
            println!("    {:<16} {count:>7}  {}", difference.name, difference.rule);
        }
        println!("    {:<16} {:>7}", "without a rule", self.unlisted);
    }
}

/// Numbers are equal by what they are: JavaScript does not tell 1 from 1.0.
fn agree(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(one), Value::Number(two)) => one.as_f64() == two.as_f64(),
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| agree(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len()
                && one
                    .iter()
                    .all(|(name, one)| two.get(name).is_some_and(|two| agree(one, two)))
        }
        _ => ours == theirs,
    }
}

/// A Node process that answers line by line.
struct Oracle {
    node: Child,
    questions: BufWriter<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    fn start(folder: &str) -> Self {
        let mut node = Command::new("node")
            .arg("oracle.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = BufWriter::new(node.stdin.take().unwrap());
        let answers = BufReader::new(node.stdout.take().unwrap());
        Self {
            node,
            questions,
            answers,
        }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").unwrap();
        self.questions.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn end(self) {
        let Self {
            mut node, questions, ..
        } = self;
        drop(questions);
        assert!(node.wait().unwrap().success());
    }
}
