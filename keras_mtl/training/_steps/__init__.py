"""What the rule does with them: one module for each kind of step."""
