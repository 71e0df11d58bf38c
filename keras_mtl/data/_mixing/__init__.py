"""Streams that draw from several sets: `mixture` and `resample`, and the helpers of both."""
