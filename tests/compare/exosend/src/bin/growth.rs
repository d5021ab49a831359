//! Work of a given size, whose cost is measured from outside: `recipients N`, `session N`, `threads N` (100 messages in
//! all, over one shared account), `attach FILE`.

use std::thread;

use exosend::{Account, Attachment, Message, Session, send_mail};

fn main() -> Result<(), exosend::Error> {
    let account = Account::from_env()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [work, size] = &arguments[..] else {
        panic!("growth WORK SIZE");
    };
    let number = size.parse().unwrap_or(1);
    match work.as_str() {
        "recipients" => {
            let to_all = (1..number).fold(note(), |message, n| {
                message.bcc(format!("colleague{n}@example.com"))
            });
            println!("{}", send_mail(&account, &to_all)?);
        }
        "session" => {
            let mut session = Session::open(&account)?;
            for _ in 0..number {
                let _ = session.send(&note())?;
            }
            session.quit();
        }
        "threads" => {
            // The first fetches the token that all share.
            let _ = send_mail(&account, &note())?;
            thread::scope(|scope| {
                for n in 0..number {
                    let account = &account;
                    scope.spawn(move || {
                        for _ in (n..100).step_by(number) {
                            let _ = send_mail(account, &note()).unwrap();
                        }
                    });
                }
            });
        }
        "attach" => {
            let message = note().attach(Attachment::file(size).name("file"));
            println!("{}", send_mail(&account, &message)?);
        }
        _ => panic!("no such work: {work}"),
    }
    Ok(())
}

fn note() -> Message {
    Message::new()
        .to("ann@example.com")
        .subject("backup done")
        .text("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n".repeat(16))
}
