//! Faults of stores.

use crate::faulty::faults;

faults! {
    /// The one promise that a [`FaultyStore`](super::FaultyStore) breaks.
    pub enum StoreFault {
        /// The last item of a batch is not written, and reported as written.
        LosesLastOfBatch => "insert::writes_the_whole_batch",
        /// Items before a conflict stay written.
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
        /// The generation is read after the write.
        ReportsALaterGeneration => "concurrency::serializes_writers",
        /// A deleted id is never written again.
        KeepsDeletedIdsTaken => "insert::accepts_deleted_ids_again",
        /// Access counts always start at zero.
        DropsAccessFields => "insert::keeps_access_fields",
        /// Content is cut after 4,000 characters.
        CutsLongContent => "round_trip::keeps_the_longest_content",
        /// Times are kept in milliseconds.
        RoundsTimes => "round_trip::keeps_extreme_times",
        /// Times are rounded up to whole microseconds.
        RoundsTimesUp => "round_trip::cuts_times_to_microseconds",
        /// Importance is kept in hundredths.
        RoundsImportance => "round_trip::keeps_numbers_exactly",
        /// White space around content is taken off.
        TrimsContent => "round_trip::keeps_text_of_any_shape",
        /// Context is not kept.
        DropsContext => "round_trip::keeps_every_field",
        /// Memories come in the order of their ids, not of the question.
        SortsResultsById => "get::answers_in_order",
        /// Ids that are not there are left out of the answer.
        LeavesOutMissingIds => "get::answers_none_where_there_is_none",
        /// An id that the entity lacks is looked up among all entities.
        ReadsOtherEntities => "isolation::reads_are_scoped",
        /// More ids than a statement has parameters are refused.
        RefusesManyIds => "bulk::reads_and_removes_many",
        /// The oldest come first.
        ListsOldestFirst => "list::is_newest_first",
        /// A page's cursor forgets the id: what shares its time is skipped.
        LosesTiesBetweenPages => "list::breaks_ties_by_id",
        /// A full last page promises another.
        PromisesAnEmptyPage => "list::ends_on_the_last_page",
        /// A cursor between two microseconds is that of the earlier one.
        FloorsCursors => "list::any_cursor_is_exact",
        /// Strict tag modes let untagged memories through.
        IgnoresTagStrictness => "filters::tag_modes_differ",
        /// `until` takes its own moment in.
        IncludesUntil => "filters::time_edges_are_exact",
        /// Edges between two microseconds are moved to the earlier one.
        FloorsTimeEdges => "filters::edges_between_microseconds_are_exact",
        /// Metadata conditions are not looked at.
        IgnoresMetadata => "filters::metadata_is_exact",
        /// Link conditions are not looked at.
        IgnoresLinks => "filters::links_are_exact",
        /// A count takes no notice of the filter.
        CountsWithoutTheFilter => "filters::count_agrees",
        /// The filter is applied to the best `limit` of all.
        FiltersAfterTheLimit => "search_dense::finds_k_under_every_filter",
        /// One candidate is there twice, in place of another.
        RepeatsACandidate => "search_dense::ranks_by_best_vector",
        /// Vectors of every fingerprint are compared.
        ComparesEveryFingerprint => "search_dense::compares_one_fingerprint_only",
        /// Only the first vector of a memory is kept.
        KeepsTheFirstVectorOnly => "search_dense::ranks_by_best_vector",
        /// SearchOutcome come without their metadata.
        ReturnsIncompleteMemories => "search_dense::returns_whole_memories",
        /// Memories of all entities are searched.
        SearchesAllEntities => "isolation::searches_are_scoped",
        /// The words of a memory are those it had first.
        IndexesOnce => "search_lexical::follows_writes",
        /// A query without words finds nothing, instead of being refused.
        TakesBlankQueries => "input::queries_are_valid",
        /// A quotation mark in the query is a syntax error.
        FailsOnQuotes => "search_lexical::takes_text_of_any_shape",
        /// A minus before a word excludes what holds it.
        AppliesOperators => "search_lexical::operators_mean_nothing",
        /// Every word of the query must match.
        RequiresEveryWord => "search_lexical::any_word_may_match",
        /// Every match is worth the same.
        RanksNothing => "search_lexical::ranks_more_matches_higher",
        /// Capabilities deny the lexical retriever, and it answers.
        DeniesItsLexicalRetriever => "search_lexical::answers_as_capabilities_say",
        /// A candidate carries only the values by which it was found.
        ReturnsOneValuePerHit => "search_both::carries_every_value",
        /// Changes say nothing of deletions.
        OmitsDeletions => "changes::report_deletions",
        /// Readers older than dropped tombstones are not told to start over.
        DropsTombstonesSilently => "changes::serve_readers_behind_many_removals",
        /// Changes of all entities are returned.
        ReturnsChangesOfAllEntities => "isolation::changes_are_scoped",
        /// An id inserted again is still reported as removed.
        KeepsOldTombstones => "changes::hold_the_latest_state_only",
        /// Changes always hold the whole state.
        AlwaysReturnsTheWholeState => "changes::hold_only_what_changed",
        /// A generation from the future is answered with nothing.
        NeverResets => "changes::start_over_beyond_the_generation",
        /// Vectors of another model pass as the one's that was asked for.
        ReturnsForeignVectors => "changes::bring_vectors_of_one_fingerprint",
        /// Memories that are in no page are not returned with pages.
        OmitsMemoriesWithoutPage => "snapshot_pages::have_every_memory_once",
        /// A page is returned after its memories changed.
        KeepsPagesOfChangedMemories => "snapshot_pages::end_with_their_memories",
        /// A page is returned after its memories lost their vectors.
        KeepsPagesOfRemovedVectors => "snapshot_pages::end_with_the_vectors_of_their_memories",
        /// A page is kept whatever changed since its memories were read.
        WritesPagesOfChangedMemories => "snapshot_pages::of_changed_memories_are_not_kept",
        /// A page is returned whatever format it was written for.
        IgnoresTheFormatOfPages => "snapshot_pages::belong_to_one_fingerprint_and_format",
        /// Pages are counted whatever fingerprint and format they were written for.
        CountsAllPages => "snapshot_pages::belong_to_one_fingerprint_and_format",
        /// The accesses of memories in pages are not returned.
        OmitsAccessesOfPages => "snapshot_pages::leave_accesses_out",
        /// A patch takes away the context that it does not set.
        ClearsUnsetFields => "update::changes_what_is_set_only",
        /// A patch that relates a memory to itself is applied without that link.
        DropsLinksToItself => "input::patches_keep_their_limits",
        /// New vectors are added to the old.
        KeepsOldVectors => "update::replaces_the_embedding",
        /// Memories are counted by model in no way, though vectors are replaced.
        ForgetsToCountByModel => "vectors::are_supported_together",
        /// New vectors replace those of every entity that has the id.
        ReplacesVectorsOfEveryEntity => "vectors::of_equal_ids_are_kept_apart",
        /// With the vectors of other models go those of every entity that has the id.
        RemovesVectorsOfEveryEntity => "vectors::of_equal_ids_are_kept_apart",
        /// New vectors that are none are mended.
        RepairsNewVectors => "vectors::that_replace_are_valid",
        /// Vectors before one that is refused are replaced.
        ReplacesVectorsUpToAnError => "vectors::that_replace_are_valid",
        /// A memory has no more than one vector.
        CountsVectorsAsOne => "vectors::are_replaced",
        /// New vectors replace those of content that changed since.
        ReplacesVectorsOfChangedMemories => "vectors::of_changed_memories_stay",
        /// New vectors replace those of other models too.
        ReplacesVectorsOfEveryModel => "vectors::of_other_models_stay_until_removed",
        /// Vectors of other models are never removed.
        KeepsVectorsOfOtherModels => "vectors::of_other_models_stay_until_removed",
        /// With the vectors of other models goes the only one of a memory.
        RemovesTheOnlyVectors => "vectors::of_other_models_stay_until_removed",
        /// Removing the vectors of other models raises the generation.
        RaisesTheGenerationOnVectorRemoval => "vectors::of_other_models_stay_until_removed",
        /// Memories are counted under one model only.
        CountsOneModelOnly => "vectors::of_other_models_stay_until_removed",
        /// New content keeps the vectors of other models, which are of the old content.
        KeepsVectorsOfOldContent => "vectors::new_content_has_those_of_its_writer",
        /// An archived memory has the vectors of its summary's model only.
        ArchivesVectorsOfOneModel => "vectors::of_two_models_follow_their_memory",
        /// A search compares the vectors of another model where there are any.
        SearchesAnotherModel => "vectors::of_two_models_follow_their_memory",
        /// Memories that were deleted are still counted under their models.
        CountsVectorsOfDeleted => "vectors::of_two_models_follow_their_memory",
        /// Content may change without an embedding.
        InventsVectors => "update::requires_an_embedding_with_content_only",
        /// An update does not raise the generation.
        UpdatesWithoutGeneration => "update::raises_the_generation",
        /// An update says that it wrote nothing.
        DeniesItsUpdates => "update::says_whether_it_wrote",
        /// An update writes back what it read a while before.
        LosesConcurrentUpdates => "concurrency::patches_of_different_fields_combine",
        /// An update of a memory that is not there does nothing, well.
        AcceptsUpdatesOfUnknownIds => "update::refuses_unknown_ids",
        /// A delete of an unknown id fails.
        FailsOnUnknownIds => "delete::passes_over_unknown_ids",
        /// An id is deleted under every entity.
        DeletesEverywhere => "isolation::writes_are_scoped",
        /// A delete raises the generation once for each memory.
        DeletesOneByOne => "delete::raises_the_generation_once",
        /// Only the first access of a memory is counted.
        CountsOneAccess => "record_accesses::adds_accesses",
        /// Accesses of the first entity of a call are recorded, and no others.
        RecordsAccessesOfOneEntity => "record_accesses::are_of_several_entities",
        /// An older access moves `last_accessed` back.
        MovesAccessBack => "record_accesses::never_moves_back",
        /// Accesses that are deferred are not given back.
        LosesDeferredAccesses => "record_accesses::writes_or_defers_each_update",
        /// Accesses that were written are given back as well.
        RecordsDeferredAccesses => "record_accesses::writes_or_defers_each_update",
        /// Accesses before one that is refused are recorded.
        RecordsUpToAnError => "record_accesses::are_all_or_nothing",
        /// A touch raises the generation.
        RaisesTheGenerationOnAccess => "record_accesses::raises_no_generation",
        /// An entity never written to has a generation.
        StartsAtOne => "entities::stats_start_at_zero",
        /// A page begins with the entity that ended the one before.
        RepeatsTheLastEntity => "entities::are_listed_in_pages",
        /// Entities with accesses come in the order of their names.
        SortsAccessedEntitiesByName => "entities::are_listed_by_their_last_access",
        /// Entities with accesses are looked for among the first by name.
        LimitsAccessedEntitiesFirst => "entities::are_listed_by_their_last_access",
        /// Entities whose memories are all gone are still listed.
        ListsEmptyEntities => "entities::without_memories_are_not_listed",
        /// Upper and lower case are one in the order of names.
        SortsNamesByLocale => "entities::are_listed_in_order",
        /// A summary's vectors are cut to the most dimensions.
        CutsVectorsOfSummaries => "input::dimensions_are_limited",
        /// An id is evicted under every entity.
        EvictsEverywhere => "isolation::equal_ids_are_kept_apart",
        /// A limit out of bounds is moved into them.
        ClampsLimits => "input::page_sizes_are_limited",
        /// A sample beyond the maximum is as large as the maximum.
        ClampsSamples => "input::searches_are_limited",
        /// A discount that is no share is none.
        AcceptsEveryDiscount => "input::searches_are_limited",
        /// Vectors that are none are mended.
        RepairsVectors => "input::vectors_are_valid",
        /// Items out of bounds are left out of the batch.
        SkipsInvalidItems => "input::memories_keep_their_limits",
        /// An error quotes the content that was refused.
        QuotesContent => "input::errors_hold_no_content",
        /// The limit is not checked.
        IgnoresTheLimit => "limits::limit_is_exact",
        /// The limit counts all entities of a batch in one.
        CountsEntitiesTogether => "limits::limit_is_per_entity",
        /// Evicts also where the insert is refused.
        EvictsOnRefusal => "limits::refusal_changes_nothing",
        /// Evicts also where nothing is inserted.
        EvictsForRepeats => "limits::repeats_do_not_count",
        /// Archived memories count toward the limit.
        CountsArchivedInTheLimit => "limits::archived_memories_do_not_count",
        /// A memory that comes in archived is.
        InsertsArchived => "limits::batch_is_inserted_live",
        /// An archived memory inserted again is live again.
        RevivesArchived => "limits::archived_ids_are_taken",
        /// The limit is looked at before the write.
        CountsBeforeTheWrite => "limits::is_exact_with_many_writers",
        /// Evicts in a write of its own.
        EvictsInAnotherWrite => "evict::is_one_write_with_the_insert",
        /// Ids to evict must exist.
        FailsOnUnknownEvictions => "evict::passes_over_unknown_ids",
        /// Memories restored by an eviction are not counted.
        IgnoresRestoredInTheLimit => "evict::follows_consolidations",
        /// Links to what gave way stay.
        KeepsLinksToEvicted => "evict::drops_links",
        /// Archived memories lose their access counts.
        ChangesArchived => "consolidate::archives_its_sources",
        /// Each group is a write of its own.
        ConsolidatesGroupByGroup => "consolidate::is_one_write",
        /// Groups before one that is refused stay written.
        KeepsGroupsBeforeAnError => "consolidate::is_all_or_nothing",
        /// Sources that are not there are left out.
        SkipsMissingSources => "consolidate::refuses_what_is_not_live",
        /// Sources may have changed since they were read.
        ConsolidatesWhatChanged => "consolidate::refuses_what_changed",
        /// A summary replaces what has its id.
        ReplacesTakenIds => "consolidate::refuses_a_taken_id",
        /// The same consolidation once more is a conflict.
        RefusesRepeats => "consolidate::repeats_are_no_ops",
        /// No groups raise the generation.
        CountsEmptyConsolidations => "consolidate::no_groups_are_a_no_op",
        /// A summary is no source.
        ConsolidatesNoSummaries => "consolidate::summaries_may_be_sources",
        /// Of two that share a source, both are told that they did it.
        AcceptsOverlappingConsolidations => "consolidate::serializes_overlapping_calls",
        /// A source that stands twice is merged instead of refused.
        MergesDuplicateSources => "consolidate::bad_groups_are_refused",
        /// Archived memories are not found by id.
        LosesArchived => "archive::is_read_by_id",
        /// Archived memories are listed among the live ones.
        ListsArchivedAsLive => "archive::is_listed_by_scope",
        /// The sources of one summary are listed with everybody's.
        ListsSourcesOfAllSummaries => "archive::is_listed_by_scope",
        /// Archived memories are counted.
        CountsArchivedAsLive => "archive::is_counted_apart",
        /// Archived memories are found.
        SearchesArchived => "archive::is_found_by_no_search",
        /// Archived memories take up the limit, and are left out then.
        FiltersArchivedAfterTheLimit => "archive::is_found_by_no_search",
        /// Changes say nothing of what was archived.
        OmitsArchivedFromChanges => "archive::is_reported_as_removed",
        /// An archived memory is not found where it is to be updated.
        HidesArchivedFromUpdates => "archive::is_not_updated",
        /// Accesses of archived memories are not counted.
        IgnoresAccessesOfArchived => "archive::has_its_accesses_recorded",
        /// Entities that hold archived memories are not listed.
        OmitsConsolidatedEntities => "archive::keeps_its_entity_listed",
        /// A summary outlives what it was made from.
        KeepsSummariesOfRemoved => "restore::removed_source_removes_its_summary",
        /// The summary of a summary outlives what it was made from.
        StopsAtTheFirstSummary => "restore::every_summary_above_is_removed",
        /// With a summary goes what it stood for.
        RemovesSourcesWithTheirSummary => "restore::removed_summary_restores_its_sources",
        /// What stands under a restored summary is restored as well.
        RestoresEveryLevel => "restore::levels_are_restored_one_by_one",
        /// What is removed with its summary is told as restored.
        ReportsRemovedAsRestored => "restore::removed_sources_are_not_restored",
        /// Restored memories are told without their vectors.
        RestoresWithoutVectors => "restore::restored_memories_are_reported_completely",
        /// A consolidation that was undone passes as done.
        SkipsUndoneConsolidations => "restore::restored_memories_may_be_archived_again",
        /// A link that is added takes the place of all.
        ReplacesAllLinks => "relations::are_added_and_dropped_one_by_one",
        /// Links are written back as they were read a while before.
        LosesLinks => "relations::of_many_writers_combine",
        /// A link too many pushes another one out.
        IgnoresMaxLinks => "relations::are_counted",
        /// Links to what was removed stay.
        KeepsDanglingLinks => "relations::to_removed_memories_are_dropped",
        /// Restored memories that lost a link are not named.
        OmitsUnlinkedRestored => "relations::among_removed_and_restored_are_consistent",
        /// The dense summary is that of the candidates.
        SummarizesHitsOnly => "score_stats::dense_covers_all_matches",
        /// The lexical summary leaves out who matches no word.
        SummarizesLexicalMatchesOnly => "score_stats::lexical_covers_all_matches",
        /// Summaries are those of everybody, filter or not.
        SummarizesWithoutTheFilter => "score_stats::dense_covers_all_matches",
        /// Of two retrievers, only one has a summary.
        SummarizesOneRetrieverOnly => "score_stats::both_equal_each_alone",
        /// Retrievers that were not asked for have a summary.
        SummarizesAbsentRetrievers => "score_stats::are_absent_without_retriever",
        /// A list of archived memories does not name their summaries.
        ListsArchivedWithoutSummary => "archive::lists_show_an_earlier_state",
        /// Memories outside the filter are counted as matching.
        CountsMatchesWithoutTheFilter => "score_stats::matches_are_counted",
        /// Terms are counted in what the filter admits.
        CountsTermsWithinTheFilter => "score_stats::terms_are_counted_in_all",
        /// A memory of many vectors ranks by its best one alone.
        IgnoresTheChunkDiscount => "search_dense::discounts_many_chunks",
        /// The similarity has the discount in it.
        ReturnsDiscountedSimilarities => "search_dense::discounts_many_chunks",
        /// A sample is half of what was asked for.
        SamplesHalf => "sample::has_as_many_as_asked_for",
        /// The sample is of all memories.
        SamplesWithoutTheFilter => "sample::matches_the_filter",
        /// The sample is the best of the candidates.
        SamplesTheBest => "sample::does_not_depend_on_the_query",
        /// A memory of the sample has no values.
        SamplesWithoutValues => "sample::carries_every_value",
        /// Capabilities deny neighbors, and they are read.
        DeniesItsNeighbors => "neighbors::answers_as_capabilities_say",
        /// The memories before come oldest first.
        ReversesNeighbors => "neighbors::are_nearest_in_time",
        /// An episode is as long as what was read of it.
        CountsNeighborsAsLength => "neighbors::are_nearest_in_time",
        /// What the filter does not match is a step of the episode.
        ReadsNeighborsWithoutTheFilter => "neighbors::agree_with_a_scan",
        /// A neighbor of two memories is found twice.
        RepeatsNeighbors => "neighbors::agree_with_a_scan",
        /// Neighbors have no similarity.
        ReadsNeighborsWithoutValues => "neighbors::carry_the_values_of_a_search",
        /// An episode is that of all entities.
        ReadsNeighborsOfAllEntities => "neighbors::are_scoped",
        /// Numbers out of bounds are moved into them.
        ClampsNeighborLimits => "neighbors::numbers_are_limited",
        /// A dry run of index maintenance writes.
        WritesInADryRun => "index_maintenance::dry_run_writes_nothing",
        /// Every run of index maintenance builds what the last one built.
        BuildsIndexesAgain => "index_maintenance::second_run_builds_nothing",
        /// Searches by an index find half of the nearest.
        MissesTheNearest => "index_maintenance::searches_reach_the_target",
        /// Entities with fewer vectors than asked for get indexes.
        IndexesSmallEntities => "index_maintenance::request_is_respected",
        /// A share of more than everything is a target.
        AcceptsEveryTargetRecall => "index_maintenance::request_is_respected",
        /// The change marker stays the same forever.
        KeepsItsChangeMarker => "change_marker::differs_after_every_write",
        /// The change marker of a handle stays the same forever.
        KeepsTheMarkerOfItsHandles => "change_marker::of_a_handle_differs_after_other_writes",
        /// A write is told with the generation after the next one.
        ReportsTheNextGeneration => "watch::reports_every_write",
        /// ChangeChannel is lost where a wait for it is dropped.
        LosesEventsOfDroppedWaits => "watch::loses_nothing_in_dropped_waits",
        /// The end of a channel passes as its loss.
        ReportsCloseAsDisconnect => "watch::ends_with_the_store",
        /// A read takes its generation before its memories.
        TearsReads => "concurrency::readers_see_whole_batches",
        /// A batch is written item by item: a dropped insert leaves half.
        InsertsOneByOne => "cancellation::insert_is_whole_or_absent",
        /// Content and context are updated one after the other.
        UpdatesInTwoSteps => "cancellation::update_is_whole_or_absent",
        /// Memories are deleted in two steps.
        DeletesInTwoSteps => "cancellation::delete_is_whole_or_absent",
        /// Summaries come first, and then their sources are archived.
        ConsolidatesInTwoSteps => "cancellation::consolidate_is_whole_or_absent",
        /// Memories are evicted first, and then the batch is inserted at the same generation.
        EvictsInTwoSteps => "cancellation::insert_with_evictions_is_whole_or_absent",
        /// Accesses are recorded memory by memory.
        RecordsAccessesOneByOne => "cancellation::record_accesses_is_whole_or_absent",
        /// Vectors are replaced memory by memory.
        ReplacesVectorsOneByOne => "cancellation::replace_vectors_is_whole_or_absent",
        /// Deletes are acknowledged before they are in the database.
        DelaysDeletes => "second_store::reads_every_write",
        /// It says that it is the only writer.
        DeniesOtherWriters => "second_store::is_declared",
        /// The change marker counts its own writes only.
        CountsOwnWritesInItsMarker => "second_store::changes_the_marker",
        /// Only its own writes are reported.
        ReportsOwnWritesOnly => "second_store::is_watched",
        /// A closed store goes on answering.
        NeverCloses => "close::answers_as_capabilities_say",
        /// A closed store still says which entities were accessed last.
        AnswersAfterClose => "close::answers_as_capabilities_say",
        /// Capabilities deny that it closes, and it does.
        DeniesThatItCloses => "close::answers_as_capabilities_say",
        /// Searches that run during a close fail.
        BreaksOffSearches => "close::finishes_running_calls",
        /// Closing a second time fails.
        ClosesOnceOnly => "close::may_be_repeated",
    }
}
