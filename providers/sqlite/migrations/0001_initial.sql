-- Everything that an engine keeps, for any number of (namespace, app) pairs in one file.
--
-- Names begin with hm_, so that the file may hold tables of the user's as well. `scope` is the key of a
-- (namespace, app) pair in hm_scopes and the first column of every key. Times are milliseconds since the epoch.
-- Rows that belong to a job name it by job_key: ids of jobs are long and would be repeated for each event batch.

CREATE TABLE hm_scopes (
    scope INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    app_id TEXT NOT NULL,
    UNIQUE (namespace, app_id)
);

-- One value each: 'database_id' is the prefix that makes outbox ids unique among databases.
CREATE TABLE hm_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO hm_meta (name, value) VALUES ('database_id', lower(hex(randomblob(6))));

-- Jobs -----------------------------------------------------------------------------------------------------------
-- status NULL: the job itself does not exist, but something kept for it does (a mark, events, a dependency).
-- revision 0: the job was never created. next_event_id is where the stored history ends.
CREATE TABLE hm_jobs (
    job_key INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    job_id TEXT NOT NULL,
    status INTEGER,
    revision INTEGER NOT NULL DEFAULT 0,
    next_event_id INTEGER NOT NULL DEFAULT 1,
    expires_at INTEGER,
    state BLOB NOT NULL DEFAULT x'',
    UNIQUE (scope, job_id)
);
CREATE INDEX hm_jobs_expiry ON hm_jobs (expires_at) WHERE expires_at IS NOT NULL;

-- Apart from hm_jobs, so that a new state does not rewrite the part that never changes.
CREATE TABLE hm_job_origins (job_key INTEGER PRIMARY KEY, origin BLOB NOT NULL);

CREATE TABLE hm_job_fields (
    job_key INTEGER NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (job_key, field)
) WITHOUT ROWID;

CREATE TABLE hm_marks (
    job_key INTEGER NOT NULL,
    guid TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (job_key, guid)
) WITHOUT ROWID;

-- Ledgers of collate, by the field that fields.ledger_field names.
CREATE TABLE hm_ledgers (
    job_key INTEGER NOT NULL,
    field TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (job_key, field)
) WITHOUT ROWID;

CREATE TABLE hm_job_dependencies (
    position INTEGER PRIMARY KEY,
    job_key INTEGER NOT NULL,
    dependency TEXT NOT NULL,
    UNIQUE (job_key, dependency)
);

-- batch_key = job_key << 24 | first event id: the batches of a run lie side by side and need no second index.
CREATE TABLE hm_history (
    batch_key INTEGER PRIMARY KEY,
    next_event_id INTEGER NOT NULL,
    data BLOB NOT NULL
);

CREATE TABLE hm_current_runs (
    scope INTEGER NOT NULL,
    pointer_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (scope, pointer_id)
) WITHOUT ROWID;
CREATE INDEX hm_current_runs_run ON hm_current_runs (scope, run_id);

-- Streams --------------------------------------------------------------------------------------------------------
CREATE TABLE hm_streams (
    stream_key INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (scope, name)
);

CREATE TABLE hm_stream_groups (
    stream_key INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (stream_key, name)
) WITHOUT ROWID;

-- available_at 0: ready. Above 0: delayed until then, or delivered (consumer is set) and leased until then.
-- NULL: a dead letter.
-- Ids are microseconds since the epoch, made greater than those before: order of publication, and never used twice.
CREATE TABLE hm_messages (
    message_id INTEGER PRIMARY KEY,
    stream_key INTEGER NOT NULL,
    available_at INTEGER,
    priority INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    delivered_at INTEGER,
    consumer_group TEXT,
    consumer TEXT,
    dead_at INTEGER,
    dead_reason TEXT,
    data TEXT NOT NULL
);
CREATE INDEX hm_messages_ready ON hm_messages (stream_key, priority DESC, message_id) WHERE available_at = 0;
CREATE INDEX hm_messages_waiting ON hm_messages (stream_key, available_at) WHERE available_at > 0;
CREATE INDEX hm_messages_dead ON hm_messages (stream_key) WHERE available_at IS NULL;

-- Timers, outbox, leases -------------------------------------------------------------------------------------------
-- due_at is fire_at, or the end of the lease of the last claim. The fence is a new random number on each arming and
-- claim; one that counted up would start again after a cancel and let an old claim ack a new timer.
CREATE TABLE hm_timers (
    scope INTEGER NOT NULL,
    timer_id TEXT NOT NULL,
    fire_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    claimed INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (scope, timer_id)
) WITHOUT ROWID;
CREATE INDEX hm_timers_due ON hm_timers (scope, due_at, claimed);

-- Brokers drop what has an id that they know, so AUTOINCREMENT makes sure that none is ever used twice.
CREATE TABLE hm_outbox (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope INTEGER NOT NULL,
    stream TEXT NOT NULL,
    message TEXT NOT NULL,
    visible_at INTEGER,
    priority INTEGER NOT NULL,
    owner TEXT,
    leased_until INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX hm_outbox_scope ON hm_outbox (scope);

-- A released lease keeps its row (owner NULL), so that the fence goes on growing.
CREATE TABLE hm_leases (
    scope INTEGER NOT NULL,
    name TEXT NOT NULL,
    owner TEXT,
    fence INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) WITHOUT ROWID;

-- Hints that cannot travel in a datagram (see sub.py).
CREATE TABLE hm_hints (
    hint_id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope INTEGER NOT NULL,
    sender TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at INTEGER NOT NULL
);

-- HotMesh's own tables --------------------------------------------------------------------------------------------
CREATE TABLE hm_settings (
    scope INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (scope, name)
) WITHOUT ROWID;

CREATE TABLE hm_apps (
    scope INTEGER NOT NULL,
    app_id TEXT NOT NULL,
    version TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (scope, app_id)
) WITHOUT ROWID;

CREATE TABLE hm_app_versions (
    scope INTEGER NOT NULL,
    app_id TEXT NOT NULL,
    version TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (scope, app_id, version)
) WITHOUT ROWID;

CREATE TABLE hm_symbol_ranges (
    scope INTEGER NOT NULL,
    target TEXT NOT NULL,
    lower INTEGER NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (scope, target)
) WITHOUT ROWID;

CREATE TABLE hm_symbols (
    scope INTEGER NOT NULL,
    target TEXT NOT NULL,
    path TEXT NOT NULL,
    symbol TEXT NOT NULL,
    PRIMARY KEY (scope, target, path)
) WITHOUT ROWID;

CREATE TABLE hm_symbol_values (
    scope INTEGER NOT NULL,
    value TEXT NOT NULL,
    code TEXT NOT NULL,
    PRIMARY KEY (scope, value)
) WITHOUT ROWID;

CREATE TABLE hm_counters (
    scope INTEGER NOT NULL,
    bucket TEXT NOT NULL,
    facet TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (scope, bucket, facet)
) WITHOUT ROWID;

CREATE TABLE hm_samples (
    sample_id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    sample_key TEXT NOT NULL,
    value REAL NOT NULL
);
CREATE INDEX hm_samples_key ON hm_samples (scope, sample_key, value);

-- Lists of job ids; positions may be negative, as ids can be put back in front.
CREATE TABLE hm_lists (
    scope INTEGER NOT NULL,
    list_key TEXT NOT NULL,
    position INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (scope, list_key, position)
) WITHOUT ROWID;

CREATE TABLE hm_work_items (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    scope INTEGER NOT NULL,
    item TEXT NOT NULL,
    UNIQUE (scope, item)
);

-- What a compiled app consists of; kind is schema, subscription, transition or hook (its version is empty).
CREATE TABLE hm_routing (
    scope INTEGER NOT NULL,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (scope, kind, version, name)
) WITHOUT ROWID;

CREATE TABLE hm_hook_signals (
    scope INTEGER NOT NULL,
    topic TEXT NOT NULL,
    resolved TEXT NOT NULL,
    job_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (scope, topic, resolved)
) WITHOUT ROWID;
CREATE INDEX hm_hook_signals_expiry ON hm_hook_signals (expires_at);

CREATE TABLE hm_time_hooks (
    hook_id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope INTEGER NOT NULL,
    job_id TEXT NOT NULL,
    gid TEXT NOT NULL,
    activity_id TEXT NOT NULL,
    type TEXT NOT NULL,
    dad TEXT NOT NULL,
    fire_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    UNIQUE (scope, job_id, gid, activity_id, type, dad, fire_at)
);
CREATE INDEX hm_time_hooks_fire ON hm_time_hooks (scope, fire_at, hook_id);

CREATE TABLE hm_throttles (
    scope INTEGER NOT NULL,
    topic TEXT NOT NULL,
    rate INTEGER NOT NULL,
    PRIMARY KEY (scope, topic)
) WITHOUT ROWID;

-- Search -----------------------------------------------------------------------------------------------------------
-- One space per Temporal namespace of a scope.
CREATE TABLE hm_search_spaces (
    space INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    UNIQUE (scope, namespace)
);

-- The common fields are columns; every other field is a row of hm_search_fields. An absent field is the empty blob:
-- it sorts after every number and text, which is the order that lists need, and makes all comparisons two-valued.
CREATE TABLE hm_search_documents (
    doc_key INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    doc_id TEXT NOT NULL,
    space INTEGER NOT NULL,
    expires_at INTEGER,
    workflow_id NOT NULL DEFAULT x'',
    run_id NOT NULL DEFAULT x'',
    workflow_type NOT NULL DEFAULT x'',
    status NOT NULL DEFAULT x'',
    task_queue NOT NULL DEFAULT x'',
    start_time NOT NULL DEFAULT x'',
    close_time NOT NULL DEFAULT x'',
    execution_time NOT NULL DEFAULT x'',
    execution_duration NOT NULL DEFAULT x'',
    history_length NOT NULL DEFAULT x'',
    history_size NOT NULL DEFAULT x'',
    transitions NOT NULL DEFAULT x'',
    parent_workflow_id NOT NULL DEFAULT x'',
    parent_run_id NOT NULL DEFAULT x'',
    root_workflow_id NOT NULL DEFAULT x'',
    root_run_id NOT NULL DEFAULT x'',
    data BLOB NOT NULL,
    UNIQUE (scope, doc_id)
);
CREATE INDEX hm_search_start ON hm_search_documents (space, start_time);
CREATE INDEX hm_search_close ON hm_search_documents (space, close_time);
CREATE INDEX hm_search_status ON hm_search_documents (space, status, start_time);
CREATE INDEX hm_search_type ON hm_search_documents (space, workflow_type, start_time);
CREATE INDEX hm_search_workflow ON hm_search_documents (space, workflow_id, start_time);
CREATE INDEX hm_search_queue ON hm_search_documents (space, task_queue, start_time);

-- position counts the elements of a list; kind is 's' scalar, 'b' truth value, 'l' element of a list of
-- texts, 'e' an empty list (its value is the empty blob: no value for comparisons).
CREATE TABLE hm_search_fields (
    doc_key INTEGER NOT NULL,
    field TEXT NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    value NOT NULL,
    PRIMARY KEY (doc_key, field, position)
) WITHOUT ROWID;
CREATE INDEX hm_search_fields_value ON hm_search_fields (field, value);

-- Commits ----------------------------------------------------------------------------------------------------------
-- A whole commit as one INSERT: commits.py says when this is used and why. Whatever is not as usual (a lost race, a
-- used mark, a stream or row that does not exist yet) fails the statement, which then has changed nothing; the caller
-- does the same step by step and finds out. A commit without a run has expected_revision NULL.
-- One trigger for each part, as what is absent costs nothing then. SQLite runs the one made last first; marks need
-- their run to be there.
CREATE VIEW hm_commits AS SELECT
    NULL AS scope, NULL AS now,
    NULL AS job_id, NULL AS expected_revision, NULL AS status, NULL AS state, NULL AS origin,
    NULL AS first_event_id, NULL AS next_event_id, NULL AS events,
    NULL AS pointer_id, NULL AS pointer_expected, NULL AS pointer_run,
    NULL AS marks,            -- [[job id, guid]]
    -- one message without JSON, which costs less; publishes are two and more
    NULL AS message_id, NULL AS stream, NULL AS available_at, NULL AS priority, NULL AS attempt, NULL AS delivered_at,
    NULL AS consumer_group, NULL AS consumer, NULL AS message,
    -- [[message id, stream, available at, priority, attempt, delivered at, group, consumer, data]]
    NULL AS publishes,
    NULL AS oldest_message,   -- a message id that is too low: the clock was set back
    NULL AS outbox,           -- [[entry id, stream, message, visible at, priority]]
    -- one ack without JSON; acks are two and more
    NULL AS ack_id, NULL AS ack_consumer, NULL AS ack_attempt, NULL AS ack_group, NULL AS ack_stream,
    NULL AS acks,             -- [[message id, consumer, attempt, group, stream]]
    NULL AS cancels,          -- [timer id]
    NULL AS timers,           -- [[timer id, fire at, fence, payload]]
    NULL AS doc_id, NULL AS doc_namespace, NULL AS doc_data,
    NULL AS doc_columns,      -- [value or null of each column, from workflow_id to root_run_id]
    NULL AS doc_fields;       -- [[field, position, kind, value]], null if there are none

CREATE TRIGGER hm_commits_marks INSTEAD OF INSERT ON hm_commits WHEN NEW.marks IS NOT NULL BEGIN
    INSERT INTO hm_marks (job_key, guid, value)
    SELECT (SELECT job_key FROM hm_jobs WHERE scope = NEW.scope AND job_id = json_extract(mark.value, '$[0]')
            AND (expires_at IS NULL OR expires_at > NEW.now)),
        json_extract(mark.value, '$[1]'), 1
    FROM json_each(NEW.marks) mark;
END;

CREATE TRIGGER hm_commits_fields INSTEAD OF INSERT ON hm_commits WHEN NEW.doc_id IS NOT NULL BEGIN
    DELETE FROM hm_search_fields WHERE doc_key = (
        SELECT doc_key FROM hm_search_documents WHERE scope = NEW.scope AND doc_id = NEW.doc_id);
    INSERT INTO hm_search_fields (doc_key, field, position, kind, value)
    SELECT (SELECT doc_key FROM hm_search_documents WHERE scope = NEW.scope AND doc_id = NEW.doc_id),
        json_extract(field.value, '$[0]'), json_extract(field.value, '$[1]'), json_extract(field.value, '$[2]'),
        json_extract(field.value, '$[3]')
    FROM json_each(NEW.doc_fields) field;
END;

CREATE TRIGGER hm_commits_document INSTEAD OF INSERT ON hm_commits WHEN NEW.doc_id IS NOT NULL BEGIN
    UPDATE hm_search_documents SET data = NEW.doc_data,
        run_id = coalesce(json_extract(NEW.doc_columns, '$[1]'), x''),
        status = coalesce(json_extract(NEW.doc_columns, '$[3]'), x''),
        close_time = coalesce(json_extract(NEW.doc_columns, '$[6]'), x''),
        execution_time = coalesce(json_extract(NEW.doc_columns, '$[7]'), x''),
        execution_duration = coalesce(json_extract(NEW.doc_columns, '$[8]'), x''),
        history_length = coalesce(json_extract(NEW.doc_columns, '$[9]'), x''),
        history_size = coalesce(json_extract(NEW.doc_columns, '$[10]'), x''),
        transitions = coalesce(json_extract(NEW.doc_columns, '$[11]'), x''),
        parent_workflow_id = coalesce(json_extract(NEW.doc_columns, '$[12]'), x''),
        parent_run_id = coalesce(json_extract(NEW.doc_columns, '$[13]'), x''),
        root_workflow_id = coalesce(json_extract(NEW.doc_columns, '$[14]'), x''),
        root_run_id = coalesce(json_extract(NEW.doc_columns, '$[15]'), x'')
    WHERE scope = NEW.scope AND doc_id = NEW.doc_id
        AND space = (SELECT space FROM hm_search_spaces WHERE scope = NEW.scope AND namespace = NEW.doc_namespace)
        AND workflow_id = coalesce(json_extract(NEW.doc_columns, '$[0]'), x'')
        AND workflow_type = coalesce(json_extract(NEW.doc_columns, '$[2]'), x'')
        AND task_queue = coalesce(json_extract(NEW.doc_columns, '$[4]'), x'')
        AND start_time = coalesce(json_extract(NEW.doc_columns, '$[5]'), x'');
    -- A document that is there but was not updated fails the uniqueness of its id here.
    INSERT INTO hm_search_documents (scope, doc_id, space, data, expires_at,
        workflow_id, run_id, workflow_type, status, task_queue, start_time,
        close_time, execution_time, execution_duration, history_length, history_size, transitions,
        parent_workflow_id, parent_run_id, root_workflow_id, root_run_id)
    SELECT NEW.scope, NEW.doc_id,
        (SELECT space FROM hm_search_spaces WHERE scope = NEW.scope AND namespace = NEW.doc_namespace), NEW.doc_data,
        (SELECT expires_at FROM hm_jobs WHERE scope = NEW.scope AND job_id = NEW.doc_id),
        coalesce(json_extract(NEW.doc_columns, '$[0]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[1]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[2]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[3]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[4]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[5]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[6]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[7]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[8]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[9]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[10]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[11]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[12]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[13]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[14]'), x''),
        coalesce(json_extract(NEW.doc_columns, '$[15]'), x'')
    WHERE changes() = 0;
END;

CREATE TRIGGER hm_commits_timers INSTEAD OF INSERT ON hm_commits WHEN NEW.timers IS NOT NULL BEGIN
    INSERT INTO hm_timers (scope, timer_id, fire_at, due_at, fence, payload)
    SELECT NEW.scope, json_extract(timer.value, '$[0]'), json_extract(timer.value, '$[1]'),
        json_extract(timer.value, '$[1]'), json_extract(timer.value, '$[2]'), json_extract(timer.value, '$[3]')
    FROM json_each(NEW.timers) timer WHERE true
    ON CONFLICT (scope, timer_id) DO UPDATE SET fire_at = excluded.fire_at, due_at = excluded.due_at, claimed = 0,
        fence = excluded.fence, payload = excluded.payload;
END;

CREATE TRIGGER hm_commits_cancels INSTEAD OF INSERT ON hm_commits WHEN NEW.cancels IS NOT NULL BEGIN
    DELETE FROM hm_timers
    WHERE scope = NEW.scope AND timer_id IN (SELECT value FROM json_each(NEW.cancels));
END;

CREATE TRIGGER hm_commits_acks INSTEAD OF INSERT ON hm_commits WHEN NEW.acks IS NOT NULL BEGIN
    DELETE FROM hm_messages WHERE message_id IN (
        SELECT held.message_id FROM json_each(NEW.acks) ack CROSS JOIN hm_messages held
        WHERE held.message_id = json_extract(ack.value, '$[0]') AND held.consumer = json_extract(ack.value, '$[1]')
            AND held.attempt = json_extract(ack.value, '$[2]') AND held.consumer_group = json_extract(ack.value, '$[3]')
            AND held.stream_key = (
                SELECT stream_key FROM hm_streams WHERE scope = NEW.scope AND name = json_extract(ack.value, '$[4]')));
END;

CREATE TRIGGER hm_commits_ack INSTEAD OF INSERT ON hm_commits WHEN NEW.ack_id IS NOT NULL BEGIN
    DELETE FROM hm_messages
    WHERE message_id = NEW.ack_id AND consumer = NEW.ack_consumer AND attempt = NEW.ack_attempt
        AND consumer_group = NEW.ack_group
        AND stream_key = (SELECT stream_key FROM hm_streams WHERE scope = NEW.scope AND name = NEW.ack_stream);
END;

CREATE TRIGGER hm_commits_outbox INSTEAD OF INSERT ON hm_commits WHEN NEW.outbox IS NOT NULL BEGIN
    SELECT RAISE(ABORT, 'unusual')
    WHERE json_extract(NEW.outbox, '$[0][0]') <= (SELECT seq FROM sqlite_sequence WHERE name = 'hm_outbox');
    INSERT INTO hm_outbox (entry_id, scope, stream, message, visible_at, priority)
    SELECT json_extract(entry.value, '$[0]'), NEW.scope, json_extract(entry.value, '$[1]'),
        json_extract(entry.value, '$[2]'), json_extract(entry.value, '$[3]'), json_extract(entry.value, '$[4]')
    FROM json_each(NEW.outbox) entry;
END;

CREATE TRIGGER hm_commits_publishes INSTEAD OF INSERT ON hm_commits WHEN NEW.publishes IS NOT NULL BEGIN
    SELECT RAISE(ABORT, 'unusual')
    WHERE NEW.oldest_message < (SELECT max(message_id) FROM hm_messages);
    INSERT INTO hm_messages
        (message_id, stream_key, available_at, priority, attempt, created_at,
        delivered_at, consumer_group, consumer, data)
    SELECT json_extract(message.value, '$[0]'),
        (SELECT stream_key FROM hm_streams WHERE scope = NEW.scope AND name = json_extract(message.value, '$[1]')),
        json_extract(message.value, '$[2]'), json_extract(message.value, '$[3]'), json_extract(message.value, '$[4]'),
        NEW.now, json_extract(message.value, '$[5]'), json_extract(message.value, '$[6]'),
        json_extract(message.value, '$[7]'), json_extract(message.value, '$[8]')
    FROM json_each(NEW.publishes) message;
END;

CREATE TRIGGER hm_commits_publish INSTEAD OF INSERT ON hm_commits WHEN NEW.message_id IS NOT NULL BEGIN
    SELECT RAISE(ABORT, 'unusual')
    WHERE NEW.oldest_message < (SELECT max(message_id) FROM hm_messages);
    INSERT INTO hm_messages
        (message_id, stream_key, available_at, priority, attempt, created_at,
        delivered_at, consumer_group, consumer, data)
    VALUES (NEW.message_id, (SELECT stream_key FROM hm_streams WHERE scope = NEW.scope AND name = NEW.stream),
        NEW.available_at, NEW.priority, NEW.attempt, NEW.now,
        NEW.delivered_at, NEW.consumer_group, NEW.consumer, NEW.message);
END;

CREATE TRIGGER hm_commits_first_pointer INSTEAD OF INSERT ON hm_commits
    WHEN NEW.pointer_id IS NOT NULL AND NEW.pointer_expected IS NULL BEGIN
    INSERT INTO hm_current_runs (scope, pointer_id, run_id) VALUES (NEW.scope, NEW.pointer_id, NEW.pointer_run);
END;

CREATE TRIGGER hm_commits_next_pointer INSTEAD OF INSERT ON hm_commits WHEN NEW.pointer_expected IS NOT NULL BEGIN
    UPDATE hm_current_runs SET run_id = NEW.pointer_run
    WHERE scope = NEW.scope AND pointer_id = NEW.pointer_id AND run_id = NEW.pointer_expected;
    SELECT RAISE(ABORT, 'unusual') WHERE changes() = 0;
END;

CREATE TRIGGER hm_commits_run_only INSTEAD OF INSERT ON hm_commits
    WHEN NEW.expected_revision > 0 AND NEW.events IS NULL BEGIN
    UPDATE hm_jobs SET revision = revision + 1, status = NEW.status, state = NEW.state
    WHERE scope = NEW.scope AND job_id = NEW.job_id AND revision = NEW.expected_revision
        AND status IS NOT NULL AND (expires_at IS NULL OR expires_at > NEW.now);
    SELECT RAISE(ABORT, 'unusual') WHERE changes() = 0;
END;

CREATE TRIGGER hm_commits_run INSTEAD OF INSERT ON hm_commits
    WHEN NEW.expected_revision > 0 AND NEW.events IS NOT NULL BEGIN
    UPDATE hm_jobs SET revision = revision + 1, status = NEW.status, state = NEW.state,
        next_event_id = NEW.next_event_id
    WHERE scope = NEW.scope AND job_id = NEW.job_id AND revision = NEW.expected_revision
        AND status IS NOT NULL AND (expires_at IS NULL OR expires_at > NEW.now)
        AND next_event_id = NEW.first_event_id;
    SELECT RAISE(ABORT, 'unusual') WHERE changes() = 0;
    INSERT INTO hm_history (batch_key, next_event_id, data)
    SELECT job_key << 24 | NEW.first_event_id, NEW.next_event_id, NEW.events FROM hm_jobs
    WHERE scope = NEW.scope AND job_id = NEW.job_id;
END;

CREATE TRIGGER hm_commits_new_run INSTEAD OF INSERT ON hm_commits WHEN NEW.expected_revision = 0 BEGIN
    INSERT INTO hm_jobs (scope, job_id, status, revision, next_event_id, state)
    VALUES (NEW.scope, NEW.job_id, NEW.status, 1, coalesce(NEW.next_event_id, 1), NEW.state);
    SELECT RAISE(ABORT, 'unusual') WHERE NEW.first_event_id <> 1;
    INSERT INTO hm_history (batch_key, next_event_id, data)
    SELECT job_key << 24 | NEW.first_event_id, NEW.next_event_id, NEW.events FROM hm_jobs
    WHERE NEW.events IS NOT NULL AND scope = NEW.scope AND job_id = NEW.job_id;
    INSERT INTO hm_job_origins (job_key, origin)
    SELECT job_key, NEW.origin FROM hm_jobs
    WHERE NEW.origin IS NOT NULL AND scope = NEW.scope AND job_id = NEW.job_id;
END;
