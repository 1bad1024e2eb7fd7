"""A PostgreSQL of our own: the server's manager, and the Django backend that starts it with the first connection."""
