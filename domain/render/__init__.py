"""What a render makes, and the pure way from a timeline to the commands that make it."""
