"""Steps that do not wait for each other: servers hold the variables, workers send changes."""
