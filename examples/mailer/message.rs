//! Mail messages of events.

use dbscript::DataError;
use lettre::Address;
use lettre::message::header::{ContentType, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Message};
use pgq::payload::Fields;
use pgq::{BoxError, Event};
use url::Host;

use crate::template::Template;

/// The event's field with the recipient's address.
const EMAIL: &str = "email";

/// The templates and the sender of all messages.
pub(crate) struct MessageTemplate {
    pub(crate) from: Mailbox,
    pub(crate) subject: Template,
    pub(crate) text: Template,
}

impl MessageTemplate {
    /// Renders the message of an event.
    ///
    /// # Errors
    ///
    /// The reason why the event has no valid message. A retry would fail in the same way.
    pub(crate) fn render(
        &self,
        queue: &str,
        event: &Event,
        fields: &Fields<'_>,
    ) -> Result<Message, BoxError> {
        let address = fields.require(EMAIL)?;
        let to = recipient(address)?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(one_line(&self.subject.fill(fields)?))
            .message_id(Some(self.message_id(queue, event.id())))
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .body(self.text.fill(fields)?)
            .map_err(BoxError::from)
    }

    /// Returns a `Message-ID` made of queue and event id, so that a duplicate of a message can be recognized.
    fn message_id(&self, queue: &str, event: i64) -> String {
        let escape = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '.' };
        let queue: String = queue.chars().map(escape).collect();
        format!("<pgq.{}.{event}@{}>", queue.trim_matches('.'), self.from.email.domain())
    }
}

/// Parses a single address without a name or other additions.
fn recipient(text: &str) -> Result<Address, DataError> {
    let invalid = || DataError::quoting(format!("`{}` is not one mail address", text.escape_debug()));
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(invalid());
    }
    text.parse().map(in_ascii).map_err(|_| invalid())
}

/// Returns the address with its domain in ASCII (punycode), as all servers support it.
pub(crate) fn in_ascii(address: Address) -> Address {
    match Host::parse(address.domain()) {
        Ok(Host::Domain(domain)) if !address.domain().is_ascii() => {
            Address::new(address.user(), domain).unwrap_or(address)
        }
        _ => address,
    }
}

/// Returns a text as one line, for a header.
fn one_line(text: &str) -> String {
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    printable.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_one_bare_address() {
        for good in ["kristo@example.com", "a+b.c@x-y.Example.com", "jürgen@example.com", "a@[127.0.0.1]"] {
            assert_eq!(recipient(good).expect(good).to_string(), good);
        }
        let address = recipient("jürgen@bücher.example").expect("an address");
        assert_eq!(address.to_string(), "jürgen@xn--bcher-kva.example");
        for bad in [
            "",
            "kristo",
            "@example.com",
            "a@b@",
            "a@example.com,b@example.com",
            "a@example.com;b@example.com",
            "Kaiv <a@example.com>",
            "<a@example.com>",
            "a@example.com\r\nBcc: b@example.com",
            "a@example.com\n",
            " a@example.com",
            "\"a\r\nRCPT TO:<b@example.com>\"@example.com",
            "a@example.com\u{2028}b",
            "a@example.com\0",
            "a@exa>mple.com",
            "a>b@example.com",
        ] {
            assert!(recipient(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_subject_is_one_line() {
        assert_eq!(one_line("Hi\r\nBcc: x@example.com\u{85}\0 there\t"), "Hi Bcc: x@example.com there");
    }
}
