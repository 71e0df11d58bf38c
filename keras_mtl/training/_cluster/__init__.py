"""Which processes train together, how they find each other, and the strategy that joins them."""
