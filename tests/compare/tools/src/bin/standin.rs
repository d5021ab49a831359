//! `standin CA_FILE`: the stand-in of the tests as a process. Writes its root certificate and prints its addresses and
//! its account, one word after the other, and the port of Graph in a line of its own; then serves until it is ended.

#[path = "../../../../exchange/mod.rs"]
mod exchange;

use exchange::Exchange;

fn main() {
    let ca_file = std::env::args().nth(1).expect("standin CA_FILE");
    let exchange = Exchange::builder()
        .discard_bodies()
        // 140 MiB in base64 is over the 150 MiB that Exchange can be told to take.
        .extension("SIZE 400000000")
        .start();
    std::fs::write(ca_file, exchange.ca_pem()).expect("the root certificate's file");
    let port = |url: String| url.rsplit(':').next().expect("a port").to_owned();
    println!(
        "{} {} {} {} {} {}",
        exchange.port(),
        port(exchange.authority()),
        exchange.mailbox(),
        exchange.tenant(),
        exchange.client_id(),
        exchange.client_secret(),
    );
    println!("{}", port(exchange.graph_endpoint()));
    loop {
        std::thread::park();
    }
}
