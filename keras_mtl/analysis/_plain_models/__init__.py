"""Models of scikit-learn that answer one task from the columns of a table."""
