"""What is done with models beside serving them: replay, comparison."""
