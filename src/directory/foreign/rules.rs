//! One rule after the other, for every address at once: who certainly gets through.
//!
//! Never takes an address for let in that may be refused.

use super::notebook::Reach;
use super::reasoning::Truth;
use crate::directory::ranges::Addresses;

/// How far a request is, by the address that it comes from.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// Not decided yet, or let in already: never refused so far.
    open: Addresses,
    /// Let in, whatever follows.
    through: Addresses,
    is_doubtful: bool,
}

impl Progress {
    pub(super) fn begin() -> Self {
        Self { open: Addresses::all(), through: Addresses::default(), is_doubtful: false }
    }

    /// Refuses where a condition holds.
    pub(super) fn refuse(&mut self, truth: &Truth) {
        self.is_doubtful |= !self.open.and(&truth.may).without(&truth.must).is_empty();
        self.open = self.open.without(&truth.may);
    }

    /// Lets in where a condition holds; where it only may, the rules behind it have to let in as well.
    pub(super) fn let_in(&mut self, truth: &Truth) {
        self.is_doubtful |= !self.open.and(&truth.may).without(&truth.must).is_empty();
        let here = self.open.and(&truth.must);
        self.open = self.open.without(&here);
        self.through = self.through.or(&here);
    }

    /// What is not known here may refuse anybody.
    pub(super) fn doubt(&mut self) {
        self.refuse(&Truth::unknown());
    }

    /// Ends the rules of one part of a program, so that those of the next one are asked of everybody who is left.
    pub(super) fn next_part(self) -> Self {
        Self { open: self.open.or(&self.through), through: Addresses::default(), ..self }
    }

    /// Who gets through where all rules are over.
    pub(super) fn end(self) -> Reach {
        Reach { addresses: self.open.or(&self.through), is_doubtful: self.is_doubtful }
    }
}
