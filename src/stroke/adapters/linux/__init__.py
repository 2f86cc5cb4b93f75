"""What Linux says of this process."""
