//! Messages by Microsoft Graph.

#[path = "graph/answers.rs"]
mod answers;
#[path = "graph/sending.rs"]
mod sending;

use exosend::Message;

fn note() -> Message {
    Message::new()
        .to("ann@example.com")
        .subject("hello")
        .text("hello\n")
}
