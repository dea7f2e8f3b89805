//! What an agent does as the callee: RFC 3261 sections 8.2, 9.2, 13.3 and 15.1.2.

use super::*;

impl Agent {
    pub(super) fn request(
        &mut self,
        now: Moment,
        id: TransactionId,
        message: Arc<Message>,
        flow: Flow,
    ) {
        let script = script_of(&message);
        let known = message.to_tag().is_some();
        match message.method() {
            Method::Invite if !known => {
                let Some(script) = script.and_then(|number| self.scripts.get(number)).cloned()
                else {
                    return;
                };
                self.called.insert(id, (message, flow));
                self.respond(now, id, 100);
                self.resolve(now + script.ring_after, Intent::Ring(id));
                let at = now + script.ring_after + script.answer_after;
                match script.answer {
                    Answer::Silence => self.resolve(now + PATIENCE, Intent::GiveUp(id)),
                    _ => self.resolve(at, Intent::Answer(id, script.number)),
                }
            }
            Method::Bye => {
                let key = dialog_key(&message, message.from_tag());
                let status = if self.dialogs.contains_key(&key) {
                    200
                } else {
                    481
                };
                if let Some(dialog) = self.dialogs.get_mut(&key) {
                    dialog.ended = true;
                }
                self.called.insert(id, (message, flow));
                self.respond(now, id, status);
            }
            method => {
                let refused = script
                    .and_then(|number| self.scripts.get(number))
                    .map(|script| script.answer);
                let status = match refused {
                    Some(Answer::Refuse(status)) if !known => status,
                    Some(Answer::Silence) if !known => {
                        self.resolve(now + PATIENCE, Intent::GiveUp(id));
                        return;
                    }
                    _ => 200,
                };
                let refuses = script
                    .and_then(|number| self.scripts.get(number))
                    .is_some_and(|script| script.refuses_again);
                self.called.insert(id, (message, flow));
                match method {
                    Method::Invite | Method::Update if refuses => self.respond(now, id, 488),
                    Method::Invite => self.accept(now, id, None),
                    _ => self.respond(now, id, status),
                }
            }
        }
    }

    pub(super) fn respond(&mut self, now: Moment, id: TransactionId, status: u16) {
        let Some((message, _)) = self.called.get(&id) else {
            return;
        };
        let body = match message.method() {
            Method::Update | Method::Prack if status < 300 => self.words(message, Reply::Good),
            // What it could do, and where: RFC 3261 section 11.2.
            Method::Options => sound::offer(Offer::Plain, self.address, 0, 1),
            _ => String::new(),
        };
        self.respond_with(now, id, status, &self.tag(), &[], &body);
    }

    fn respond_with(
        &mut self,
        now: Moment,
        id: TransactionId,
        status: u16,
        tag: &str,
        headers: &[&str],
        body: &str,
    ) {
        let Some((message, _)) = self.called.get(&id) else {
            return;
        };
        let bytes = text::response(message, status, tag, self.address, headers, body);
        let gone = self.layer.respond(now, id, status, bytes).is_err();
        if status >= 200 || gone {
            self.called.remove(&id);
        }
    }

    /// What the callee says of media to an INVITE or UPDATE.
    fn words(&self, request: &Message, reply: Reply) -> String {
        let number = script_of(request).unwrap_or_default();
        let offer = body_of(request);
        match reply {
            Reply::Bad => sound::GARBAGE.to_owned(),
            Reply::Missing => String::new(),
            _ if offer.is_empty() && request.method() != Method::Invite => String::new(),
            _ if offer.is_empty() => sound::offer(Offer::Plain, self.address, number, 1),
            _ => sound::answer(&offer, self.address, number),
        }
    }

    /// Rings, and says something early if the script wants that.
    pub(super) fn ring(&mut self, now: Moment, id: TransactionId) {
        let Some((message, _)) = self.called.get(&id) else {
            return;
        };
        let number = script_of(message).unwrap_or_default();
        let Some(reply) = self.scripts.get(number).map(|script| script.reply) else {
            return;
        };
        let (body, tag) = (self.words(message, reply), self.tag());
        match reply {
            Reply::Early => self.respond_with(now, id, 183, &tag, &[], &body),
            Reply::Reliable => {
                let headers = ["Require: 100rel", "RSeq: 1"];
                self.respond_with(now, id, 183, &tag, &headers, &body);
            }
            Reply::Forked if !body_of(message).is_empty() => {
                let other = format!("{tag}-other");
                self.respond_with(now, id, 183, &other, &[], &body);
            }
            _ => {}
        }
        self.respond(now, id, 180);
    }

    pub(super) fn answer(&mut self, now: Moment, id: TransactionId, number: usize) {
        match self.scripts[number].answer {
            Answer::Accept => self.accept(now, id, Some(number)),
            Answer::Refuse(status) => self.respond(now, id, status),
            Answer::Silence => {}
        }
    }

    /// 200 to an INVITE, repeated until its ACK; `number` for the first one.
    pub(super) fn accept(&mut self, now: Moment, id: TransactionId, number: Option<usize>) {
        let Some((message, flow)) = self.called.remove(&id) else {
            return;
        };
        let reply = number
            .and_then(|number| self.scripts.get(number))
            .map_or(Reply::Good, |script| script.reply);
        let body = self.words(&message, reply);
        let bytes = text::response(&message, 200, &self.tag(), self.address, &[], &body);
        if self.layer.respond(now, id, 200, bytes.clone()).is_err() {
            return;
        }
        let key = dialog_key(&message, message.from_tag());
        let local = text_of(&message, HeaderKind::To);
        let local = if local.contains(";tag=") {
            local
        } else {
            format!("{local};tag={}", self.tag())
        };
        let dialog = Dialog {
            call_id: String::from_utf8_lossy(message.call_id()).into_owned(),
            local,
            remote: text_of(&message, HeaderKind::From),
            target: contact_of(&message),
            routes: message.values(HeaderKind::RecordRoute).map(lossy).collect(),
            cseq: 1000,
            confirmed: true,
            acknowledged: false,
            ended: false,
        };
        match (number, self.dialogs.get_mut(&key)) {
            (None, Some(known)) => known.acknowledged = false,
            _ => {
                self.dialogs.insert(key.clone(), dialog);
            }
        }
        let repeat = Intent::Repeat {
            dialog: key.clone(),
            bytes,
            to: flow.reply(),
            interval: T1,
            since: now,
        };
        self.resolve(now + T1, repeat);
        let script = number.and_then(|number| self.scripts.get(number));
        if let Some(script) = script.filter(|script| script.hang_up != HangUp::Caller) {
            let talk = script.talk;
            self.resolve(now + talk, Intent::HangUp(key));
        }
    }

    pub(super) fn cancelled(
        &mut self,
        now: Moment,
        id: TransactionId,
        target: Option<TransactionId>,
        message: &Message,
    ) {
        let status = if target.is_some() { 200 } else { 481 };
        let bytes = text::response(message, status, &self.tag(), self.address, &[], "");
        let _gone = self.layer.respond(now, id, status, bytes);
        if let Some(target) = target {
            self.respond(now, target, 487);
        }
    }
}
