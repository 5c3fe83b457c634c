"""A bounded stretch of a topic, read again outside the consumer group: ranges, symbols, rehearsal, the run itself."""
