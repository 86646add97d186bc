-- Streams and notices.

CREATE FUNCTION hotmesh.publish(
    p_app integer, p_queue uuid, p_stream text, p_messages text[], p_visible bigint, p_priority integer,
    p_group text, p_consumer text, p_lease bigint, p_channel text
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_ids bigint[];
BEGIN
    INSERT INTO hotmesh.streams VALUES (p_queue, p_app, p_stream) ON CONFLICT DO NOTHING;
    WITH added AS (
        INSERT INTO hotmesh.messages (queue, app, priority, delayed, deliver_at, attempt, leased_at, lease_until, grp,
            consumer, data)
        SELECT p_queue, p_app, p_priority, p_visible IS NOT NULL, coalesce(p_visible, 0),
            CASE WHEN p_lease IS NULL THEN 0 ELSE 1 END, CASE WHEN p_lease IS NULL THEN 0 ELSE hotmesh.now_ms() END,
            coalesce(hotmesh.now_ms() + p_lease, 0), p_group, p_consumer, m
        FROM unnest(p_messages) WITH ORDINALITY AS u (m, n) ORDER BY n
        RETURNING id
    )
    SELECT array_agg(id ORDER BY id) INTO v_ids FROM added;
    IF p_channel IS NOT NULL THEN
        PERFORM pg_notify(p_channel, p_queue::text);
    END IF;
    RETURN v_ids;
END $$;

-- Delayed messages that came due join the ready ones, so that priority and age order all of them.
CREATE FUNCTION hotmesh.promote(p_queue uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM hotmesh.messages WHERE queue = p_queue AND delayed AND deliver_at <= hotmesh.now_ms() LIMIT 1;
    IF FOUND THEN
        UPDATE hotmesh.messages SET delayed = false WHERE id IN (
            SELECT id FROM hotmesh.messages WHERE queue = p_queue AND delayed AND deliver_at <= hotmesh.now_ms()
            ORDER BY deliver_at LIMIT 1000 FOR UPDATE SKIP LOCKED
        );
    END IF;
END $$;

CREATE FUNCTION hotmesh.consume(
    p_queue uuid, p_group text, p_consumer text, p_limit integer, p_lease bigint, p_auto_ack boolean
) RETURNS TABLE (message_id bigint, message text, delivery integer)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    PERFORM hotmesh.promote(p_queue);
    IF p_auto_ack THEN
        RETURN QUERY
        WITH picked AS (
            SELECT id FROM hotmesh.messages
            WHERE queue = p_queue AND NOT delayed AND lease_until <= hotmesh.now_ms()
            ORDER BY priority DESC, id LIMIT p_limit FOR UPDATE SKIP LOCKED
        ), taken AS (
            DELETE FROM hotmesh.messages m USING picked WHERE m.id = picked.id
            RETURNING m.id, m.data, m.attempt + 1 AS attempt, m.priority
        )
        SELECT id, data, attempt FROM taken ORDER BY priority DESC, id;
    ELSE
        RETURN QUERY
        WITH picked AS (
            SELECT id FROM hotmesh.messages
            WHERE queue = p_queue AND NOT delayed AND lease_until <= hotmesh.now_ms()
            ORDER BY priority DESC, id LIMIT p_limit FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE hotmesh.messages m
            SET attempt = m.attempt + 1, leased_at = hotmesh.now_ms(), lease_until = hotmesh.now_ms() + p_lease,
                grp = p_group, consumer = p_consumer
            FROM picked WHERE m.id = picked.id
            RETURNING m.id, m.data, m.attempt, m.priority
        )
        SELECT id, data, attempt FROM taken ORDER BY priority DESC, id;
    END IF;
END $$;

-- Sets messages aside. NULL ids: none.
CREATE FUNCTION hotmesh.bury(p_queue uuid, p_group text, p_ids bigint[], p_reason text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_count integer;
BEGIN
    WITH gone AS (
        DELETE FROM hotmesh.messages WHERE queue = p_queue AND id = ANY (p_ids) RETURNING id, attempt, data
    )
    INSERT INTO hotmesh.dead_letters
    SELECT id, p_queue, p_group, attempt, p_reason, hotmesh.now_ms(), data FROM gone;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;

-- See StreamService.retry_messages.
CREATE FUNCTION hotmesh.retry(
    p_queue uuid, p_group text, p_consumer text, p_idle bigint, p_ids bigint[], p_delay bigint, p_max integer,
    p_limit integer, p_lease bigint
) RETURNS TABLE (message_id bigint, message text, delivery integer) LANGUAGE plpgsql AS $$
DECLARE
    v_ids bigint[];
    v_dead bigint[];
BEGIN
    SELECT array_agg(id ORDER BY id), array_agg(id) FILTER (WHERE attempt > p_max) INTO v_ids, v_dead FROM (
        SELECT id, attempt FROM hotmesh.messages
        WHERE queue = p_queue AND NOT delayed AND consumer IS NOT NULL AND grp = p_group
            AND leased_at <= hotmesh.now_ms() - p_idle AND (p_ids IS NULL OR id = ANY (p_ids))
        ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED
    ) AS idle;
    IF v_dead IS NOT NULL THEN
        PERFORM hotmesh.bury(p_queue, p_group, v_dead, 'max retries');
    END IF;
    IF p_delay > 0 THEN
        UPDATE hotmesh.messages
        SET delayed = true, deliver_at = hotmesh.now_ms() + p_delay, lease_until = 0, consumer = NULL
        WHERE id = ANY (v_ids);
    ELSE
        RETURN QUERY
        WITH taken AS (
            UPDATE hotmesh.messages SET attempt = attempt + 1, consumer = p_consumer, leased_at = hotmesh.now_ms(),
                lease_until = hotmesh.now_ms() + p_lease
            WHERE id = ANY (v_ids) RETURNING id, data, attempt
        )
        SELECT id, data, attempt FROM taken ORDER BY id;
    END IF;
END $$;

-- Which of the queues have a deliverable message, and when the others get one by themselves (NULL: not foreseeable).
CREATE FUNCTION hotmesh.outlook(p_queues uuid[]) RETURNS TABLE (queue uuid, ready boolean, next_at bigint)
LANGUAGE sql STABLE AS $$
    SELECT q,
        EXISTS (SELECT FROM hotmesh.messages m
                WHERE m.queue = q AND NOT m.delayed AND m.lease_until <= hotmesh.now_ms())
        OR EXISTS (SELECT FROM hotmesh.messages m
                   WHERE m.queue = q AND m.delayed AND m.deliver_at <= hotmesh.now_ms()),
        least((SELECT min(m.deliver_at) FROM hotmesh.messages m WHERE m.queue = q AND m.delayed),
              (SELECT min(m.lease_until) FROM hotmesh.messages m
               WHERE m.queue = q AND NOT m.delayed AND m.lease_until > hotmesh.now_ms()))
    FROM unnest(p_queues) AS q
$$;

-- The job that a message belongs to, if it is a HotMesh envelope; NULL for any other text.
CREATE FUNCTION hotmesh.message_job(p_data text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN json_typeof(p_data::json -> 'metadata' -> 'jid') = 'string'
        THEN p_data::json -> 'metadata' ->> 'jid' END;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

-- Removes the oldest messages that are not in flight: by age in ms, then down to a depth. NULL: no such limit.
CREATE FUNCTION hotmesh.trim(p_queue uuid, p_max_len bigint, p_max_age bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_old integer := 0;
    v_more integer := 0;
BEGIN
    IF p_max_age IS NOT NULL THEN
        DELETE FROM hotmesh.messages WHERE queue = p_queue AND lease_until <= hotmesh.now_ms()
            AND published_at < clock_timestamp() - p_max_age * interval '1 millisecond';
        GET DIAGNOSTICS v_old = ROW_COUNT;
    END IF;
    IF p_max_len IS NOT NULL THEN
        DELETE FROM hotmesh.messages WHERE id IN (
            SELECT id FROM hotmesh.messages WHERE queue = p_queue AND lease_until <= hotmesh.now_ms() ORDER BY id
            LIMIT greatest((SELECT count(*) FROM hotmesh.messages WHERE queue = p_queue) - p_max_len, 0)
        );
        GET DIAGNOSTICS v_more = ROW_COUNT;
    END IF;
    RETURN v_old + v_more;
END $$;

CREATE FUNCTION hotmesh.delete_stream(p_queue uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_found boolean;
BEGIN
    DELETE FROM hotmesh.streams WHERE queue = p_queue;
    v_found := FOUND;
    DELETE FROM hotmesh.messages WHERE queue = p_queue;
    v_found := v_found OR FOUND;
    DELETE FROM hotmesh.dead_letters WHERE queue = p_queue;
    DELETE FROM hotmesh.groups WHERE queue = p_queue;
    RETURN v_found;
END $$;

CREATE FUNCTION hotmesh.create_group(p_app integer, p_queue uuid, p_stream text, p_group text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hotmesh.streams VALUES (p_queue, p_app, p_stream) ON CONFLICT DO NOTHING;
    INSERT INTO hotmesh.groups VALUES (p_queue, p_group) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

CREATE FUNCTION hotmesh.delete_group(p_queue uuid, p_group text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_found boolean;
BEGIN
    DELETE FROM hotmesh.groups WHERE queue = p_queue AND grp = p_group;
    v_found := FOUND;
    UPDATE hotmesh.messages SET lease_until = 0, consumer = NULL
    WHERE queue = p_queue AND grp = p_group AND consumer IS NOT NULL;
    RETURN v_found;
END $$;

-- Sends a notice. What NOTIFY cannot carry, and what processes that cannot LISTEN must see, is kept for a minute.
CREATE FUNCTION hotmesh.send_notice(p_app integer, p_channel text, p_all_channel text, p_payload text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_large boolean := octet_length(p_payload) > 7900;
    v_id bigint;
    v_text text := p_payload;
BEGIN
    IF v_large OR EXISTS (SELECT FROM hotmesh.pollers WHERE app = p_app AND until > hotmesh.now_ms()) THEN
        INSERT INTO hotmesh.notices (channel, payload) VALUES (p_all_channel, p_payload) RETURNING id INTO v_id;
    END IF;
    IF v_large THEN
        v_text := '@' || v_id;
    END IF;
    PERFORM pg_notify(p_channel, v_text);
    PERFORM pg_notify(p_all_channel, v_text);
END $$;
