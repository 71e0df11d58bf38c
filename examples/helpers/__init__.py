"""Code that several examples share."""
