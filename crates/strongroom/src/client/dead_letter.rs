//! `strongroom dead-letter`

use strongroom_api::dead_letters::{DeadLetter as Letter, TellDeadLetter, UntoldNotice};
use strongroom_domain::ObjectId;
use strongroom_domain::notice::LetterAction;

use super::failure::Failure;
use super::output::{table, word};
use super::session::{Session, all_pages};

#[derive(Debug, clap::Subcommand)]
pub enum DeadLetter {
    /// List the notices that no webhook took, the oldest first
    List,
    /// Send dead letters again
    ///
    /// Ends with 6 if one is not taken; it is tried again then as any notice.
    Retry {
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Forget dead letters
    Discard {
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

impl DeadLetter {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::List => {
                let page = all_pages(async |query| client.dead_letters(&query).await).await?;
                output.show(&page, || rows(&page.items))
            }
            Self::Retry { ids } => {
                let untold = tell(session, &ids, LetterAction::Retry).await?;
                if untold.is_empty() {
                    return output.done(&format!("What was sent again is taken ({}).", ids.len()));
                }
                output.show(&untold, || rows_of_untold(&untold))?;
                Err(Failure::check_failed())
            }
            Self::Discard { ids } => {
                tell(session, &ids, LetterAction::Discard).await?;
                output.done(&format!("Forgotten ({}).", ids.len()))
            }
        }
    }
}

/// One after the other. Those that are not taken yet.
async fn tell(session: &Session, ids: &[String], action: LetterAction) -> Result<Vec<UntoldNotice>, Failure> {
    let parse =
        |id: &String| ObjectId::parse(id).ok_or_else(|| Failure::usage("An id is 32 lower-case hexadecimal digits."));
    let ids: Vec<ObjectId> = ids.iter().map(parse).collect::<Result<_, _>>()?;
    let mut untold = Vec::new();
    for id in ids {
        untold.extend(session.client.tell_dead_letter(id, &TellDeadLetter { action }).await?);
    }
    Ok(untold)
}

fn rows(letters: &[Letter]) -> String {
    let rows = letters.iter().map(|letter| {
        [
            letter.id.clone(),
            letter.target.to_string(),
            word(&letter.event),
            letter.about.clone(),
            letter.died_at.to_string(),
            letter.failure.clone(),
        ]
    });
    table(["ID", "TARGET", "EVENT", "ABOUT", "GIVEN UP", "WHY"], rows)
}

fn rows_of_untold(untold: &[UntoldNotice]) -> String {
    let rows = untold.iter().map(|notice| {
        let next = notice
            .next_at
            .map_or("a dead letter again".to_owned(), |next| next.to_string());
        let why = notice.failure.clone().unwrap_or_else(|| "not tried yet".into());
        [notice.id.clone(), notice.target.to_string(), next, why]
    });
    table(["ID", "TARGET", "NEXT TRY", "WHY"], rows)
}
