"""Apache Spark: analyses of what outgrows one process."""
