//! What each peer does, with exosend: one note; `attach FILE`; or `session COUNT`, messages of 10 KB over one session.
//! With the feature by Microsoft Graph, at `GRAPH`.

use exosend::{Account, Attachment, Message, Session, send_mail};

fn main() -> Result<(), exosend::Error> {
    let account = Account::from_env()?;
    #[cfg(feature = "graph")]
    let account = account
        .transport(exosend::Transport::Graph)
        .graph_endpoint(std::env::var("GRAPH").unwrap_or_default());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["attach", file] => {
            let message = note(16).attach(Attachment::file(file).name("file"));
            println!("{}", send_mail(&account, &message)?);
        }
        ["session", count] => {
            let mut session = Session::open(&account)?;
            for _ in 0..count.parse().unwrap_or(1) {
                println!("{}", session.send(&note(160))?);
            }
            session.quit();
        }
        _ => println!("{}", send_mail(&account, &note(16))?),
    }
    Ok(())
}

fn note(lines: usize) -> Message {
    Message::new()
        .to("ann@example.com")
        .subject("backup done")
        .text("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n".repeat(lines))
}
