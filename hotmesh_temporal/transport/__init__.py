"""How requests reach the frontend from outside of its event loop: listeners for workers and for other processes."""
