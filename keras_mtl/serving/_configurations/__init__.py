"""Templates of files for the programs around the server, one per file that `configure` writes."""
