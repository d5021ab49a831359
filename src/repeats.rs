//! Whether the server repeats what it was told. Pure: no I/O.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Letters and digits of the secrets that no line of the server's may carry into a log or an error.
#[derive(Default)]
pub(crate) struct Secrets(Vec<Zeroizing<Vec<u8>>>);

impl Secrets {
    pub(crate) fn add(&mut self, secret: &Secret) {
        self.0.push(bare(secret.expose().as_bytes()));
    }

    /// Whether a text holds one of them, or a piece of 35 letters and digits: as it is, in other cases, with anything strewn
    /// between them, backwards, as base64 or hexadecimal digits.
    pub(crate) fn are_in(&self, text: &[u8]) -> bool {
        let mut plain = bare(text);
        let mut found = self.have(&plain) || decoded(text).any(|inner| self.have(&bare(&inner)));
        plain.reverse();
        found |= self.have(&plain);
        found
    }

    /// Looks for pieces of the text that overlap by half, so that any 35 characters in a row hold a whole one: the work
    /// grows with the length of the text, whatever is in it.
    fn have(&self, text: &[u8]) -> bool {
        const PIECE: usize = 24;
        text.windows(PIECE).step_by(PIECE / 2).any(|piece| {
            let first = piece.first().copied().unwrap_or_default();
            self.0.iter().any(|secret| {
                let begins = |at| secret.get(at..).is_some_and(|rest| rest.starts_with(piece));
                memchr::memchr_iter(first, secret).any(begins)
            })
        })
    }
}

/// Its letters, in small ones, and digits.
fn bare(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bare = Zeroizing::new(Vec::with_capacity(text.len()));
    let kept = text.iter().filter(|b| b.is_ascii_alphanumeric());
    bare.extend(kept.map(u8::to_ascii_lowercase));
    bare
}

/// What long words say as base64 of either alphabet, or as hexadecimal digits, wherever in the word it begins.
fn decoded(text: &[u8]) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let packed: Vec<u8> = text
        .iter()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| match b {
            b'-' => b'+',
            b'_' => b'/',
            &b => b,
        })
        .collect();
    let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let mut found = Vec::new();
    for run in packed.split(|b| !word(b)).filter(|run| run.len() >= 32) {
        for start in 0..4 {
            let run = run.get(start..).unwrap_or_default();
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
        secrets.add(&Secret::new(TOKEN.into()));
        secrets.are_in(text.as_bytes())
    }

    #[test]
    fn in_pieces_and_in_other_clothes() {
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
    fn what_servers_say_is_shown() {
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
