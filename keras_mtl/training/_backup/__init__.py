"""Backups of a training: its state in one file, who agrees on it, and where it goes on."""
