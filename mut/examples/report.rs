//! A report in HTML with a chart in it, the same as text, and a file attached.
//!
//! ```sh
//! cargo run --example report -- ops@example.com Cargo.lock     # account from EXOSEND_* variables
//! ```

use exosend::{Account, Attachment, Message, send_mail};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(to), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: report RECIPIENT FILE".into());
    };
    let bars = [("home", 72), ("srv", 41), ("var", 93)];
    let text: String = bars
        .iter()
        .map(|(name, percent)| format!("{name:>6} {percent:3} %\n"))
        .collect();
    let message = Message::new()
        .to(to)
        .subject("Disk use \u{2014} one is nearly full")
        .header("Importance", "high")
        .text(format!("Disk use:\n\n{text}"))
        .html("<h1>Disk use</h1><img src=\"cid:chart\" alt=\"one bar for each disk\">")
        .attach(Attachment::bytes("chart.svg", chart(&bars)).inline("chart"))
        .attach(Attachment::file(file));
    println!("{}", send_mail(&Account::from_env()?, &message)?);
    Ok(())
}

fn chart(bars: &[(&str, u32)]) -> String {
    let bar = |(n, (name, percent)): (usize, &(&str, u32))| {
        let y = 30 * n;
        format!(
            "<rect y='{y}' width='{percent}' height='20'/><text x='{}' y='{}'>{name}</text>",
            percent + 5,
            y + 15
        )
    };
    let bars: String = bars.iter().enumerate().map(bar).collect();
    format!("<svg xmlns='http://www.w3.org/2000/svg' width='200' height='90'>{bars}</svg>")
}
