//! From what is agreed to what the relay is told.

use super::answer::blank;
use super::session::{Dialog, Pending, Session};
use super::{Desk, session::Agreed};
use crate::{EndPlan, LocalPorts, Protection, RelayCommand, Side, StreamKind};

impl Session {
    /// Open the ports that an offer names, before it leaves. What flows goes on.
    pub(super) fn stage(&mut self, pending: &Pending, desk: &mut Desk<'_>) {
        for (index, offered) in pending.streams.iter().enumerate() {
            let Some(live) = &offered.live else {
                continue;
            };
            let plan = self.slots.get(index).and_then(|slot| slot.plan.as_deref());
            let bound = |side: Side, local: LocalPorts| {
                plan.is_some_and(|plan| side.of(plan).local == local)
            };
            if Side::BOTH
                .into_iter()
                .all(|side| bound(side, *side.of(&live.locals)))
            {
                continue;
            }
            let ends = Side::BOTH.map(|side| {
                let local = *side.of(&live.locals);
                match plan.map(|plan| side.of(plan)) {
                    Some(end) if end.local == local => end.clone(),
                    _ => {
                        let near = side == pending.offerer;
                        let remote = near.then(|| live.remote.clone());
                        EndPlan {
                            remote,
                            ..blank(&offered.said, local, desk)
                        }
                    }
                }
            });
            self.plan(index, Box::new(ends), desk);
        }
    }

    /// Bring the relay to what the selected dialog has agreed.
    pub(super) fn reconcile(&mut self, desk: &mut Desk<'_>) {
        let selected = self.selected;
        for index in 0..self.slots.len() {
            let dialog = self
                .dialogs
                .iter()
                .find(|dialog| Some(dialog.number) == selected);
            let wanted = dialog
                .and_then(|dialog| dialog.agreed_stream(index))
                .map(|stream| stream.ends.clone());
            let current = self.slots.get(index).and_then(|slot| slot.plan.as_ref());
            match wanted {
                Some(ends) if current != Some(&ends) => self.plan(index, ends, desk),
                None if current.is_some() && !self.is_awaited(index) => self.drop_plan(index, desk),
                _ => {}
            }
        }
        self.note_hold(desk);
    }

    /// Some answer may still open the stream.
    fn is_awaited(&self, index: usize) -> bool {
        let counts = |dialog: &&Dialog| {
            if self.confirmed {
                self.selected == Some(dialog.number)
            } else {
                true
            }
        };
        self.dialogs.iter().filter(counts).any(|dialog| {
            let pending = dialog.pending.as_ref();
            let stream = pending.and_then(|pending| pending.streams.get(index));
            stream.is_some_and(|stream| stream.live.is_some())
        })
    }

    fn plan(&mut self, index: usize, ends: Box<[EndPlan; 2]>, desk: &mut Desk<'_>) {
        let (Some(slot), Ok(stream)) = (self.slots.get_mut(index), u8::try_from(index)) else {
            return;
        };
        if !self.opened {
            self.opened = true;
            let timeouts = desk.config.timeouts;
            desk.commands.push_back(RelayCommand::Open {
                session: self.id,
                timeouts,
            });
        }
        slot.generation += 1;
        slot.plan = Some(ends.clone());
        desk.commands.push_back(RelayCommand::Stream {
            session: self.id,
            stream,
            generation: slot.generation,
            ends,
        });
    }

    fn drop_plan(&mut self, index: usize, desk: &mut Desk<'_>) {
        let (Some(slot), Ok(stream)) = (self.slots.get_mut(index), u8::try_from(index)) else {
            return;
        };
        slot.plan = None;
        desk.commands.push_back(RelayCommand::RemoveStream {
            session: self.id,
            stream,
        });
    }

    /// A call is held while no stream flows both ways.
    fn note_hold(&mut self, desk: &mut Desk<'_>) {
        let mut open = self
            .slots
            .iter()
            .filter_map(|slot| slot.plan.as_deref())
            .filter(|plan| plan.iter().all(|end| end.protection != Protection::Closed))
            .peekable();
        if open.peek().is_none() {
            return;
        }
        let held = !open.any(|plan| {
            plan.iter().all(|end| end.sends) || plan.iter().all(|end| end.kind == StreamKind::Udptl)
        });
        if held != self.held {
            self.held = held;
            desk.commands.push_back(RelayCommand::OnHold {
                session: self.id,
                held,
            });
        }
    }

    /// A dialog has agreed on something new.
    pub(super) fn settle(&mut self, dialog: usize, agreed: Option<Agreed>, desk: &mut Desk<'_>) {
        let Some(entry) = self.dialogs.get_mut(dialog) else {
            return;
        };
        entry.agreed = agreed;
        entry.drop_keys();
        if !self.confirmed {
            self.selected = Some(entry.number);
        }
        if self.selected == Some(entry.number) {
            self.reconcile(desk);
        }
    }
}
