//! What happened as a line of text, in the JSON that incoming webhooks of Slack, Mattermost and Rocket.Chat take.

use serde::Serialize;
use strongroom_domain::notice::Happened;

/// Of what stands between two backticks, escaped. The whole is far below what any of them takes.
const MOST: usize = 1_500;

#[derive(Serialize)]
pub(crate) struct Line {
    text: String,
}

pub(crate) fn line(happened: &Happened, namespace: &str) -> Line {
    let event = serde_json::to_value(happened.event).unwrap_or_default();
    let event = event.as_str().unwrap_or_default();
    let (about, namespace) = (code(&happened.about), code(namespace));
    let version = happened.version.map(|version| format!(", version {version}"));
    let due = happened.due.map(|due| format!(", due {due}"));
    let reason = happened.reason.as_ref().map(|reason| format!(": {}", code(reason)));
    let [version, due, reason] = [version, due, reason].map(Option::unwrap_or_default);
    let text = format!("*{event}* {about}{version}{due}, namespace {namespace}{reason}");
    Line { text }
}

/// As it stands: between backticks nothing is a link, a mention or a format to any of the three. The three characters that mean
/// something to Slack everywhere are escaped as it asks for.
fn code(said: &str) -> String {
    let mut text = String::from("`");
    for character in said.chars() {
        if text.len() > MOST {
            text.push('…');
            break;
        }
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '`' => text.push('\''),
            character if character.is_control() => text.push(' '),
            character => text.push(character),
        }
    }
    text.push('`');
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_domain::Time;
    use strongroom_domain::target::Event;

    use super::*;

    fn happened(about: &str, reason: Option<&str>) -> Happened {
        Happened {
            event: Event::RotationFailed,
            at: Time(0),
            about: about.into(),
            version: Some(3),
            due: None,
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn a_line_says_what_happened() {
        let told = line(&happened("app/db", Some("the target cannot be reached")), "root");
        assert_eq!(
            serde_json::to_string(&told).unwrap(),
            r#"{"text":"*rotation.failed* `app/db`, version 3, namespace `root`: `the target cannot be reached`"}"#
        );
        let told = Happened {
            event: Event::SecretExpiring,
            version: None,
            due: Some(Time(1_772_366_400_000_000)),
            ..happened("app/db", None)
        };
        assert_eq!(
            line(&told, "team").text,
            "*secret.expiring* `app/db`, due 2026-03-01T12:00:00.000000Z, namespace `team`"
        );
    }

    #[test]
    fn nothing_in_a_name_calls_anybody() {
        let text = line(&happened("a/<!channel>&`@all`\n*b*", None), "root").text;
        assert_eq!(
            text,
            "*rotation.failed* `a/&lt;!channel&gt;&amp;'@all' *b*`, version 3, namespace `root`"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_said_stays_between_its_backticks(about in ".{0,600}", reason in ".{0,9000}") {
            let text = line(&happened(&about, Some(&reason)), "root").text;
            prop_assert_eq!(text.matches('`').count(), 6);
            prop_assert!(!text.contains(['<', '>']) && !text.chars().any(char::is_control));
            prop_assert!(text.len() < 4_000, "{}", text.len());
            let escaped = text.matches("&amp;").count() + text.matches("&lt;").count() + text.matches("&gt;").count();
            prop_assert_eq!(text.matches('&').count(), escaped);
        }
    }
}
