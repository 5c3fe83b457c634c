"""The broker: the only reader of the topics, their administration, what librdkafka errors mean."""
