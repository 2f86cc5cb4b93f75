"""Files of patients scored on Spark, by a model and a scorer of batches that are passed in."""
