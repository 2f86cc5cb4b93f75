"""The doctor: examines a running stack and says what to do about each finding."""
