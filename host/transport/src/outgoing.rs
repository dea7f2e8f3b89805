//! A message on its way out and the promise to say when it did not leave.
//!
//! A [`Report`] that is dropped unspoken reports [`SendError::Closed`], so no
//! path on which a connection ends can forget the transactions in its queue.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sip_transaction::TransactionId;
use tokio::sync::Notify;

use crate::inbound::SendError;

/// Failures that wait for one worker: 65,536, as many as a worker may have
/// transactions. Beyond it a failure is forgotten and Timer B or F tells.
const FAILURES_MAX: usize = 65_536;

/// Failures that wait for the worker that sent the messages.
#[derive(Debug, Default)]
pub(crate) struct FailureQueue {
    failures: Mutex<VecDeque<(TransactionId, SendError)>>,
    wake: Notify,
}

impl FailureQueue {
    pub(crate) fn push(&self, transaction: TransactionId, error: SendError) {
        let mut failures = self.failures.lock();
        if failures.len() < FAILURES_MAX {
            failures.push_back((transaction, error));
        }
        drop(failures);
        self.wake.notify_one();
    }

    /// The next failure, as soon as there is one.
    pub(crate) async fn next(&self) -> (TransactionId, SendError) {
        loop {
            if let Some(failure) = self.failures.lock().pop_front() {
                return failure;
            }
            self.wake.notified().await;
        }
    }
}

/// The duty to tell a transaction that its message did not leave.
#[derive(Debug)]
pub(crate) struct Report {
    transaction: TransactionId,
    failures: Option<Arc<FailureQueue>>,
}

impl Report {
    pub(crate) fn new(transaction: TransactionId, failures: &Arc<FailureQueue>) -> Self {
        Report {
            transaction,
            failures: Some(Arc::clone(failures)),
        }
    }

    /// Nothing is to be told any more.
    pub(crate) fn settle(mut self) {
        self.failures = None;
    }

    /// The message did not arrive.
    pub(crate) fn fail(mut self, error: SendError) {
        self.speak(error);
    }

    fn speak(&mut self, error: SendError) {
        if let Some(failures) = self.failures.take() {
            failures.push(self.transaction, error);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.speak(SendError::Closed);
    }
}

/// Bytes to write, and whom to tell if that fails.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Bytes,
    report: Option<Report>,
}

impl Outgoing {
    pub(crate) fn new(bytes: Bytes, report: Option<Report>) -> Self {
        Outgoing { bytes, report }
    }

    /// The bytes were handed to the kernel.
    pub(crate) fn sent(self) {
        if let Some(report) = self.report {
            report.settle();
        }
    }

    /// The bytes were handed to the kernel, but whether they arrive is open.
    pub(crate) fn into_report(self) -> Option<Report> {
        self.report
    }

    /// The bytes will not be sent.
    pub(crate) fn fail(self, error: SendError) {
        if let Some(report) = self.report {
            report.fail(error);
        }
    }
}
