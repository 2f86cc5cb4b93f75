"""What the commands of the pipeline saw last, for people who look at the page."""
