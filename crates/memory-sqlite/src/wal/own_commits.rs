//! Change markers that stay equal while only one writer commits.
//!
//! A change of the WAL index says that somebody committed, and not who. The
//! connection that writes knows: `PRAGMA data_version` changes only with commits
//! of other connections. So after a transaction of this store, an equal data
//! version proves that everything between the last header and the one that is
//! read now was committed here, and by which writers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use memory_core::ChangeMarker;
use sqlx::query_scalar;
use sqlx::sqlite::SqliteConnection;

use crate::wal::wal_index::WalIndex;

/// How many commits contain the changes of one writer alone.
#[derive(Debug, Default)]
pub(crate) struct WriterCommits(AtomicU64);

/// Whose changes a transaction contains.
#[derive(Debug, Clone, Default)]
pub(crate) enum Origin {
    /// Nothing that a reader of the store could see changes.
    Upkeep,
    /// Those of one writer, through its handle.
    Writer(Arc<WriterCommits>),
    /// Those of callers without a handle, or of several.
    #[default]
    Others,
}

impl Origin {
    /// The origin of a transaction with the changes of both.
    pub(crate) fn merge(self, other: &Self) -> Self {
        match (&self, other) {
            (_, Self::Upkeep) => self,
            (Self::Upkeep, _) => other.clone(),
            (Self::Writer(one), Self::Writer(two)) if Arc::ptr_eq(one, two) => self,
            _ => Self::Others,
        }
    }
}

/// Counts commits by their origin.
#[derive(Debug)]
pub(crate) struct OwnCommits {
    wal_index: WalIndex,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The header up to which every commit is counted; `None` where one is
    /// missing.
    counted: Option<ChangeMarker>,
    /// How often the header had changed, and not provably by this store alone.
    foreign: u64,
    /// Commits of this store with changes.
    commits: u64,
    /// What the connection that writes saw after its last transaction.
    last: Option<Seen>,
    /// Whether a transaction is running, so that its commit may be in the header
    /// and not yet counted.
    is_writing: bool,
}

/// The data version of the connection that writes, and the header at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    data_version: i64,
    header: ChangeMarker,
}

impl OwnCommits {
    pub(crate) fn new(wal_index: WalIndex) -> Self {
        Self {
            wal_index,
            state: RwLock::default(),
        }
    }

    /// The WAL index of the database.
    pub(crate) const fn wal_index(&self) -> &WalIndex {
        &self.wal_index
    }

    /// A value that changes with every commit except those of this writer alone;
    /// `None` while it is not known who committed last.
    pub(crate) fn marker(&self, writer: &WriterCommits) -> Option<ChangeMarker> {
        {
            let state = self.read();
            // Under the lock: a header from before it may be an older one.
            let header = self.wal_index.read()?;
            if state.counted == Some(header) {
                return Some(state.marker(writer));
            }
            if state.is_writing {
                return None;
            }
        }
        let mut state = self.write();
        let header = self.wal_index.read()?;
        if state.counted != Some(header) {
            if state.is_writing {
                return None;
            }
            state.foreign += 1;
            state.counted = Some(header);
        }
        Some(state.marker(writer))
    }

    /// To be called before a transaction that writes begins. There is one at a time.
    pub(crate) fn begin(self: &Arc<Self>) -> UncountedCommit {
        self.write().is_writing = true;
        UncountedCommit {
            commits: Arc::clone(self),
            number: self.wal_index.read_numbered().map(|(_, number)| number),
            is_settled: false,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn marker(&self, writer: &WriterCommits) -> ChangeMarker {
        let others = self.commits - writer.0.load(Ordering::Relaxed);
        ChangeMarker::new([self.foreign, others, 0, 0, 0, 0])
    }

    /// Counts a commit of this store, after which its connection saw `seen`;
    /// `is_last` says that the header is still the one that was seen.
    fn count(&mut self, origin: &Origin, seen: Option<Seen>, is_last: bool) {
        let is_alone = seen.zip(self.last).is_some_and(|(seen, last)| {
            seen.data_version == last.data_version && self.counted == Some(last.header)
        });
        self.last = seen.filter(|_| is_alone || is_last);
        // Otherwise the next look at the header finds an unknown one.
        if is_alone {
            self.counted = seen.map(|seen| seen.header);
        }
        match origin {
            Origin::Upkeep => {}
            Origin::Writer(writer) => {
                self.commits += 1;
                writer.0.fetch_add(1, Ordering::Relaxed);
            }
            Origin::Others => self.commits += 1,
        }
    }
}

/// A transaction that is running. Where it is dropped, its outcome is unknown, and
/// counts as a change by others.
#[must_use]
#[derive(Debug)]
pub(crate) struct UncountedCommit {
    commits: Arc<OwnCommits>,
    /// The number of the last commit before it.
    number: Option<u32>,
    is_settled: bool,
}

impl UncountedCommit {
    /// Counts the transaction as committed. Nothing else may have used the
    /// connection since.
    pub(crate) async fn committed(self, conn: &mut SqliteConnection, origin: &Origin) {
        let header = self.commits.wal_index.read();
        // An equal version proves that the header was read before any commit of
        // another connection, so it has to be asked for after the header was read.
        let version = query_scalar("PRAGMA data_version").fetch_one(conn).await;
        self.settle(header, version.ok(), origin);
    }

    /// As [`committed`](Self::committed), where the transaction ended with asking for the
    /// data version.
    pub(crate) async fn committed_at(
        self,
        data_version: i64,
        conn: &mut SqliteConnection,
        origin: &Origin,
    ) {
        let header = self.commits.wal_index.read_numbered();
        match (self.number, header) {
            // An equal version proves that this is the only commit up to then, and the
            // number that nothing was committed until the header was read.
            (Some(before), Some((header, number))) if number == before.wrapping_add(1) => {
                self.settle(Some(header), Some(data_version), origin);
            }
            _ => self.committed(conn, origin).await,
        }
    }

    fn settle(mut self, header: Option<ChangeMarker>, version: Option<i64>, origin: &Origin) {
        let seen = header.zip(version).map(|(header, data_version)| Seen {
            data_version,
            header,
        });
        let is_last = header.is_some() && self.commits.wal_index.read() == header;
        let mut state = self.commits.write();
        state.count(origin, seen, is_last);
        state.is_writing = false;
        self.is_settled = true;
    }

    /// The transaction was rolled back.
    pub(crate) fn rolled_back(mut self) {
        self.commits.write().is_writing = false;
        self.is_settled = true;
    }
}

impl Drop for UncountedCommit {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let mut state = self.commits.write();
        state.is_writing = false;
        state.last = None;
        state.counted = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: u64) -> ChangeMarker {
        ChangeMarker::new([number; 6])
    }

    fn seen(data_version: i64, number: u64) -> Option<Seen> {
        Some(Seen {
            data_version,
            header: header(number),
        })
    }

    #[test]
    fn only_a_chain_of_own_commits_is_counted_as_own() {
        let (one, two) = (Arc::default(), Arc::default());
        let (one, two): (Arc<WriterCommits>, Arc<WriterCommits>) = (one, two);
        let by = |writer: &Arc<WriterCommits>| Origin::Writer(Arc::clone(writer));
        let mut state = State::default();
        state.count(&by(&one), seen(1, 1), true);
        assert_eq!(state.counted, None, "what came before is not known");
        state.counted = Some(header(1));
        let (first, second) = (state.marker(&one), state.marker(&two));
        state.count(&by(&one), seen(1, 2), false);
        assert_eq!(state.counted, Some(header(2)));
        assert_eq!(state.marker(&one), first);
        assert_ne!(state.marker(&two), second);
        state.count(&Origin::Upkeep, seen(1, 3), false);
        assert_eq!(state.counted, Some(header(3)));
        assert_eq!(state.marker(&one), first);
        // Another connection committed at some time since the last.
        state.count(&by(&one), seen(2, 5), true);
        assert_eq!(state.counted, Some(header(3)));
        // Nobody has looked at the header since, so that is still missing.
        state.count(&by(&one), seen(2, 6), true);
        assert_eq!(state.counted, Some(header(3)));
        // The header that was seen may be older than the version.
        state.count(&by(&one), seen(3, 7), false);
        assert_eq!(state.last, None);
    }

    #[test]
    fn a_transaction_of_several_is_of_none() {
        let (one, two) = (Arc::default(), Arc::default());
        let (one, two) = (Origin::Writer(one), Origin::Writer(two));
        assert!(matches!(one.clone().merge(&one), Origin::Writer(_)));
        assert!(matches!(one.clone().merge(&two), Origin::Others));
        assert!(matches!(one.clone().merge(&Origin::Others), Origin::Others));
        assert!(matches!(Origin::Upkeep.merge(&one), Origin::Writer(_)));
        assert!(matches!(one.merge(&Origin::Upkeep), Origin::Writer(_)));
    }
}
