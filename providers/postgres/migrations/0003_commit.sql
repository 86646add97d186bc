-- The engine's unit of work, in one round trip: see contracts/commit.py.
--
-- Every group of parameters is a set of parallel arrays, or NULL. The caller sorts runs, pointers, marks, acks, timers
-- and documents by their keys, and the groups are always written in the same order, so that two commits cannot deadlock.
--
-- Result: {ok, message id..., outbox id...}; or {revision, job}, {pointer, id, current}, {mark, job, guid} when a check
-- failed, and then nothing was written. A race that is lost only while writing raises HM001 (detail: job), HM002
-- (pointer) or HM003 (job, guid), which rolls everything back.
CREATE FUNCTION hotmesh.commit_work(
    p_app integer,
    p_runs text[] DEFAULT NULL, p_revisions bigint[] DEFAULT NULL, p_status bigint[] DEFAULT NULL,
    p_states bytea[] DEFAULT NULL, p_origins bytea[] DEFAULT NULL,
    p_first bigint[] DEFAULT NULL, p_next bigint[] DEFAULT NULL,
    p_batch_run integer[] DEFAULT NULL, p_batch_first bigint[] DEFAULT NULL, p_batch_next bigint[] DEFAULT NULL,
    p_batch_data bytea[] DEFAULT NULL,
    p_pointers text[] DEFAULT NULL, p_expected text[] DEFAULT NULL, p_pointer_runs text[] DEFAULT NULL,
    p_mark_jobs text[] DEFAULT NULL, p_mark_guids text[] DEFAULT NULL,
    p_new_queues uuid[] DEFAULT NULL, p_new_streams text[] DEFAULT NULL,
    p_queues uuid[] DEFAULT NULL, p_messages text[] DEFAULT NULL, p_visible bigint[] DEFAULT NULL,
    p_priorities integer[] DEFAULT NULL, p_groups text[] DEFAULT NULL, p_consumers text[] DEFAULT NULL,
    p_leases bigint[] DEFAULT NULL,
    p_out_streams text[] DEFAULT NULL, p_out_messages text[] DEFAULT NULL, p_out_visible bigint[] DEFAULT NULL,
    p_out_priorities integer[] DEFAULT NULL,
    p_ack_ids bigint[] DEFAULT NULL, p_ack_queues uuid[] DEFAULT NULL, p_ack_groups text[] DEFAULT NULL,
    p_ack_consumers text[] DEFAULT NULL, p_ack_attempts integer[] DEFAULT NULL,
    p_timers text[] DEFAULT NULL, p_fire_at bigint[] DEFAULT NULL, p_payloads text[] DEFAULT NULL,
    p_cancelled text[] DEFAULT NULL,
    p_docs text[] DEFAULT NULL, p_namespaces text[] DEFAULT NULL, p_doc_status text[] DEFAULT NULL,
    p_types text[] DEFAULT NULL, p_workflow_ids text[] DEFAULT NULL, p_run_ids text[] DEFAULT NULL,
    p_task_queues text[] DEFAULT NULL, p_start_times bigint[] DEFAULT NULL, p_close_times bigint[] DEFAULT NULL,
    p_execution_times bigint[] DEFAULT NULL, p_durations bigint[] DEFAULT NULL, p_lengths bigint[] DEFAULT NULL,
    p_sizes bigint[] DEFAULT NULL, p_transitions bigint[] DEFAULT NULL,
    p_fields text[] DEFAULT NULL, p_doc_data bytea[] DEFAULT NULL
) RETURNS text[] LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_result text[] := '{ok}';
    v_failed text[];
    v_jobs bigint[] := '{}';
    v_job bigint;
    v_id bigint;
    -- One run alone is checked by its own conditional write; more checks must all come before the first write.
    v_check boolean := p_pointers IS NOT NULL OR p_mark_jobs IS NOT NULL OR cardinality(p_runs) > 1;
BEGIN
    IF v_check THEN
        v_failed := hotmesh.check_commit(p_app, p_runs, p_revisions, p_first, p_pointers, p_expected, p_mark_jobs,
            p_mark_guids);
        IF v_failed IS NOT NULL THEN
            RETURN v_failed;
        END IF;
    END IF;

    FOR i IN 1 .. coalesce(cardinality(p_runs), 0) LOOP
        IF p_revisions[i] = 0 THEN
            v_job := hotmesh.create_run(p_app, p_runs[i], p_status[i], p_states[i], p_origins[i], p_first[i],
                p_next[i]);
        ELSE
            UPDATE hotmesh.jobs
            SET status = p_status[i], revision = revision + 1, state = p_states[i],
                next_event_id = coalesce(p_next[i], next_event_id)
            WHERE app = p_app AND job_id = p_runs[i] AND revision = p_revisions[i]
                AND (p_first[i] IS NULL OR next_event_id = p_first[i]) AND hotmesh.live(expires_at)
            RETURNING id INTO v_job;
        END IF;
        IF v_job IS NULL THEN
            IF NOT v_check THEN
                RETURN ARRAY['revision', p_runs[i]];
            END IF;
            RAISE EXCEPTION 'a run moved on' USING ERRCODE = 'HM001', DETAIL = to_json(ARRAY[p_runs[i]])::text;
        END IF;
        v_jobs := v_jobs || v_job;
    END LOOP;
    FOR i IN 1 .. coalesce(cardinality(p_batch_run), 0) LOOP
        INSERT INTO hotmesh.events (job, first_id, next_id, data)
        VALUES (v_jobs[p_batch_run[i]], p_batch_first[i], p_batch_next[i], p_batch_data[i]);
    END LOOP;

    IF p_pointers IS NOT NULL THEN
        PERFORM hotmesh.point_runs(p_app, p_pointers, p_expected, p_pointer_runs);
    END IF;
    FOR i IN 1 .. coalesce(cardinality(p_mark_jobs), 0) LOOP
        INSERT INTO hotmesh.ledgers (app, job_id, kind, name, value)
        VALUES (p_app, p_mark_jobs[i], 'g', p_mark_guids[i], 1) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a mark exists' USING ERRCODE = 'HM003',
                DETAIL = to_json(ARRAY[p_mark_jobs[i], p_mark_guids[i]])::text;
        END IF;
    END LOOP;

    IF p_new_queues IS NOT NULL THEN
        INSERT INTO hotmesh.streams (queue, app, stream)
        SELECT q, p_app, s FROM unnest(p_new_queues, p_new_streams) AS u (q, s) ON CONFLICT DO NOTHING;
    END IF;
    FOR i IN 1 .. coalesce(cardinality(p_queues), 0) LOOP
        IF p_leases[i] IS NULL THEN
            INSERT INTO hotmesh.messages (queue, app, priority, delayed, deliver_at, data)
            VALUES (p_queues[i], p_app, p_priorities[i], p_visible[i] IS NOT NULL, coalesce(p_visible[i], 0),
                p_messages[i])
            RETURNING id INTO v_id;
        ELSE
            INSERT INTO hotmesh.messages (queue, app, priority, attempt, leased_at, lease_until, grp, consumer, data)
            VALUES (p_queues[i], p_app, p_priorities[i], 1, hotmesh.now_ms(), hotmesh.now_ms() + p_leases[i],
                p_groups[i], p_consumers[i], p_messages[i])
            RETURNING id INTO v_id;
        END IF;
        v_result := v_result || v_id::text;
    END LOOP;
    FOR i IN 1 .. coalesce(cardinality(p_out_streams), 0) LOOP
        INSERT INTO hotmesh.outbox (app, stream, message, visible_at, priority)
        VALUES (p_app, p_out_streams[i], p_out_messages[i], p_out_visible[i], p_out_priorities[i])
        RETURNING id INTO v_id;
        v_result := v_result || v_id::text;
    END LOOP;
    FOR i IN 1 .. coalesce(cardinality(p_ack_ids), 0) LOOP
        DELETE FROM hotmesh.messages WHERE id = p_ack_ids[i] AND queue = p_ack_queues[i] AND grp = p_ack_groups[i]
            AND consumer = p_ack_consumers[i] AND attempt = p_ack_attempts[i];
    END LOOP;

    IF p_cancelled IS NOT NULL AND p_timers IS NOT NULL THEN
        -- Two sorted lists in turn are no fixed order: lock both together first.
        PERFORM FROM hotmesh.timers WHERE app = p_app AND timer_id = ANY (p_cancelled || p_timers)
        ORDER BY timer_id FOR UPDATE;
    END IF;
    FOR i IN 1 .. coalesce(cardinality(p_cancelled), 0) LOOP
        DELETE FROM hotmesh.timers WHERE app = p_app AND timer_id = p_cancelled[i];
    END LOOP;
    FOR i IN 1 .. coalesce(cardinality(p_timers), 0) LOOP
        INSERT INTO hotmesh.timers (app, timer_id, due_at, fire_at, fence, payload)
        VALUES (p_app, p_timers[i], p_fire_at[i], p_fire_at[i], nextval('hotmesh.fences'), p_payloads[i])
        ON CONFLICT (app, timer_id) DO UPDATE
        SET due_at = excluded.due_at, fire_at = excluded.fire_at, fence = excluded.fence, payload = excluded.payload;
    END LOOP;
    IF p_docs IS NOT NULL THEN
        PERFORM hotmesh.put_documents(p_app, p_docs, p_namespaces, p_doc_status, p_types, p_workflow_ids, p_run_ids,
            p_task_queues, p_start_times, p_close_times, p_execution_times, p_durations, p_lengths, p_sizes,
            p_transitions, p_fields, p_doc_data);
    END IF;
    RETURN v_result;
END $$;

-- The checks of a commit, in the order of the contract. Locks the rows that exist. NULL: all hold.
CREATE FUNCTION hotmesh.check_commit(
    p_app integer, p_runs text[], p_revisions bigint[], p_first bigint[], p_pointers text[], p_expected text[],
    p_mark_jobs text[], p_mark_guids text[]
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_row record;
    v_current text;
BEGIN
    FOR i IN 1 .. coalesce(cardinality(p_runs), 0) LOOP
        SELECT revision, next_event_id, hotmesh.live(expires_at) AS live INTO v_row
        FROM hotmesh.jobs WHERE app = p_app AND job_id = p_runs[i] FOR UPDATE;
        IF coalesce(v_row.live, false) THEN
            IF p_revisions[i] = 0 OR v_row.revision <> p_revisions[i] OR v_row.next_event_id <> p_first[i] THEN
                RETURN ARRAY['revision', p_runs[i]];
            END IF;
        ELSIF p_revisions[i] <> 0 OR p_first[i] <> 1 THEN
            RETURN ARRAY['revision', p_runs[i]];
        END IF;
    END LOOP;
    FOR i IN 1 .. coalesce(cardinality(p_pointers), 0) LOOP
        SELECT c.run_id INTO v_current FROM hotmesh.current_runs c
        WHERE c.app = p_app AND c.pointer_id = p_pointers[i] FOR UPDATE;
        IF v_current IS DISTINCT FROM p_expected[i] THEN
            -- A pointer to a run whose time ran out names no run.
            PERFORM FROM hotmesh.jobs WHERE app = p_app AND job_id = v_current AND NOT hotmesh.live(expires_at);
            IF NOT FOUND OR p_expected[i] IS NOT NULL THEN
                RETURN ARRAY['pointer', p_pointers[i], v_current];
            END IF;
            DELETE FROM hotmesh.current_runs WHERE app = p_app AND pointer_id = p_pointers[i];
        END IF;
    END LOOP;
    FOR i IN 1 .. coalesce(cardinality(p_mark_jobs), 0) LOOP
        PERFORM FROM hotmesh.ledgers l LEFT JOIN hotmesh.jobs j ON j.app = l.app AND j.job_id = l.job_id
        WHERE l.app = p_app AND l.job_id = p_mark_jobs[i] AND l.kind = 'g' AND l.name = p_mark_guids[i]
            AND hotmesh.live(j.expires_at);
        IF FOUND THEN
            RETURN ARRAY['mark', p_mark_jobs[i], p_mark_guids[i]];
        END IF;
        PERFORM hotmesh.purge_if_expired(p_app, p_mark_jobs[i]);
    END LOOP;
    RETURN NULL;
END $$;

-- Inserts a run at revision 1 and returns its row id; NULL if the job exists or its history would not begin at 1.
CREATE FUNCTION hotmesh.create_run(
    p_app integer, p_run text, p_status bigint, p_state bytea, p_origin bytea, p_first bigint, p_next bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_job bigint;
BEGIN
    IF p_first <> 1 THEN
        RETURN NULL;
    END IF;
    FOR attempt IN 1 .. 2 LOOP
        INSERT INTO hotmesh.jobs (app, job_id, status, revision, next_event_id, state)
        VALUES (p_app, p_run, p_status, 1, coalesce(p_next, 1), p_state)
        ON CONFLICT DO NOTHING RETURNING id INTO v_job;
        EXIT WHEN FOUND;
        PERFORM hotmesh.purge_if_expired(p_app, p_run);
    END LOOP;
    IF v_job IS NOT NULL AND p_origin IS NOT NULL THEN
        INSERT INTO hotmesh.origins (job, data) VALUES (v_job, p_origin);
    END IF;
    RETURN v_job;
END $$;

-- Writes pointers that `check_commit` found to be as expected; one that another commit created meanwhile raises HM002.
CREATE FUNCTION hotmesh.point_runs(p_app integer, p_pointers text[], p_expected text[], p_runs text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(p_pointers) LOOP
        -- The row of an expected run is locked, or gone because that run was purged in this commit.
        INSERT INTO hotmesh.current_runs AS c (app, pointer_id, run_id) VALUES (p_app, p_pointers[i], p_runs[i])
        ON CONFLICT (app, pointer_id) DO UPDATE SET run_id = excluded.run_id WHERE c.run_id = p_expected[i];
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a pointer moved on' USING ERRCODE = 'HM002',
                DETAIL = to_json(ARRAY[p_pointers[i]])::text;
        END IF;
    END LOOP;
END $$;

-- Inserts documents or replaces them whole. Parallel arrays, sorted by id, no id twice; a NULL array is one of NULLs.
CREATE FUNCTION hotmesh.put_documents(
    p_app integer, p_docs text[], p_namespaces text[], p_status text[], p_types text[], p_workflow_ids text[],
    p_run_ids text[], p_task_queues text[], p_start_times bigint[], p_close_times bigint[], p_execution_times bigint[],
    p_durations bigint[], p_lengths bigint[], p_sizes bigint[], p_transitions bigint[], p_fields text[], p_data bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(p_docs) LOOP
        INSERT INTO hotmesh.documents (app, doc_id, namespace, status, workflow_type, workflow_id, run_id, task_queue,
            start_time, close_time, execution_time, execution_duration, history_length, history_size,
            state_transitions, fields, data)
        VALUES (p_app, p_docs[i], p_namespaces[i], p_status[i], p_types[i], p_workflow_ids[i], p_run_ids[i],
            p_task_queues[i], p_start_times[i], p_close_times[i], p_execution_times[i], p_durations[i], p_lengths[i],
            p_sizes[i], p_transitions[i], p_fields[i]::jsonb, p_data[i])
        ON CONFLICT (app, doc_id) DO UPDATE SET namespace = excluded.namespace, status = excluded.status,
            workflow_type = excluded.workflow_type, workflow_id = excluded.workflow_id, run_id = excluded.run_id,
            task_queue = excluded.task_queue, start_time = excluded.start_time, close_time = excluded.close_time,
            execution_time = excluded.execution_time, execution_duration = excluded.execution_duration,
            history_length = excluded.history_length, history_size = excluded.history_size,
            state_transitions = excluded.state_transitions, fields = excluded.fields, data = excluded.data;
    END LOOP;
END $$;

-- The values of a field that may hold a list: its elements, or the value itself.
CREATE FUNCTION hotmesh.elements(p_value jsonb) RETURNS SETOF jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT jsonb_array_elements(
        CASE WHEN jsonb_typeof(p_value) = 'array' THEN p_value ELSE jsonb_build_array(p_value) END
    )
$$;
