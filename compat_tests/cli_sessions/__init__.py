"""Sessions with the real ``temporal`` command line, on the real server and on ours."""
