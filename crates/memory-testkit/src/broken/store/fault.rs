//! What a store may do wrong.

use crate::broken::faults::faults;

faults! {
    /// The one promise that a [`BrokenStore`](super::BrokenStore) breaks.
    pub enum StoreFault {
        /// The last item of a batch is not written, and reported as written.
        LosesLastOfBatch => "insert::writes_the_whole_batch",
        /// What stands before a conflict stays written.
        WritesUpToAConflict => "insert::conflict_writes_nothing",
        /// Other content under a taken id replaces what was there.
        OverwritesOnConflict => "insert::conflict_writes_nothing",
        /// An empty batch is refused.
        RefusesEmptyBatches => "insert::empty_batch_is_a_no_op",
        /// A batch of more than a thousand memories is refused.
        RefusesLargeBatches => "bulk::inserts_many",
        /// A repetition raises the generation.
        CountsRepeatsAsWrites => "insert::repeats_are_no_ops",
        /// The same id twice in a batch is merged instead of refused.
        MergesDuplicateIds => "insert::refuses_an_id_twice",
        /// The generation is told by its own read, later than the write.
        TellsALaterGeneration => "concurrency::writers_take_turns",
        /// A deleted id is never written again.
        KeepsDeletedIdsTaken => "insert::takes_deleted_ids_anew",
        /// Access counts start at zero, whatever a memory brings.
        DropsAccessFields => "insert::keeps_access_fields",
        /// Content is cut after 4,000 characters.
        CutsLongContent => "round_trip::keeps_the_longest_content",
        /// Times are kept in milliseconds.
        RoundsTimes => "round_trip::keeps_extreme_times",
        /// Importance is kept in hundredths.
        RoundsImportance => "round_trip::keeps_numbers_exactly",
        /// White space around content is taken off.
        TrimsContent => "round_trip::keeps_text_of_any_shape",
        /// Context is not kept.
        DropsContext => "round_trip::keeps_every_field",
        /// Memories come in the order of their ids, not of the question.
        SortsWhatItGets => "get::answers_in_order",
        /// Ids that are not there are left out of the answer.
        LeavesOutMissingIds => "get::answers_none_where_there_is_none",
        /// An id that the entity lacks is looked up among all entities.
        ReadsOtherEntities => "isolation::reads_stay_at_home",
        /// More ids than a statement has parameters are refused.
        RefusesManyIds => "bulk::reads_and_removes_many",
        /// The oldest come first.
        ListsOldestFirst => "list::is_newest_first",
        /// A page's cursor forgets the id: what shares its time is skipped.
        LosesTiesBetweenPages => "list::breaks_ties_by_id",
        /// A full last page promises another.
        PromisesAnEmptyPage => "list::ends_on_the_last_page",
        /// Strict tag modes let untagged memories through.
        IgnoresTagStrictness => "filters::tag_modes_differ",
        /// `until` takes its own moment in.
        TakesUntilIn => "filters::time_edges_are_exact",
        /// Metadata conditions are not looked at.
        IgnoresMetadata => "filters::metadata_is_exact",
        /// A count takes no notice of the filter.
        CountsWhatIsFilteredOut => "filters::count_agrees",
        /// The filter is applied to the best `limit` of all.
        FiltersAfterTheLimit => "search_dense::finds_k_under_every_filter",
        /// Vectors of every fingerprint are compared.
        ComparesEveryFingerprint => "search_dense::compares_one_fingerprint_only",
        /// Only the first vector of a memory is kept.
        KeepsTheFirstVectorOnly => "search_dense::ranks_by_best_vector",
        /// Candidates come without their metadata.
        ReturnsHalfMemories => "search_dense::returns_whole_memories",
        /// Memories of all entities are searched.
        SearchesEverywhere => "isolation::searches_stay_at_home",
        /// The words of a memory are those it had first.
        IndexesOnce => "search_lexical::follows_writes",
        /// A query without words finds nothing, instead of being refused.
        TakesBlankQueries => "input::queries_are_sound",
        /// A quotation mark in the query is a syntax error.
        ChokesOnQuotes => "search_lexical::takes_text_of_any_shape",
        /// A minus before a word excludes what holds it.
        ObeysOperators => "search_lexical::operators_mean_nothing",
        /// Every word of the query must match.
        WantsEveryWord => "search_lexical::any_word_may_match",
        /// Every match is worth the same.
        RanksNothing => "search_lexical::ranks_more_matches_higher",
        /// Capabilities deny the lexical arm, and it answers.
        DeniesAnArmItHas => "search_lexical::answers_as_capabilities_say",
        /// A candidate carries only the values by which it was found.
        CarriesOneArmOnly => "search_both::carries_every_value",
        /// Changes say nothing of deletions.
        ForgetsDeletions => "changes::tell_of_deletions",
        /// Changes of all entities are told.
        TellsEverybodysChanges => "isolation::changes_stay_at_home",
        /// An id inserted anew is still told as removed.
        KeepsOldTombstones => "changes::hold_the_latest_state_only",
        /// Changes always hold the whole state.
        SendsEverythingAlways => "changes::hold_only_what_changed",
        /// A generation from the future is answered with nothing.
        NeverStartsOver => "changes::start_over_beyond_the_generation",
        /// Vectors of another model pass as the one's that was asked for.
        PassesOffForeignVectors => "changes::bring_vectors_of_one_fingerprint",
        /// A patch takes away the context that it does not set.
        ClearsWhatIsNotSet => "update::changes_what_is_set_only",
        /// New vectors are added to the old.
        KeepsOldVectors => "update::replaces_the_embedding",
        /// Content may change without an embedding.
        InventsVectors => "update::wants_an_embedding_with_content_only",
        /// An update does not raise the generation.
        UpdatesInSilence => "update::raises_the_generation",
        /// An update writes back what it read a while before.
        LosesUpdates => "concurrency::patches_of_different_fields_meet",
        /// An update of a memory that is not there does nothing, well.
        UpdatesNothingGladly => "update::finds_no_strangers",
        /// A delete of an unknown id fails.
        FailsOnUnknownIds => "delete::passes_over_unknown_ids",
        /// An id is deleted under every entity.
        DeletesEverywhere => "isolation::writes_stay_at_home",
        /// A delete raises the generation once for each memory.
        DeletesOneByOne => "delete::raises_the_generation_once",
        /// Only the first access of a memory is counted.
        CountsOneAccess => "touch::adds_accesses",
        /// An older access moves `last_accessed` back.
        MovesAccessBack => "touch::never_moves_back",
        /// A touch raises the generation.
        TouchesAloud => "touch::raises_no_generation",
        /// An entity never written to has a generation.
        StartsAtOne => "entities::stats_start_at_zero",
        /// A page begins with the entity that ended the one before.
        RepeatsTheLastEntity => "entities::are_listed_in_pages",
        /// Entities whose memories are all gone are still listed.
        ListsTheDeparted => "entities::without_memories_are_not_listed",
        /// Upper and lower case are one in the order of names.
        SortsNamesByLocale => "entities::are_listed_in_order",
        /// A limit out of bounds is moved into them.
        ClampsLimits => "input::limits_are_bounded",
        /// Vectors that are none are mended.
        MendsVectors => "input::vectors_are_sound",
        /// Items out of bounds are left out of the batch.
        WritesWhatItCan => "input::memories_keep_their_bounds",
        /// An error quotes the content that was refused.
        QuotesContent => "input::errors_hold_no_content",
        /// A read takes its generation before its memories.
        TearsReads => "concurrency::readers_see_whole_batches",
        /// A batch is written item by item: a dropped insert leaves half.
        InsertsOneByOne => "cancellation::insert_is_whole_or_absent",
        /// Content and context are updated one after the other.
        UpdatesInTwoSteps => "cancellation::update_is_whole_or_absent",
        /// Memories are deleted in two steps.
        DeletesInTwoSteps => "cancellation::delete_is_whole_or_absent",
        /// A closed store goes on answering.
        NeverCloses => "close::answers_closed",
        /// Closing a second time fails.
        ClosesOnceOnly => "close::may_be_repeated",
    }
}
