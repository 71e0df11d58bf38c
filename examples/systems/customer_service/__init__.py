"""One network for the messages of customers: intent, slots, mood, urgency, and the best answer."""
