"""HTTP clients with which the doctor examines a running stack."""
