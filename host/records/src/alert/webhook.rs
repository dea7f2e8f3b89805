//! Alerts by HTTP POST, each one alone, on a thread for each receiver.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, SyncSender};

use policy::Severity;

use super::desk::AlertCounts;
use super::template::Template;
use super::{RECEIVER_WAITING, RETRIES, Told};
use crate::post::{Post, PostError, Target, TargetError};

/// A receiver of alerts.
#[derive(Clone, Debug)]
pub struct AlertWebhookConfig {
    /// Where to.
    pub target: Target,
    /// The body; the alert as JSON without it.
    pub template: Option<Template>,
    /// Quieter alerts are not told.
    pub severity: Severity,
}

/// A webhook whose thread runs until this is dropped and nothing waits.
pub(super) fn start(
    config: AlertWebhookConfig,
    counts: Arc<AlertCounts>,
) -> Result<SyncSender<Arc<Told>>, WebhookError> {
    let post = Post::new(config.target)?;
    let template = config.template;
    let (sender, receiver) = mpsc::sync_channel::<Arc<Told>>(RECEIVER_WAITING);
    std::thread::Builder::new()
        .name("alert-post".to_owned())
        .spawn(move || {
            scheduling::patient();
            while let Ok(told) = receiver.recv() {
                let body = match &template {
                    Some(template) => template.fill(&told),
                    // Texts and numbers are always JSON.
                    None => serde_json::to_string(&*told).unwrap_or_default(),
                };
                tell(&post, &body, &counts);
            }
        })?;
    Ok(sender)
}

/// Why a webhook cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Its target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Its thread.
    #[error("failed to start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

fn tell(post: &Post, body: &str, counts: &AlertCounts) {
    let mut pauses = RETRIES.iter();
    loop {
        let error = match post.send("application/json", body.as_bytes()) {
            Ok(()) => {
                counts.delivered.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(error) => error,
        };
        let pause = pauses.next().filter(|_| may_pass(&error));
        let Some(pause) = pause else {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(host = post.host(), %error, "alert not delivered; given up");
            return;
        };
        tracing::warn!(host = post.host(), %error, "alert not delivered; trying again");
        std::thread::sleep(*pause);
    }
}

/// Whether it may go better the next time.
const fn may_pass(error: &PostError) -> bool {
    match error {
        PostError::NoAnswer(_) => true,
        PostError::Status(status) => matches!(status, 408 | 425 | 429 | 500..),
    }
}
