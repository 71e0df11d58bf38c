"""What the replicas of a step send each other, and how long that takes."""
