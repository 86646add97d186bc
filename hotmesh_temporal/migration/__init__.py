"""Moving from a Temporal server to a database: ``hotmesh-temporal migrate`` (see docs/migrate.md).

One file per concern: `histories` reads them, `source` asks the server, `target` is the database, `checks` says what
cannot be moved, `families` which runs belong together, `fence` takes them away from the server, `runs` puts them into
the database, `schedules` and `namespaces` move those, `migrate` puts it all in order, `report` says what was done.
"""
