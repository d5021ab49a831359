//! A message as DATA wants it. Pure: no sockets.

use std::io;

use crate::flow::Sink;

/// A block leaves when it holds this much, a TLS record.
const BLOCK: usize = 16 * 1024;

/// Writes a message as RFC 5321 4.5.2 has it: lines end in CRLF, a dot that begins a line is doubled, a lone dot ends it all.
///
/// A bare LF or CR becomes CRLF: servers disagree on whether it ends a line, and where one of them takes `\n.\n` for the
/// end of the message, what follows is smuggled as another. What leaves has CR and LF only as pairs, and `\r\n.\r\n` only
/// where [`finish`](Self::finish) put it.
///
/// Whole blocks go to `out`. The last one stays here until `finish` returns it *with* the final dot, so that both
/// leave in one write.
#[derive(Debug)]
pub(crate) struct DotWriter<W> {
    out: W,
    block: Vec<u8>,
    /// The next byte begins a line.
    line_start: bool,
    /// A CR has been read whose meaning depends on the next byte.
    cr: bool,
}

impl<W: Sink> DotWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        // Room for one line beyond the block: it is cut only between lines or pieces of a line.
        Self {
            out,
            block: Vec::with_capacity(BLOCK + 1024),
            line_start: true,
            cr: false,
        }
    }

    /// The last block, the final dot in it.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.cr || !self.line_start {
            self.end_line();
        }
        self.block.extend_from_slice(b".\r\n");
        self.block
    }

    fn end_line(&mut self) {
        self.block.extend_from_slice(b"\r\n");
        self.line_start = true;
        self.cr = false;
    }

    /// A piece without CR and LF.
    fn text(&mut self, text: &[u8]) {
        if self.line_start && text.first() == Some(&b'.') {
            self.block.push(b'.');
        }
        self.block.extend_from_slice(text);
        self.line_start = self.line_start && text.is_empty();
    }

    fn pass_on(&mut self) -> io::Result<()> {
        if self.block.len() >= BLOCK {
            self.out.write_all(&self.block)?;
            self.block.clear();
        }
        Ok(())
    }

    fn feed(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while let Some((&first, behind)) = rest.split_first() {
            if self.cr {
                self.end_line();
                if first == b'\n' {
                    rest = behind;
                }
            } else if first == b'\n' {
                self.end_line();
                rest = behind;
            } else if first == b'\r' {
                self.cr = true;
                rest = behind;
            } else {
                let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                let (text, behind) = rest.split_at(end);
                self.text(text);
                rest = behind;
            }
            self.pass_on()?;
        }
        Ok(())
    }
}

impl<W: Sink> Sink for DotWriter<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A line may be of any length, the block may not.
        bytes.chunks(BLOCK).try_for_each(|piece| self.feed(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dotted(pieces: &[&[u8]]) -> Vec<u8> {
        let mut sent = Vec::new();
        let mut writer = DotWriter::new(&mut sent);
        for piece in pieces {
            writer.write_all(piece).unwrap();
        }
        let last = writer.finish();
        sent.extend(last);
        sent
    }

    /// RFC 5321 4.5.2 from the receiver's side, as simply as possible.
    fn received(sent: &[u8]) -> Vec<u8> {
        let sent = sent.strip_suffix(b".\r\n").expect("ends in a dot");
        let mut text = Vec::new();
        for line in sent.split_inclusive(|&b| b == b'\n') {
            let line = line.strip_suffix(b"\r\n").expect("every line ends in CRLF");
            assert!(!line.contains(&b'\r'), "a bare CR in {sent:?}");
            assert_ne!(line, b".", "the message ends early: {sent:?}");
            text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            text.extend_from_slice(b"\r\n");
        }
        text
    }

    /// The text with every line ending made CRLF, computed in another way.
    fn canonical(text: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(text.to_vec())
            .unwrap()
            .replace("\r\n", "\n")
            .replace('\r', "\n");
        let mut text = text.replace('\n', "\r\n");
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str("\r\n");
        }
        text.into_bytes()
    }

    #[test]
    fn dots_are_doubled_and_line_ends_are_crlf() {
        assert_eq!(dotted(&[b""]), b".\r\n");
        assert_eq!(dotted(&[b"a"]), b"a\r\n.\r\n");
        assert_eq!(
            dotted(&[b".\n..\n.a\nb."]),
            b"..\r\n...\r\n..a\r\nb.\r\n.\r\n"
        );
        assert_eq!(dotted(&[b"a\rb\r"]), b"a\r\nb\r\n.\r\n");
    }

    /// Every text of up to six of the four bytes that matter, cut at every place.
    #[test]
    fn every_short_text_is_received_as_it_was_wherever_it_is_cut() {
        let mut cases = 0;
        for length in 0..=6u32 {
            for n in 0..4usize.pow(length) {
                let text: Vec<u8> = (0..length)
                    .map(|i| b".\r\na"[n / 4usize.pow(i) % 4])
                    .collect();
                let whole = dotted(&[&text]);
                assert_eq!(received(&whole), canonical(&text), "{text:?}");
                for cut in 0..=text.len() {
                    assert_eq!(
                        whole,
                        dotted(&[&text[..cut], &text[cut..]]),
                        "{text:?} at {cut}"
                    );
                    cases += 1;
                }
            }
        }
        assert_eq!(cases, 36_409);
    }

    #[test]
    fn a_full_block_is_written_at_once_and_the_last_holds_the_dot() {
        struct Sizes(Vec<usize>);
        impl Sink for &mut Sizes {
            fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
                self.0.push(bytes.len());
                Ok(())
            }
        }
        let mut sizes = Sizes(Vec::new());
        let mut writer = DotWriter::new(&mut sizes);
        writer
            .write_all(&b"0123456789abcde\n".repeat(10_000))
            .unwrap();
        assert!(writer.block.capacity() < 3 * BLOCK);
        let last = writer.finish();
        assert!(last.ends_with(b"\r\n.\r\n"));
        assert_eq!(sizes.0.iter().sum::<usize>() + last.len(), 170_003);
        assert!(sizes.0.iter().all(|&n| (BLOCK..2 * BLOCK).contains(&n)));
    }
}
