-- Tables of HotMesh. The word `hotmesh.` stands for the configured schema.
--
-- Every row belongs to one app: `app` is the small key of a (namespace, app id) pair, see `apps`. Rows of the hot path
-- that name a stream carry `queue` instead, a UUID made from the app key and the stream's name, so that neither a look-up
-- nor a long index key is needed. All times are milliseconds since the epoch unless the type says otherwise.
--
--   apps             (namespace, app id) -> app key
--   jobs             a job: status, and for runs revision and state; rewritten by every commit, hence the free space
--   origins          the immutable part of a run, apart so that commits do not copy it
--   events           history: serialized batches, appended only
--   current_runs     workflow id -> its current run
--   job_fields       the fields of a job's hash
--   ledgers          counters for deduplication: kind g = by message guid (commit marks too), a = by activity
--   dependencies     jobs that end with a job
--   timers           one row per armed timer; due_at is fire_at until claimed, then the end of the claim
--   time_hooks       HotMesh's time hooks, claimed in the same way
--   streams, groups  names that exist
--   messages         ready and leased ones have delayed = false; a delayed one is turned when it comes due
--   dead_letters     messages set aside
--   outbox           messages for a broker that is another database
--   leases           owner-fenced leases and scout roles
--   documents        search index; fields that have no column are in `fields`
--   hashes, lists, counters, work_items, signals: the small tables of HotMesh's other methods
--   notices, pollers notices that do not fit into NOTIFY, and who cannot LISTEN
--
-- Life cycle of a job: inserted once, updated in place (no index covers a column that changes, so that updates stay
-- within the page), deleted by `purge_job` together with all that hangs on its id.

CREATE SEQUENCE hotmesh.fences;

CREATE TABLE hotmesh.apps (
    app integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace text NOT NULL,
    app_id text NOT NULL,
    UNIQUE (namespace, app_id)
);

CREATE TABLE hotmesh.jobs (
    app integer NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    status bigint NOT NULL,
    revision bigint NOT NULL DEFAULT 0,
    next_event_id bigint NOT NULL DEFAULT 1,
    expires_at bigint,
    state bytea NOT NULL DEFAULT '',
    PRIMARY KEY (app, job_id)
) WITH (
    -- A state of up to about 4 kB stays in the row: rewriting a TOAST value costs more than a longer row.
    fillfactor = 70, toast_tuple_target = 4080,
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500
);
CREATE INDEX jobs_expiry ON hotmesh.jobs (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE hotmesh.origins (job bigint PRIMARY KEY, data bytea NOT NULL);

CREATE TABLE hotmesh.events (
    job bigint NOT NULL,
    first_id bigint NOT NULL,
    next_id bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (job, first_id)
);

CREATE TABLE hotmesh.current_runs (
    app integer NOT NULL,
    pointer_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (app, pointer_id)
);
CREATE INDEX current_runs_run ON hotmesh.current_runs (app, run_id);

CREATE TABLE hotmesh.job_fields (
    app integer NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (app, job_id, field)
) WITH (fillfactor = 80);

CREATE TABLE hotmesh.ledgers (
    app integer NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    kind "char" NOT NULL,
    name text COLLATE "C" NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (app, job_id, kind, name)
) WITH (fillfactor = 80);

CREATE TABLE hotmesh.dependencies (
    app integer NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    dependency text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (app, job_id, dependency)
);

CREATE TABLE hotmesh.timers (
    app integer NOT NULL,
    timer_id text COLLATE "C" NOT NULL,
    due_at bigint NOT NULL,
    fire_at bigint NOT NULL,
    fence bigint NOT NULL,
    payload text NOT NULL,
    PRIMARY KEY (app, timer_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX timers_due ON hotmesh.timers (app, due_at);

CREATE TABLE hotmesh.time_hooks (
    app integer NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    gid text NOT NULL,
    activity_id text NOT NULL,
    type text NOT NULL,
    fire_at bigint NOT NULL,
    dad text NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    due_at bigint NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    UNIQUE (app, job_id, fire_at, type, activity_id, gid, dad)
);
CREATE INDEX time_hooks_due ON hotmesh.time_hooks (app, due_at);

CREATE TABLE hotmesh.streams (queue uuid PRIMARY KEY, app integer NOT NULL, stream text NOT NULL);

CREATE TABLE hotmesh.groups (queue uuid NOT NULL, grp text COLLATE "C" NOT NULL, PRIMARY KEY (queue, grp));

CREATE TABLE hotmesh.messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue uuid NOT NULL,
    app integer NOT NULL,
    delayed boolean NOT NULL DEFAULT false,
    priority integer NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    deliver_at bigint NOT NULL DEFAULT 0,
    lease_until bigint NOT NULL DEFAULT 0,
    leased_at bigint NOT NULL DEFAULT 0,
    published_at timestamptz NOT NULL DEFAULT now(),
    grp text,
    consumer text,
    data text NOT NULL
) WITH (
    -- Half of a page is room for the one update that every message gets, also when a whole page is taken at once.
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_insert_scale_factor = 0.2
);
-- Neither index covers a column that a delivery changes: taking a message is an update within its page.
CREATE INDEX messages_ready ON hotmesh.messages (queue, priority DESC, id) WHERE NOT delayed;
CREATE INDEX messages_delayed ON hotmesh.messages (queue, deliver_at) WHERE delayed;

CREATE TABLE hotmesh.dead_letters (
    id bigint PRIMARY KEY,
    queue uuid NOT NULL,
    grp text NOT NULL,
    attempt integer NOT NULL,
    reason text NOT NULL,
    dead_at bigint NOT NULL,
    data text NOT NULL
);
CREATE INDEX dead_letters_queue ON hotmesh.dead_letters (queue, id);

CREATE TABLE hotmesh.outbox (
    app integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    stream text NOT NULL,
    message text NOT NULL,
    visible_at bigint,
    priority integer NOT NULL DEFAULT 0,
    owner text,
    claimed_until bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (app, id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

CREATE TABLE hotmesh.leases (
    app integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    owner text NOT NULL,
    fence bigint NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (app, name)
) WITH (fillfactor = 50);

CREATE TABLE hotmesh.documents (
    app integer NOT NULL,
    doc_id text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    status text COLLATE "C",
    workflow_type text COLLATE "C",
    workflow_id text COLLATE "C",
    run_id text COLLATE "C",
    task_queue text COLLATE "C",
    start_time bigint,
    close_time bigint,
    execution_time bigint,
    execution_duration bigint,
    history_length bigint,
    history_size bigint,
    state_transitions bigint,
    expires_at bigint,
    fields jsonb,
    data bytea NOT NULL,
    PRIMARY KEY (app, doc_id)
);
CREATE INDEX documents_start ON hotmesh.documents (app, namespace, start_time DESC, doc_id);
CREATE INDEX documents_status ON hotmesh.documents (app, namespace, status, start_time DESC, doc_id);
CREATE INDEX documents_workflow ON hotmesh.documents (app, namespace, workflow_id);
CREATE INDEX documents_type ON hotmesh.documents (app, namespace, workflow_type, start_time DESC, doc_id);
CREATE INDEX documents_close ON hotmesh.documents (app, namespace, close_time DESC) WHERE close_time IS NOT NULL;
CREATE INDEX documents_fields ON hotmesh.documents USING gin (fields jsonb_path_ops) WHERE fields IS NOT NULL;

CREATE TABLE hotmesh.hashes (
    app integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (app, key, field)
);

CREATE TABLE hotmesh.lists (
    app integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    pos bigint GENERATED BY DEFAULT AS IDENTITY,
    value text NOT NULL,
    PRIMARY KEY (app, key, pos)
);

CREATE TABLE hotmesh.counters (
    app integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    facet text COLLATE "C" NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (app, key, facet)
) WITH (fillfactor = 70);

CREATE TABLE hotmesh.work_items (
    app integer NOT NULL,
    item text NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (app, item)
);

CREATE TABLE hotmesh.signals (
    app integer NOT NULL,
    topic text COLLATE "C" NOT NULL,
    resolved text COLLATE "C" NOT NULL,
    waiter text NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (app, topic, resolved)
);
CREATE INDEX signals_job ON hotmesh.signals (app, job_id);

CREATE TABLE hotmesh.notices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text NOT NULL,
    payload text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE hotmesh.pollers (app integer PRIMARY KEY, until bigint NOT NULL);

-- lz4 is quicker than the default compression, where the server was built with it.
DO $$
BEGIN
    ALTER TABLE hotmesh.jobs ALTER COLUMN state SET COMPRESSION lz4;
    ALTER TABLE hotmesh.origins ALTER COLUMN data SET COMPRESSION lz4;
    ALTER TABLE hotmesh.events ALTER COLUMN data SET COMPRESSION lz4;
    ALTER TABLE hotmesh.messages ALTER COLUMN data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR syntax_error OR invalid_parameter_value THEN
    NULL;
END $$;

CREATE FUNCTION hotmesh.now_ms() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT (extract(epoch FROM now()) * 1000)::bigint $$;

CREATE FUNCTION hotmesh.live(expires_at bigint) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT expires_at IS NULL OR expires_at > hotmesh.now_ms() $$;
