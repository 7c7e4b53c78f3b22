//! The limits of serving. Each has a name, a unit and a default; `check` says what is out of range.

use crate::{Result, bail};

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Sequences that run at once.
    pub running_max: usize,
    /// Rows (tokens) of one step: one for each sequence that decodes, the rest for prompts.
    pub step_rows_max: usize,
    /// Requests that wait, of everybody and of one payer.
    pub waiting_max: usize,
    pub waiting_per_payer_max: usize,
    /// Memory of keys and values, bytes.
    pub kv_bytes_max: usize,
    /// Adapters known, in memory at once, and their bytes.
    pub registered_max: usize,
    pub resident_max: usize,
    pub resident_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            running_max: 64,
            step_rows_max: 128,
            waiting_max: 1024,
            waiting_per_payer_max: 256,
            kv_bytes_max: 1 << 30,
            registered_max: 100_000,
            resident_max: 1024,
            resident_bytes_max: 4 << 30,
        }
    }
}

/// Longest name of an adapter or payer, bytes.
pub const NAME_BYTES_MAX: usize = 256;

impl Options {
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("runningMax", self.running_max, 1, 4096),
            ("stepRowsMax", self.step_rows_max, self.running_max, 1 << 16),
            ("waitingMax", self.waiting_max, 1, 1 << 20),
            ("waitingPerPayerMax", self.waiting_per_payer_max, 1, 1 << 20),
            ("kvBytesMax", self.kv_bytes_max, 1, 1 << 46),
            ("registeredMax", self.registered_max, 1, 1 << 24),
            ("residentMax", self.resident_max, 1, 1 << 20),
            ("residentBytesMax", self.resident_bytes_max, 1, 1 << 46),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                bail!(BadInput, "{name} is {value}, must be in {least}..={most}");
            }
        }
        Ok(())
    }
}
