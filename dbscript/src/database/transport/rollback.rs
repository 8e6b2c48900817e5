//! Detection of a rollback, which is the last statement of an abandoned connection.

/// The message with which the driver rolls back when a transaction is dropped.
const ROLLBACK: &[u8] = b"Q\0\0\0\x0dROLLBACK\0";
/// The message of a server that is ready and in no transaction.
const READY: &[u8] = b"Z\0\0\0\x05I";

/// Follows the messages of a connection and notices a rollback in progress.
#[derive(Default)]
pub(super) struct Rollback {
    is_due: bool,
    /// The last bytes that were read since the rollback was sent.
    tail: Vec<u8>,
}

impl Rollback {
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    pub(super) fn written(&mut self, bytes: &[u8]) {
        self.is_due = bytes.ends_with(ROLLBACK);
        self.tail.clear();
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        if !self.is_due {
            return;
        }
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(READY.len())..]);
        self.tail.drain(..self.tail.len().saturating_sub(READY.len()));
        self.is_due = self.tail != READY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_until_the_server_is_ready_however_the_bytes_come() {
        for piece in 1..20 {
            let mut rollback = Rollback::default();
            rollback.written(b"Q\0\0\0\x0bselect\0");
            assert!(!rollback.is_due());
            rollback.written(&[b"X".as_slice(), ROLLBACK].concat());
            for part in [b"C\0\0\0\x0dROLLBACK\0".as_slice(), READY].concat().chunks(piece) {
                assert!(rollback.is_due(), "{piece}");
                rollback.read(part);
            }
            assert!(!rollback.is_due(), "{piece}");
        }
    }
}
