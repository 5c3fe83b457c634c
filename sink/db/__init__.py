"""The database: engine and sessions."""
