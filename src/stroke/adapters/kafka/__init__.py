"""Kafka's topics, through confluent-kafka."""
