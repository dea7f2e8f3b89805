//! Records and alerts of the process: started before the shards that fill them, changed
//! by a reload, and ended last.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::records::alert::{AlertChange, AlertConfig, AlertDesk, AlertFigures, AlertService};
use ::records::post::Post;
use ::records::service::RecordChange;
use ::records::{RecordConfig, RecordFigures, RecordService};
use anyhow::Context;

use super::media::Recipients;
use crate::assemble;
use crate::config::Config;
use crate::ledger::RecordRules;
use crate::outlet;
use crate::shards::Work;

/// The threads of records and alerts.
pub(super) struct Archive {
    alerts: AlertService,
    records: Option<RecordService>,
    recipients: Recipients,
}

/// What a reload changes, checked and opened.
pub(super) struct ArchiveChange {
    alerts: AlertChange,
    records: RecordsChange,
}

enum RecordsChange {
    Off,
    Same(Box<RecordChange>),
    Begins(Box<RecordService>),
}

impl Archive {
    /// Start the threads, and open the files.
    pub(super) fn start(config: &Config, recipients: &Recipients) -> anyhow::Result<Self> {
        let alerts = AlertService::start(alerts(config)?)?;
        let records = assemble::records(config)?;
        let records = records
            .map(|records| begin(records, alerts.desk(), recipients))
            .transpose()?;
        Ok(Self {
            alerts,
            records,
            recipients: recipients.clone(),
        })
    }

    /// Check that [`Archive::start`] would find what it needs, without opening a file.
    pub(super) fn check(config: &Config) -> anyhow::Result<()> {
        let webhook = assemble::records(config)?.and_then(|records| records.webhook);
        let alerts = alerts(config)?
            .webhooks
            .into_iter()
            .map(|webhook| webhook.target);
        for target in webhook
            .map(|webhook| webhook.target)
            .into_iter()
            .chain(alerts)
        {
            Post::new(target)?;
        }
        Ok(())
    }

    /// The way in for alerts.
    pub(super) fn desk(&self) -> AlertDesk {
        self.alerts.desk()
    }

    /// What shards record, and how.
    pub(super) fn rules(&self, config: &Config) -> Arc<RecordRules> {
        let recorder = self.records.as_ref().map(RecordService::recorder);
        Arc::new(RecordRules::new(config.records.as_ref(), recorder))
    }

    /// Open what another configuration needs. Nothing changes before
    /// [`Archive::change`].
    pub(super) fn prepare(&self, config: &Config) -> anyhow::Result<ArchiveChange> {
        let alerts = self.alerts.prepare(alerts(config)?)?;
        let records = match (assemble::records(config)?, &self.records) {
            (None, _) => RecordsChange::Off,
            (Some(config), Some(running)) => {
                RecordsChange::Same(Box::new(running.prepare(config)?))
            }
            (Some(config), None) => {
                RecordsChange::Begins(Box::new(begin(config, self.desk(), &self.recipients)?))
            }
        };
        Ok(ArchiveChange { alerts, records })
    }

    /// Use what was prepared. The service of records that are switched off is returned,
    /// to be stopped when no shard uses it any more.
    pub(super) fn change(&mut self, change: ArchiveChange) -> Option<RecordService> {
        change.alerts.apply();
        match change.records {
            RecordsChange::Off => self.records.take(),
            RecordsChange::Begins(service) => self.records.replace(*service),
            RecordsChange::Same(change) => {
                if let Some(Err(error)) = self.records.as_mut().map(|it| it.change(*change)) {
                    tracing::error!(%error, "records go where they went before");
                }
                None
            }
        }
    }

    /// What became of records; none if there are none.
    pub(super) fn record_figures(&self) -> Option<RecordFigures> {
        self.records.as_ref().map(RecordService::figures)
    }

    /// What became of alerts.
    pub(super) fn alert_figures(&self) -> AlertFigures {
        self.alerts.desk().figures()
    }

    /// Write and tell what waits.
    pub(super) fn stop(&mut self) {
        if let Some(records) = &mut self.records {
            records.stop();
        }
        self.alerts.stop();
    }
}

fn alerts(config: &Config) -> anyhow::Result<AlertConfig> {
    Ok(assemble::alerts(config)?)
}

fn begin(
    config: RecordConfig,
    desk: AlertDesk,
    recipients: &Recipients,
) -> anyhow::Result<RecordService> {
    let recipients = recipients.clone();
    let confirm = move |receipts: &[u64]| {
        let mut shards: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for receipt in receipts {
            let (shard, hold) = outlet::of_receipt(*receipt);
            shards.entry(shard).or_default().push(hold);
        }
        for (shard, holds) in shards {
            recipients.post(shard, Work::Recorded(holds));
        }
    };
    RecordService::start(config, desk, confirm).context("failed to open the call records")
}
