"""Two decoding plugins for textgen."""
