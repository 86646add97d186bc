-- Jobs: removal with all that hangs on them, and the few steps that need more than one statement.

-- Removes a job, or what is left of one, and everything that is filed under its id.
CREATE FUNCTION hotmesh.purge_job(p_app integer, p_job_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_job bigint;
BEGIN
    DELETE FROM hotmesh.jobs WHERE app = p_app AND job_id = p_job_id RETURNING id INTO v_job;
    IF FOUND THEN
        DELETE FROM hotmesh.events WHERE job = v_job;
        DELETE FROM hotmesh.origins WHERE job = v_job;
    END IF;
    DELETE FROM hotmesh.current_runs WHERE app = p_app AND pointer_id = p_job_id;
    DELETE FROM hotmesh.current_runs WHERE app = p_app AND run_id = p_job_id;
    DELETE FROM hotmesh.job_fields WHERE app = p_app AND job_id = p_job_id;
    DELETE FROM hotmesh.ledgers WHERE app = p_app AND job_id = p_job_id;
    DELETE FROM hotmesh.dependencies WHERE app = p_app AND job_id = p_job_id;
    DELETE FROM hotmesh.timers WHERE app = p_app AND timer_id = p_job_id;
    DELETE FROM hotmesh.time_hooks WHERE app = p_app AND job_id = p_job_id;
    DELETE FROM hotmesh.signals WHERE app = p_app AND job_id = p_job_id;
    DELETE FROM hotmesh.documents WHERE app = p_app AND doc_id = p_job_id;
END $$;

-- Removes the job if its time ran out, so that nothing old shows up under its id.
CREATE FUNCTION hotmesh.purge_if_expired(p_app integer, p_job_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM hotmesh.jobs WHERE app = p_app AND job_id = p_job_id AND NOT hotmesh.live(expires_at) FOR UPDATE;
    IF FOUND THEN
        PERFORM hotmesh.purge_job(p_app, p_job_id);
    END IF;
END $$;

-- Removes up to p_limit expired jobs of any app, and stale rows of small tables. Returns how many jobs.
CREATE FUNCTION hotmesh.sweep(p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_row record;
    v_count integer := 0;
BEGIN
    FOR v_row IN
        SELECT app, job_id FROM hotmesh.jobs WHERE expires_at <= hotmesh.now_ms()
        ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM hotmesh.purge_job(v_row.app, v_row.job_id);
        v_count := v_count + 1;
    END LOOP;
    DELETE FROM hotmesh.signals WHERE expires_at <= hotmesh.now_ms();
    DELETE FROM hotmesh.notices WHERE created_at < now() - interval '1 minute';
    RETURN v_count;
END $$;

CREATE FUNCTION hotmesh.create_job(p_app integer, p_job_id text, p_status bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM hotmesh.purge_if_expired(p_app, p_job_id);
    INSERT INTO hotmesh.jobs (app, job_id, status) VALUES (p_app, p_job_id, p_status) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- Adds to a ledger and returns the sum. Kind g needs no job; for kind a the caller checks that the job exists.
CREATE FUNCTION hotmesh.collate(p_app integer, p_job_id text, p_kind "char", p_name text, p_amount bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_sum bigint;
BEGIN
    PERFORM hotmesh.purge_if_expired(p_app, p_job_id);
    INSERT INTO hotmesh.ledgers AS l (app, job_id, kind, name, value)
    VALUES (p_app, p_job_id, p_kind, p_name, p_amount)
    ON CONFLICT (app, job_id, kind, name) DO UPDATE SET value = l.value + excluded.value
    RETURNING value INTO v_sum;
    RETURN v_sum;
END $$;

-- Appends history batches; false if the first does not start where the history ends.
CREATE FUNCTION hotmesh.append_events(
    p_app integer, p_job_id text, p_first bigint[], p_next bigint[], p_data bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_job bigint;
BEGIN
    UPDATE hotmesh.jobs SET next_event_id = p_next[cardinality(p_next)]
    WHERE app = p_app AND job_id = p_job_id AND next_event_id = p_first[1] AND hotmesh.live(expires_at)
    RETURNING id INTO v_job;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO hotmesh.events SELECT v_job, f, n, d FROM unnest(p_first, p_next, p_data) AS u (f, n, d);
    RETURN true;
END $$;

-- One bucket of statistics: counters, id lists and samples in one step.
CREATE FUNCTION hotmesh.add_stats(
    p_app integer, p_key text, p_facets text[], p_amounts double precision[], p_lists text[], p_values text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Summed and sorted first: one statement may not update a row twice, and a fixed order cannot deadlock.
    INSERT INTO hotmesh.counters AS c (app, key, facet, value)
    SELECT p_app, p_key, f, sum(a) FROM unnest(p_facets, p_amounts) AS u (f, a) GROUP BY f ORDER BY f COLLATE "C"
    ON CONFLICT (app, key, facet) DO UPDATE SET value = c.value + excluded.value;
    INSERT INTO hotmesh.lists (app, key, value)
    SELECT p_app, k, v FROM unnest(p_lists, p_values) WITH ORDINALITY AS u (k, v, n) ORDER BY n;
END $$;

-- Items first..last of a list, both included; negative positions count from the end.
CREATE FUNCTION hotmesh.list_range(p_app integer, p_key text, p_first bigint, p_last bigint) RETURNS text[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_count bigint := 0;
    v_first bigint := p_first;
    v_last bigint := p_last;
BEGIN
    IF p_first < 0 OR p_last < 0 THEN
        SELECT count(*) INTO v_count FROM hotmesh.lists WHERE app = p_app AND key = p_key;
        v_first := CASE WHEN p_first < 0 THEN greatest(p_first + v_count, 0) ELSE p_first END;
        v_last := CASE WHEN p_last < 0 THEN p_last + v_count ELSE p_last END;
    END IF;
    RETURN ARRAY(
        SELECT value FROM hotmesh.lists WHERE app = p_app AND key = p_key
        ORDER BY pos OFFSET v_first LIMIT greatest(v_last - v_first + 1, 0)
    );
END $$;

-- Moves the first item of one list to the end of another and returns it.
CREATE FUNCTION hotmesh.list_move(p_app integer, p_source text, p_target text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_value text;
BEGIN
    DELETE FROM hotmesh.lists WHERE app = p_app AND key = p_source AND pos = (
        SELECT pos FROM hotmesh.lists WHERE app = p_app AND key = p_source ORDER BY pos LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING value INTO v_value;
    IF FOUND THEN
        INSERT INTO hotmesh.lists (app, key, value) VALUES (p_app, p_target, v_value);
    END IF;
    RETURN v_value;
END $$;

-- Ends a work item, see WorkListStore.delete_processed_task_queue. True if this call removed it.
CREATE FUNCTION hotmesh.end_work_item(
    p_app integer, p_item text, p_key text, p_processed text, p_scrub boolean, p_bucket text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM hotmesh.work_items WHERE app = p_app AND item = p_item;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_scrub THEN
        DELETE FROM hotmesh.lists WHERE app = p_app AND key = p_processed;
        DELETE FROM hotmesh.counters WHERE app = p_app AND key = p_bucket;
        RETURN true;
    END IF;
    WITH moved AS (
        DELETE FROM hotmesh.lists WHERE app = p_app AND key = p_processed RETURNING pos, value
    ), numbered AS (
        SELECT value, row_number() OVER (ORDER BY pos) AS n, count(*) OVER () AS total FROM moved
    )
    INSERT INTO hotmesh.lists (app, key, pos, value)
    SELECT p_app, p_key, n - total - 1
        + coalesce((SELECT min(pos) FROM hotmesh.lists WHERE app = p_app AND key = p_key), 0), value
    FROM numbered ORDER BY n;
    RETURN true;
END $$;
