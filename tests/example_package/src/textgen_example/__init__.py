"""A strategy, a filter, a cell, an encoder and a task for textgen."""
