"""Sentiment of short texts by topic, over time, with alarms where it shifts."""
