"""The differential suite: each scenario runs on the real Temporal dev server and on this project, and must agree."""
