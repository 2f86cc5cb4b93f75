"""What a record of a hospital (FHIR) says of a patient, in the words of the model."""
