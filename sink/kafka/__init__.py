"""Kafka: the only reader of topics, and the administration of topics."""
