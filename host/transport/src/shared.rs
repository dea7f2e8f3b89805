//! What all workers of a proxy share.

use std::sync::{Arc, Weak};
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use sip_transaction::ListenerId;

use crate::admission::Admission;
use crate::config::TransportConfig;
use crate::figures::{Counters, Figures};
use crate::steering::Steering;
use crate::table::ConnectionTable;

/// The connections, ceilings and settings that all workers share. Made once,
/// handed to each worker thread.
#[derive(Debug)]
pub struct SharedTransport {
    config: ArcSwap<TransportConfig>,
    pub(crate) table: ConnectionTable,
    pub(crate) admission: Arc<Admission>,
    /// One for each worker ever made; workers are made once, at start.
    counters: Mutex<Vec<Arc<Counters>>>,
    /// Of listeners that are open on some worker; few, and as many as are configured.
    steering: Mutex<Vec<(ListenerId, Weak<Steering>)>>,
}

impl SharedTransport {
    /// No connection yet, and the given settings.
    #[must_use]
    pub fn new(config: TransportConfig) -> Arc<Self> {
        Arc::new(SharedTransport {
            config: ArcSwap::from_pointee(config),
            table: ConnectionTable::default(),
            admission: Arc::new(Admission::default()),
            counters: Mutex::new(Vec::new()),
            steering: Mutex::new(Vec::new()),
        })
    }

    /// Replaces the settings. Open connections keep the timeouts they began with;
    /// nobody is cut off because a ceiling was lowered.
    pub fn set_config(&self, config: TransportConfig) {
        self.config.store(Arc::new(config));
    }

    /// The connections of all workers.
    #[must_use]
    pub fn connections(&self) -> &ConnectionTable {
        &self.table
    }

    /// The counters of all workers, added up.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for counters in self.counters.lock().iter() {
            figures.add(counters);
        }
        let (inbound, outbound) = self.admission.open();
        figures.inbound_connections = inbound as u64;
        figures.outbound_connections = outbound as u64;
        figures.queued_bytes = self.table.queued_bytes() as u64;
        figures
    }

    pub(crate) fn config(&self) -> Guard<Arc<TransportConfig>> {
        self.config.load()
    }

    /// What the sockets of a listener share, made for the first of them.
    pub(crate) fn steering(&self, listener: ListenerId) -> Arc<Steering> {
        let mut known = self.steering.lock();
        known.retain(|(_, steering)| steering.strong_count() > 0);
        let found = known.iter().find(|(id, _)| *id == listener);
        if let Some(steering) = found.and_then(|(_, steering)| steering.upgrade()) {
            return steering;
        }
        let steering = Arc::new(Steering::new(Instant::now()));
        known.push((listener, Arc::downgrade(&steering)));
        steering
    }

    pub(crate) fn new_counters(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        self.counters.lock().push(Arc::clone(&counters));
        counters
    }
}
