"""Text generation and translation with recurrent networks and decoding plugins."""
