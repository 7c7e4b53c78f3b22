//! Several checkpoints of one run as one source: their factors side by side, sample by sample. Whitened rows
//! then lie one behind the other, so a dot product is the sum of the checkpoints' influences (a mean, but for a
//! factor that scores do not show), and index, sketches and sums need not know that there is more than one.

use super::error::{Result, require};
use super::source::{ChoiceSink, FactorShape, GradientSink, GradientSource, Labels};

/// Most checkpoints of one index.
pub const MEMBERS_MAX: usize = 64;

pub struct Ensemble<S> {
    members: Vec<S>,
    factors: Vec<FactorShape>,
}

impl<S: GradientSource> Ensemble<S> {
    /// At least one member; all walk the same samples.
    pub fn new(members: Vec<S>) -> Result<Self> {
        require((1..=MEMBERS_MAX).contains(&members.len()), || {
            format!("{} checkpoints, must be 1 to {MEMBERS_MAX}", members.len())
        })?;
        let count = members[0].sample_count();
        require(members.iter().all(|m| m.sample_count() == count), || {
            "the checkpoints have different samples".to_string()
        })?;
        let factors = members.iter().flat_map(|m| m.factors().iter().copied()).collect();
        Ok(Self { members, factors })
    }
}

impl<S: GradientSource> GradientSource for Ensemble<S> {
    fn factors(&self) -> &[FactorShape] {
        &self.factors
    }

    fn inputs(&self) -> Vec<usize> {
        let mut all = vec![];
        for member in &self.members {
            let first = all.len();
            all.extend(member.inputs().iter().map(|factor| first + factor));
        }
        all
    }

    fn sample_count(&self) -> usize {
        self.members[0].sample_count()
    }

    fn visit(&self, sample: usize, labels: Labels, sink: &mut GradientSink<'_>) {
        let mut first = 0;
        for member in &self.members {
            member
                .visit(sample, labels, &mut |factor, rows, a, s| sink(first + factor, rows, a, s));
            first += member.factors().len();
        }
    }

    fn visit_each(&self, sample: usize, choices: &[Labels], sink: &mut ChoiceSink<'_>) {
        let mut first = 0;
        for member in &self.members {
            member.visit_each(sample, choices, &mut |choice, factor, rows, a, s| {
                sink(choice, first + factor, rows, a, s);
            });
            first += member.factors().len();
        }
    }
}
