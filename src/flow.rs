//! What a message is read from, and what it is written to. Not `dyn Read` and `dyn Write`: their other methods, read_to_end
//! to write_fmt, would be compiled anew for each type.

// The command uses this module, too (`command.rs`).
#![allow(unreachable_pub)]

use std::io::{self, Read, Write};

/// What a message is read from.
pub trait Source {
    /// As [`Read::read`].
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;
}

impl<R: Read> Source for R {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Read::read(self, into)
    }
}

/// What a message is written to.
pub trait Sink {
    /// As [`Write::write_all`].
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl<W: Write> Sink for W {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }
}

/// `io::copy` with a small block: `to` checks its deadline at each write.
pub(crate) fn copy(from: &mut dyn Source, to: &mut dyn Sink) -> io::Result<()> {
    let mut block = vec![0; 8 * 1024];
    loop {
        match from.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(n) => match block.get(..n) {
                Some(piece) => to.write_all(piece)?,
                None => {
                    return Err(io::Error::other(
                        "the reader returned a length beyond its buffer",
                    ));
                }
            },
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
