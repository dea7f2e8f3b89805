//! What an agent does as the caller, and with every dialog: RFC 3261 sections
//! 9.1, 13.2, 14.1 and 15.1.

use super::*;

impl Agent {
    pub(super) fn start(&mut self, now: Moment, number: usize) {
        let script = self.scripts[number].clone();
        let body = match script.method {
            "INVITE" => sound::offer(script.offer, self.address, number, 1),
            _ => String::new(),
        };
        let message = text::Request {
            method: script.method,
            uri: &script.callee(),
            address: self.address,
            branch: &self.branch(),
            from: &format!("<{CALLER}>;tag={}", script.caller_tag()),
            to: &format!("<{}>", script.callee()),
            call_id: &script.call_id(),
            cseq: 1,
            routes: &[],
            rack: None,
            body: &body,
        }
        .message();
        let Ok(id) = self.layer.request(now, message.clone(), to(self.proxy)) else {
            return;
        };
        self.calling.insert(id, (number, message));
        if script.method == "INVITE" {
            // A caller who was told 100 and nothing else hangs up some day.
            self.resolve(now + PATIENCE, Intent::GiveUp(id));
            if let Some(after) = script.cancel_after {
                self.resolve(now + after, Intent::Cancel(id));
            }
        }
    }

    pub(super) fn cancel(&mut self, now: Moment, id: TransactionId) {
        // RFC 3261 section 9.1: pointless after a final response.
        let Some((number, invite)) = self.calling.get(&id) else {
            return;
        };
        if self.finals.contains_key(number) {
            return;
        }
        let cancel = sip_message::build::cancel_for(invite);
        let message = Message::parse_datagram(cancel, &sip_message::Limits::default())
            .expect("a CANCEL of ours");
        // The branch may be in use when CANCEL was sent before.
        let _refused = self.layer.request(now, message, to(self.proxy));
    }

    pub(super) fn response(&mut self, now: Moment, id: TransactionId, message: &Message) {
        let status = message.status().unwrap_or_default();
        let Some((number, request)) = self.calling.get(&id) else {
            return;
        };
        let (number, late) = (*number, request.body().is_empty());
        if status > 100 && status < 200 && message.header(HeaderKind::RSeq).is_some() {
            self.acknowledge_early(now, number, late, message);
        }
        if status < 200 || message.method() == Method::Cancel {
            return;
        }
        let first = message.cseq().number == 1;
        if first {
            self.finals.entry(number).or_default().push(status);
        }
        if message.method() != Method::Invite || status >= 300 {
            return;
        }
        let key = dialog_key(message, message.to_tag());
        let known = self.dialogs.get(&key);
        let fresh = first && known.is_none_or(|dialog| !dialog.confirmed);
        let answer = self.late_answer(number, late, message);
        if fresh {
            let cseq = known.map_or(1, |early| early.cseq);
            self.learn(&key, message, cseq, true);
        }
        self.send(now, &key, "ACK", Some(message.cseq().number), None, &answer);
        if !fresh {
            return;
        }
        let script = self.scripts[number].clone();
        if let Some((after, method, offer)) = script.in_dialog_after {
            self.resolve(now + after, Intent::InDialog(key.clone(), method, offer));
        }
        if script.hang_up != HangUp::Callee {
            self.resolve(now + script.talk, Intent::HangUp(key));
        }
    }

    /// The answer that an ACK or PRACK brings, if the request had no offer and the response
    /// has one.
    fn late_answer(&self, number: usize, late: bool, message: &Message) -> String {
        if !late || message.body().is_empty() {
            return String::new();
        }
        if self.scripts[number].bad_ack {
            return sound::GARBAGE.to_owned();
        }
        sound::answer(&body_of(message), self.address, number)
    }

    fn learn(&mut self, key: &str, message: &Message, cseq: u32, confirmed: bool) {
        let mut routes: Vec<String> = message.values(HeaderKind::RecordRoute).map(lossy).collect();
        routes.reverse();
        let dialog = Dialog {
            call_id: lossy(message.call_id()),
            local: text_of(message, HeaderKind::From),
            remote: text_of(message, HeaderKind::To),
            target: contact_of(message),
            routes,
            cseq,
            confirmed,
            acknowledged: true,
            ended: false,
        };
        self.dialogs.insert(key.to_owned(), dialog);
    }

    /// PRACK: RFC 3262 section 4.
    fn acknowledge_early(&mut self, now: Moment, number: usize, late: bool, message: &Message) {
        let key = dialog_key(message, message.to_tag());
        if self.dialogs.contains_key(&key) {
            return;
        }
        self.learn(&key, message, 1, false);
        let answer = self.late_answer(number, late, message);
        let rack = format!("1 {} INVITE", message.cseq().number);
        self.send(now, &key, "PRACK", None, Some(&rack), &answer);
    }

    pub(super) fn in_dialog(&mut self, now: Moment, key: &str, method: &'static str, offer: Offer) {
        let Some(dialog) = self.dialogs.get(key) else {
            return;
        };
        let number = number_of(&dialog.call_id).unwrap_or_default();
        let body = match (method, offer) {
            ("INFO", _) => String::new(),
            // An UPDATE without an offer would be a refresh, and is one.
            _ => sound::offer(offer, self.address, number, 2),
        };
        self.send(now, key, method, None, None, &body);
    }

    pub(super) fn hang_up(&mut self, now: Moment, key: &str) {
        self.send(now, key, "BYE", None, None, "");
        if let Some(dialog) = self.dialogs.get_mut(key) {
            dialog.ended = true;
        }
    }

    /// A request within a dialog; `cseq` for the ACK of that INVITE.
    fn send(
        &mut self,
        now: Moment,
        key: &str,
        method: &'static str,
        cseq: Option<u32>,
        rack: Option<&str>,
        body: &str,
    ) {
        let branch = self.branch();
        let Some(dialog) = self.dialogs.get_mut(key) else {
            return;
        };
        if dialog.ended && cseq.is_none() {
            return;
        }
        if cseq.is_none() {
            dialog.cseq += 1;
        }
        let request = text::Request {
            method,
            uri: &dialog.target,
            address: self.address,
            branch: &branch,
            from: &dialog.local,
            to: &dialog.remote,
            call_id: &dialog.call_id,
            cseq: cseq.unwrap_or(dialog.cseq),
            routes: &dialog.routes,
            rack,
            body,
        };
        let hop = next_hop(&dialog.routes).unwrap_or(self.proxy);
        let message = request.message();
        if method == "ACK" {
            self.layer
                .transmit_stateless(to(hop), message.bytes().clone());
        } else if let Ok(id) = self.layer.request(now, message.clone(), to(hop)) {
            let number = script_of(&message).unwrap_or_default();
            self.calling.insert(id, (number, message));
            self.resolve(now + PATIENCE, Intent::GiveUp(id));
        }
    }
}
