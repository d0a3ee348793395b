"""The table of tasks: one file for each kind of model."""
