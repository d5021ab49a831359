//! Whether a text of the server repeats a secret. Pure: no I/O.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// So many letters and digits in a row tell a secret from what servers say.
const PIECE: usize = 2 * HALF;
const HALF: usize = 12;

/// The secrets that no line of the server's may carry into a log or an error.
#[derive(Default)]
pub(crate) struct Secrets {
    bare: Vec<Zeroizing<Vec<u8>>>,
    /// A Bloom filter, in bits, of how the halves of all pieces begin: a part of a text is compared with the secrets only if
    /// both its halves begin like some of these. Not wiped: it tells a quarter of a secret, in no order.
    beginnings: Vec<u32>,
}

impl Secrets {
    pub(crate) fn add(&mut self, secret: &str) {
        let secret = bare(secret.as_bytes());
        self.beginnings.resize(32 * 32, 0);
        for (at, bit) in secret.chunks_exact(HALF).map(beginning) {
            if let Some(bits) = self.beginnings.get_mut(at) {
                *bits |= bit;
            }
        }
        self.bare.push(secret);
    }

    /// Whether a text holds one of them, or a piece of 35 letters and digits: as it is, in other cases, with anything strewn
    /// between them, backwards, as base64 or hexadecimal digits.
    pub(crate) fn are_in(&self, text: &[u8]) -> bool {
        if self.bare.is_empty() {
            return false;
        }
        let mut plain = bare(text);
        let mut found = self.have(&plain) || decoded(text).any(|inner| self.have(&bare(&inner)));
        plain.reverse();
        found |= self.have(&plain);
        found
    }

    fn have(&self, text: &[u8]) -> bool {
        let is_known = |half: &[u8]| {
            let (at, bit) = beginning(half);
            self.beginnings.get(at).is_some_and(|bits| bits & bit != 0)
        };
        text.windows(PIECE).any(|part| {
            let is_in = |secret: &Zeroizing<Vec<u8>>| {
                pieces(secret).any(|piece| piece.eq_ignore_ascii_case(part))
            };
            part.chunks(HALF).all(is_known) && self.bare.iter().any(is_in)
        })
    }
}

/// Pieces that overlap by half: any 35 characters in a row hold a whole one.
fn pieces(secret: &[u8]) -> impl Iterator<Item = &[u8]> {
    secret.windows(PIECE).step_by(HALF)
}

/// The place of the bit for the first three characters. Of each, five bits count, which are the same in both cases.
fn beginning(half: &[u8]) -> (usize, u32) {
    let first = half.iter().take(3);
    let number = first.fold(0, |number, c| 32 * number + usize::from(c % 32));
    (number / 32, 1 << (number % 32))
}

/// The letters and digits of a text.
fn bare(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bare = Zeroizing::new(text.to_vec());
    bare.retain(u8::is_ascii_alphanumeric);
    bare
}

/// Long words decoded as base64, of either alphabet, and as hexadecimal digits, from each place where these may begin.
fn decoded(text: &[u8]) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(text.to_vec());
    packed.retain(|b| !b.is_ascii_whitespace());
    for b in packed.iter_mut() {
        match b {
            b'-' => *b = b'+',
            b'_' => *b = b'/',
            _ => {}
        }
    }
    let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let mut found = Vec::new();
    for run in packed.split(|b| !word(b)).filter(|run| run.len() >= 32) {
        for start in 0..4 {
            // With zeros that fill up the last group of four, which may be cut short.
            let run = Zeroizing::new([run.get(start..).unwrap_or_default(), b"AAA"].concat());
            let whole = run.get(..run.len() / 4 * 4).unwrap_or_default();
            found.extend(STANDARD.decode(whole).map(Zeroizing::new));
        }
    }
    let nibble = |digit: Option<&u8>| char::from(*digit?).to_digit(16);
    let digits = packed.split(|b| !b.is_ascii_hexdigit());
    for run in digits.filter(|run| run.len() >= 48) {
        for start in [0, 1] {
            let pairs = run.get(start..).unwrap_or_default().chunks(2);
            let bytes = pairs.filter_map(|pair| {
                u8::try_from(nibble(pair.first())? * 16 + nibble(pair.get(1))?).ok()
            });
            found.push(Zeroizing::new(bytes.collect::<Vec<_>>()));
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str =
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.QWxsIGlzIHdlbGwsIHNpciw-bm9ib2R5X2tub3dz.c2lnbmF0dXJl";

    fn repeats(text: &str) -> bool {
        let mut secrets = Secrets::default();
        secrets.add(TOKEN);
        secrets.are_in(text.as_bytes())
    }

    #[test]
    fn a_token_in_pieces_or_another_form_is_found() {
        let hex: String = TOKEN.bytes().map(|b| format!("{b:02X}")).collect();
        let strewn: Vec<String> = TOKEN
            .as_bytes()
            .chunks(7)
            .map(|c| String::from_utf8_lossy(c).into())
            .collect();
        let base64 = STANDARD.encode(TOKEN);
        for text in [
            TOKEN.to_owned(),
            format!("no: {}", &TOKEN[20..56]),
            strewn.join(" "),
            strewn.join("\", \""),
            TOKEN.to_uppercase(),
            TOKEN.chars().rev().collect(),
            base64.clone(),
            format!("reason{base64}"),
            base64.replace('+', "-").replace('/', "_"),
            hex.to_lowercase(),
            format!("0x{hex}"),
            TOKEN.replace('.', "%2e").replace('-', "%2D"),
        ] {
            assert!(repeats(&text), "{text}");
        }
    }

    #[test]
    fn any_35_letters_and_digits_in_a_row_are_found() {
        let bare: Vec<_> = TOKEN.chars().filter(char::is_ascii_alphanumeric).collect();
        for run in bare.windows(35) {
            let forth: String = run.iter().collect();
            let back: String = run.iter().rev().collect();
            assert!(repeats(&forth) && repeats(&back.to_uppercase()), "{forth}");
            assert!(!repeats(&forth[..23]), "{forth}");
            for before in ["", "=", "=="] {
                let told = format!("{before}{forth}");
                let base64 = STANDARD.encode(&told);
                let hex: String = told.bytes().map(|b| format!("{b:02x}")).collect();
                for other in [format!("b{base64}"), base64.replace('=', ""), hex] {
                    assert!(repeats(&other), "{told} as {other}");
                }
            }
        }
    }

    #[test]
    fn usual_replies_are_not_taken_for_a_token() {
        for text in [
            "5.7.3 Authentication unsuccessful [AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM 2026-11-24T09:00:00.000Z 08DE000000000000]",
            "2.6.0 <d41d8cd98f00b204e9800998ecf8427e@contoso.com> [InternalId=1234567890, Hostname=AM0PR01MB0001.eurprd01.prod.exchangelabs.com]",
            "eyJ0eXAiOiJKV1QiLCJh",
            "eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIG1hYyIsInNjb3BlIjoiaHR0cHM6Ly9tYWlsLmdvb2dsZS5jb20vIn0=",
        ] {
            assert!(!repeats(text), "{text}");
        }
    }
}
