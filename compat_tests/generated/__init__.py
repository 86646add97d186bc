"""Random workflow programs that run on the real server and on this project, and must leave the same traces."""
