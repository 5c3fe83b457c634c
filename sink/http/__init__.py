"""What a running sink answers over HTTP: metrics, health, status, and a page for people."""
