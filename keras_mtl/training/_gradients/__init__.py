"""What each loss contributes: gradients, and their inner products."""
