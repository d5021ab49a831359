//! DATA: from the 354 to the reply after the final dot.

use super::super::fault::Step;
use super::Dialogue;
use super::body::{Body, Taken};
use super::wire::{self, Flow};

impl Dialogue<'_> {
    pub(super) fn data(&mut self) -> Flow<()> {
        let ready = self
            .transaction
            .take_if(|transaction| !transaction.to.is_empty());
        let Some(transaction) = ready else {
            return self.out_of_sequence("DATA before RCPT (RFC 5321 4.1.4)");
        };
        if self.answer(Step::Data, "354 Start mail input; end with <CRLF>.<CRLF>")? / 100 != 3 {
            self.transaction = Some(transaction);
            return Ok(());
        }
        let taken = self.body()?;
        self.shared.note(format!("C: [{} octets]", taken.length));
        for violation in taken
            .violations
            .iter()
            .copied()
            .chain(transaction.check_body(&taken))
        {
            self.shared.violation(violation);
        }
        let reply = transaction.verdict(&taken, &self.shared.config);
        let fault = self.shared.fault(Step::Accept).map(|(_, fault)| fault);
        let said = fault
            .as_ref()
            .and_then(|fault| fault.bytes.as_deref())
            .unwrap_or(reply.as_bytes());
        // Before the reply is sent: a client that has read it finds its message here.
        if ![4, 5].contains(&(wire::code(said) / 100)) {
            self.shared
                .record()
                .delivered
                .push(transaction.delivered(taken));
        }
        match fault {
            Some(fault) => self.wire.perform(&fault, &reply).map(drop),
            None => {
                self.wire.say(&reply);
                Ok(())
            }
        }
    }

    fn body(&mut self) -> Flow<Taken> {
        let mut body = Body::new(self.shared.config.discard_bodies);
        let mut fault = self.shared.fault(Step::Body(0));
        let mut read = 0;
        loop {
            let limit = match &fault {
                Some((Step::Body(at), fault)) if read >= *at => {
                    self.wire.perform(fault, "")?;
                    u64::MAX
                }
                Some((Step::Body(at), _)) => at - read,
                _ => u64::MAX,
            };
            if limit == u64::MAX {
                fault = None;
            }
            let octets = self.wire.octets(limit)?;
            read += octets.len() as u64;
            if let Some(end) = body.push(&octets) {
                self.wire.unread(&octets[end..]);
                return Ok(body.finish());
            }
        }
    }
}
