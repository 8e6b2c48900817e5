//! Limits of a server's messages until the server is ready, since its identity is not yet proven (DESIGN.md, D86).

use std::io;

/// The longest request of an authentication, in bytes; libpq's limit.
const LONGEST_REQUEST: usize = 2000;
/// The longest error, in bytes; libpq's limit.
const LONGEST_ERROR: usize = 30_000;
/// The largest sum of all messages, notices and settings included, in bytes.
const ALL: usize = 1024 * 1024;
/// The size of a message's header (tag and length), in bytes.
const HEADER: usize = 5;
const READY: u8 = b'Z';
const ERROR: u8 = b'E';
/// The longest part of an old server's error that is shown, in bytes.
const SHOWN: usize = 200;

/// Checks a server's messages until the server is ready for statements, and refuses those that no PostgreSQL server
/// sends.
#[derive(Default)]
pub(super) struct Startup {
    header: Vec<u8>,
    /// The rest of the current message that was not read yet, in bytes.
    left: usize,
    total: usize,
    ready: bool,
}

impl Startup {
    /// Reads the next bytes of the server.
    ///
    /// # Errors
    ///
    /// Fails if a message, or the sum of all messages, is too long.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.total += bytes.len();
        if self.total > ALL {
            return Err(refused(format!("more than {ALL} bytes, and the server is not ready")));
        }
        while !bytes.is_empty() && !self.ready {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (HEADER - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.header.len() == HEADER {
                self.begin_message(bytes)?;
            }
        }
        Ok(())
    }

    /// Returns true if the server is ready.
    pub(super) fn is_over(&self) -> bool {
        self.ready
    }

    /// Begins the message of a complete header. `rest` contains the bytes after the header.
    fn begin_message(&mut self, rest: &[u8]) -> io::Result<()> {
        let header = std::mem::take(&mut self.header);
        let tag = header[0];
        let length = header[1..].iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
        let longest = match tag {
            b'R' => LONGEST_REQUEST,
            ERROR | b'K' | b'v' => LONGEST_ERROR,
            _ => ALL,
        };
        if length > longest {
            return Err(match tag {
                ERROR => refused(old_error(&header[1..], rest)),
                _ => refused(format!(
                    "a message `{}` of {length} bytes before the server is ready",
                    tag.escape_ascii()
                )),
            });
        }
        self.left = length.saturating_sub(HEADER - 1);
        self.ready = tag == READY;
        Ok(())
    }
}

/// Shows an error without a length, which servers before 7.4 send, and servers that cannot start a process.
fn old_error(begin: &[u8], rest: &[u8]) -> String {
    let text = begin.iter().chain(rest).copied().take_while(|byte| *byte != 0).take(SHOWN);
    let text = String::from_utf8_lossy(&text.collect::<Vec<_>>()).into_owned();
    format!("an error `{}`", text.trim().escape_debug())
}

fn refused(why: String) -> io::Error {
    let what = format!("the answer is not PostgreSQL's: {why}; check host and port");
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
    const READY: &[u8] = b"Z\0\0\0\x05I";

    fn message(tag: u8, length: usize) -> Vec<u8> {
        let announced = u32::try_from(length + 4).expect("short").to_be_bytes();
        [&[tag], announced.as_slice(), &vec![b'x'; length]].concat()
    }

    /// Reads in pieces of a size. Returns true if the server was ready.
    fn read(bytes: &[u8], piece: usize) -> Result<bool, String> {
        let mut startup = Startup::default();
        for part in bytes.chunks(piece) {
            startup.read(part).map_err(|error| error.to_string())?;
        }
        Ok(startup.is_over())
    }

    #[test]
    fn it_ends_when_the_server_is_ready_however_the_bytes_come() {
        let settings = message(b'S', 2000);
        let long = message(b'D', 2 * ALL);
        for piece in [1, 3, 7, 4096] {
            assert_eq!(read(&[OK, &settings, READY].concat(), piece), Ok(true), "{piece}");
            assert_eq!(read(&[OK, &settings].concat(), piece), Ok(false), "{piece}");
        }
        let mut startup = Startup::default();
        startup.read(&[OK, READY, &long[..1000]].concat()).expect("short");
        assert!(startup.is_over());
    }

    #[test]
    fn a_too_long_request_is_refused_by_its_header() {
        for (tag, length) in [(b'R', 2001), (b'E', 30_001), (b'N', ALL), (b'S', ALL)] {
            let error = read(&message(tag, length)[..HEADER], 2).expect_err("too long");
            assert!(error.contains("check host and port"), "{error}");
        }
        for (tag, length) in [(b'R', 1900), (b'E', 29_000), (b'N', 500_000)] {
            assert_eq!(read(&message(tag, length), 4096), Ok(false));
        }
        let many = message(b'N', 100).repeat(ALL / 100);
        assert!(read(&many, 4096).expect_err("too much").contains("is not ready"));
    }

    #[test]
    fn an_error_without_a_length_is_shown() {
        let error = read(b"Ecould not fork new process for connection: nothing left\n\0", 4096);
        let error = error.expect_err("an error");
        assert!(error.contains("`could not fork new process for connection: nothing left`"), "{error}");
        let error = read(b"HTTP/1.1 400 Bad Request\r\n\r\n", 4096).expect_err("another protocol");
        assert!(error.contains("message `H`"), "{error}");
    }
}
