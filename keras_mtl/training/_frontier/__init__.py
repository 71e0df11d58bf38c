"""Where the tasks of a network part."""
