//! What fits into a trust store while CRLs are swapped.

/// The default quota of entries of all CRLs of a trust store together, L-37E1617B; raised on request.
///
/// ELB User Guide for Application Load Balancers, "Quotas for your Application Load Balancers".
pub const DEFAULT_ENTRIES: usize = 500_000;

/// The default quota of CRLs in a trust store, L-332EE142; raised on request.
pub const DEFAULT_CRLS: usize = 30;

/// CRLs and their entries, as a trust store's quotas count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrlLoad {
    /// How many CRLs.
    pub crls: usize,
    /// How many entries they have together.
    pub entries: usize,
}

impl CrlLoad {
    /// Adds CRLs up by the number of their entries.
    pub fn of(entries: impl IntoIterator<Item = usize>) -> Self {
        entries
            .into_iter()
            .fold(Self::default(), |sum, entries| Self {
                crls: sum.crls + 1,
                entries: sum.entries + entries,
            })
    }
}

/// A swap of CRLs: the new ones are added before any old one is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrlSwap {
    /// What is live, also what is to stay.
    pub live: CrlLoad,
    /// What is added.
    pub new: CrlLoad,
}

impl CrlSwap {
    /// What there is while old and new stand side by side.
    pub fn together(self) -> CrlLoad {
        CrlLoad {
            crls: self.live.crls + self.new.crls,
            entries: self.live.entries + self.new.entries,
        }
    }

    /// Whether old and new together exceed a default quota: AWS answers
    /// `TooManyTrustStoreRevocationEntries`, or refuses the CRL. What is added where nothing is live
    /// is no swap.
    pub fn exceeds_default(self) -> bool {
        let together = self.together();
        let is_swap = self.live.crls > 0 && self.new.crls > 0;
        is_swap && (together.crls > DEFAULT_CRLS || together.entries > DEFAULT_ENTRIES)
    }

    /// Whether a default quota is exceeded that what is live does not show to have been raised.
    pub fn needs_raised_quota(self) -> bool {
        let together = self.together();
        let crls = self.live.crls <= DEFAULT_CRLS && together.crls > DEFAULT_CRLS;
        let entries = self.live.entries <= DEFAULT_ENTRIES && together.entries > DEFAULT_ENTRIES;
        self.exceeds_default() && (crls || entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swap(live: &[usize], new: &[usize]) -> CrlSwap {
        CrlSwap {
            live: CrlLoad::of(live.iter().copied()),
            new: CrlLoad::of(new.iter().copied()),
        }
    }

    #[test]
    fn old_and_new_fit_in_together_or_the_quota_must_have_been_raised() {
        assert!(!swap(&[300_000], &[200_000]).needs_raised_quota());
        assert!(swap(&[300_000], &[200_001]).needs_raised_quota());
        assert!(!swap(&[1; 15], &[1; 15]).needs_raised_quota());
        assert!(swap(&[1; 15], &[1; 16]).needs_raised_quota());
    }

    #[test]
    fn what_is_live_shows_a_quota_that_was_raised() {
        let raised = swap(&[500_001], &[2]);
        assert!(raised.exceeds_default() && !raised.needs_raised_quota());
        // That of entries says nothing of that of CRLs.
        assert!(swap(&[500_001; 30], &[1]).needs_raised_quota());
    }

    #[test]
    fn adding_or_removing_alone_is_no_swap() {
        assert!(!swap(&[], &[500_001]).exceeds_default());
        assert!(!swap(&[500_001], &[]).exceeds_default());
    }
}
