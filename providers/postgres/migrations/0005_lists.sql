-- What lists need of the search index.

-- Lists come in one order: what runs first, the newest first, then what is closed, the last closed first.
DROP INDEX hotmesh.documents_close;
DROP INDEX hotmesh.documents_status;
DROP INDEX hotmesh.documents_type;
CREATE INDEX documents_close ON hotmesh.documents (app, namespace, close_time DESC, start_time DESC);
CREATE INDEX documents_status ON hotmesh.documents (app, namespace, status, close_time DESC, start_time DESC);
CREATE INDEX documents_type
ON hotmesh.documents (app, namespace, workflow_type, close_time DESC, start_time DESC, status);
CREATE INDEX documents_run ON hotmesh.documents (app, run_id);

-- How common a value of a field is decides whether a list is read in its order or by that value.
ALTER TABLE hotmesh.documents ALTER COLUMN fields SET STATISTICS 1000;

-- Numbers among the fields that have no column, for ranges: the GIN index only knows what is equal. Those
-- that a float cannot hold are rounded. Triggers keep it, and cost nothing where a
-- document has no such field.
CREATE TABLE hotmesh.document_numbers (
    app integer NOT NULL,
    doc_id text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (app, doc_id, field)
);
CREATE INDEX document_numbers_value ON hotmesh.document_numbers (app, namespace, field, value) INCLUDE (doc_id);

CREATE FUNCTION hotmesh.has_numbers(p_fields jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT jsonb_path_exists(p_fields, '$.* ? (@.type() == "number")') $$;

CREATE FUNCTION hotmesh.keep_numbers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM hotmesh.document_numbers WHERE app = OLD.app AND doc_id = OLD.doc_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO hotmesh.document_numbers (app, doc_id, field, namespace, value)
        SELECT NEW.app, NEW.doc_id, f.key, NEW.namespace, (f.value #>> '{}')::double precision
        FROM jsonb_each(NEW.fields) f WHERE jsonb_typeof(f.value) = 'number';
    END IF;
    RETURN NULL;
END $$;

INSERT INTO hotmesh.document_numbers (app, doc_id, field, namespace, value)
SELECT d.app, d.doc_id, f.key, d.namespace, (f.value #>> '{}')::double precision
FROM hotmesh.documents d, jsonb_each(d.fields) f
WHERE hotmesh.has_numbers(d.fields) AND jsonb_typeof(f.value) = 'number';

CREATE TRIGGER documents_numbers_added AFTER INSERT ON hotmesh.documents
FOR EACH ROW WHEN (hotmesh.has_numbers(NEW.fields)) EXECUTE FUNCTION hotmesh.keep_numbers();
CREATE TRIGGER documents_numbers_changed AFTER UPDATE ON hotmesh.documents
FOR EACH ROW WHEN (
    (OLD.fields IS DISTINCT FROM NEW.fields OR OLD.namespace <> NEW.namespace)
    AND (hotmesh.has_numbers(OLD.fields) OR hotmesh.has_numbers(NEW.fields))
) EXECUTE FUNCTION hotmesh.keep_numbers();
CREATE TRIGGER documents_numbers_removed AFTER DELETE ON hotmesh.documents
FOR EACH ROW WHEN (hotmesh.has_numbers(OLD.fields)) EXECUTE FUNCTION hotmesh.keep_numbers();
