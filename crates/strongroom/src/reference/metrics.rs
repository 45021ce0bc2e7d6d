//! Every metric, as a node that has just started shows them: each family stands there from the first scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use strongroom_api::client::reqwest;

use super::{begin, code, head, row};
use crate::config::{Config, Sources};
use crate::dev;

const INTRODUCTION: &str = "\
What a scrape of `/metrics` shows, in Prometheus' text format. Labels come from closed sets: no path, name or id is
ever one. Counts start at 0 with the process. Metrics of the process itself (`process_…`) stand beside these. What to
watch and what to alert on stands in the [administrator's guide](ADMINISTRATION.md#monitoring).

";

const LABELS: &str = "
`route` is the first word behind `/api/v1/`, or the exempt route's name; `none` is a request that met no route. `lane`
is a way into the audit log: `reads` for reads, also of what is not there, `changes` for changes that were made,
`events` for logins, denials and changes that were refused.
";

/// Its values are not listed: they change with each release.
const OPEN_LABEL: &str = "version";

#[derive(Default)]
struct Family {
    name: String,
    kind: String,
    help: String,
    labels: Vec<String>,
}

#[derive(Default)]
struct Scrape {
    families: Vec<Family>,
    values: BTreeMap<String, BTreeSet<String>>,
}

pub(super) async fn page() -> Result<String, String> {
    let scrape = Scrape::read(&scrape().await?);
    let mut text = begin("Metrics", "a scrape of a fresh node");
    text.push_str(INTRODUCTION);
    head(&mut text, &["metric", "type", "labels", "meaning"]);
    for family in &scrape.families {
        let labels: Vec<String> = family.labels.iter().map(|label| code(label)).collect();
        row(
            &mut text,
            &[&code(&family.name), &family.kind, &labels.join(", "), &family.help],
        );
    }
    text.push_str("\n## Labels\n\n");
    head(&mut text, &["label", "values"]);
    for (label, values) in &scrape.values {
        let values: Vec<String> = values.iter().map(|value| code(value)).collect();
        row(&mut text, &[&code(label), &values.join(", ")]);
    }
    text.push_str(LABELS);
    Ok(text)
}

impl Scrape {
    /// From the text format: `# HELP NAME …`, `# TYPE NAME KIND`, then the samples of that family.
    fn read(text: &str) -> Self {
        let mut all = Self::default();
        let mut help = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                rest.split_once(' ').map_or("", |(_, help)| help).clone_into(&mut help);
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                all.families.push(Family {
                    name: name.to_owned(),
                    kind: kind.to_owned(),
                    help: std::mem::take(&mut help),
                    labels: Vec::new(),
                });
            } else if let Some(family) = all.families.last_mut() {
                for (label, value) in labels(line) {
                    if !family.labels.contains(&label) {
                        family.labels.push(label.clone());
                    }
                    if label != OPEN_LABEL && family.name.starts_with("strongroom_") {
                        all.values.entry(label).or_default().insert(value);
                    }
                }
            }
        }
        all.families.retain(|family| family.name.starts_with("strongroom_"));
        all
    }
}

/// The labels of a sample, without the bounds of a histogram's buckets. No value of ours holds a quote or a comma.
fn labels(sample: &str) -> Vec<(String, String)> {
    let inside = sample
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map_or("", |(inside, _)| inside);
    let pairs = inside.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(label, _)| *label != "le")
        .map(|(label, value)| (label.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

/// What a fresh installation shows, in a folder that is gone afterwards.
async fn scrape() -> Result<String, String> {
    let folder = std::env::temp_dir().join(format!("strongroom-reference-{}", std::process::id()));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| format!("{} cannot be made: {error}.", folder.display()))?;
    let text = scrape_in(&folder).await;
    let _ = std::fs::remove_dir_all(&folder);
    text
}

async fn scrape_in(folder: &Path) -> Result<String, String> {
    let mut sources = Sources::default();
    sources.set("data_dir", &folder.to_string_lossy());
    sources.set("listen", "127.0.0.1:0");
    let config = Config::check(&sources, Vec::new()).map_err(|mistakes| mistakes.join(" "))?;
    let running = dev::run(&config, folder, &config.store).await?;
    let text = ask(&format!("http://{}/metrics", running.address)).await;
    running.stop().await;
    text.map_err(|error| format!("The metrics cannot be read: {error}."))
}

async fn ask(url: &str) -> reqwest::Result<String> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.get(url).send().await?.error_for_status()?.text().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_is_read() {
        let text = "# HELP strongroom_a Why, and how.\n# TYPE strongroom_a histogram\n\
                    strongroom_a_bucket{route=\"x\",le=\"0.5\"} 0\nstrongroom_a_sum{route=\"y\"} 0\n\
                    # HELP process_b B.\n# TYPE process_b gauge\nprocess_b{cpu=\"1\"} 3\n";
        let scrape = Scrape::read(text);
        assert_eq!(scrape.families.len(), 1);
        let family = &scrape.families[0];
        assert_eq!(
            (family.name.as_str(), family.kind.as_str(), family.help.as_str()),
            ("strongroom_a", "histogram", "Why, and how.")
        );
        assert_eq!(family.labels, ["route"]);
        let values: Vec<_> = scrape.values.into_iter().collect();
        assert_eq!(values, [("route".to_owned(), BTreeSet::from(["x".into(), "y".into()]))]);
    }
}
