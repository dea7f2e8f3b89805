//! `log`: lines for the operator. Limits: `log_lines` and `host_bytes`; a line
//! is cut after [`LOG_LINE_BYTES`] and control characters become blanks.

use policy::PolicyFailure;

use crate::bindings::log::{Host, Level};
use crate::host::HostState;
use crate::instance::one_line;
use crate::limits::LOG_LINE_BYTES;
use crate::services::LogLevel;

impl Host for HostState {
    fn write(&mut self, level: Level, text: String) -> wasmtime::Result<()> {
        self.charge_call(text.len())?;
        if self.log_lines >= self.limits.log_lines {
            return Err(wasmtime::Error::new(PolicyFailure::LogLines {
                limit: self.limits.log_lines,
            }));
        }
        self.log_lines += 1;
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        let line = one_line(&text, LOG_LINE_BYTES);
        self.services.log.write(&self.plugin, level, &line);
        Ok(())
    }
}
