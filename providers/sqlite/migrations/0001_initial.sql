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
-- AUTOINCREMENT: an id is never used twice, so a late ack cannot hit a newer message.
CREATE TABLE hm_messages (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT,
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
